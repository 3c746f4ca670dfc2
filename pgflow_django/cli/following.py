"""Runs that are left to workers, and followed to their end by who started them."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections

from pgflow_django import executor
from pgflow_django.cli.base import BadUsage
from pgflow_django.runs import delivery
from pgflow_django.runs.executing import run_timed_out, time_is_over
from pgflow_django.runs.status import load_status
from pgflow_django.worker.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from pgflow_django.models import WorkflowRun
    from pgflow_django.runs.status import RunStatus

#: Seconds between two looks at the run.
_INTERVAL = 0.1
#: Seconds between two looks at why it stands so, which ask more of the database.
_WHY_INTERVAL = 1.0
#: Seconds to try to cancel a run while the database is out of reach.
_GOODBYE = 5.0


def start_and_follow(
    start: Callable[[], WorkflowRun],
    *,
    timeout: float | None,
    using: str,
    tell: Callable[[str], None],
    on_start: Callable[[UUID], None],
    on_tick: Callable[[UUID], None],
) -> dict[str, Any]:
    """Start a run for the workers and give its output, as ``executor.execute_dynamic`` does.

    ``tell`` is called with what is to be done, once for each reason, while the run waits for
    something that does not come by itself. Raises what ``execute_dynamic`` raises; after
    ``KeyboardInterrupt`` the run is cancelled as well.
    """
    require_workers_can_see(using)
    deadline = None if timeout is None else time.monotonic() + timeout
    run_id = start().id
    on_start(run_id)
    told: set[str] = set()
    asked = -math.inf
    try:
        while not (status := _look(run_id, using)).has_ended:
            on_tick(run_id)
            now = time.monotonic()
            is_over = deadline is not None and now >= deadline
            if is_over or now - asked >= _WHY_INTERVAL:
                asked, status = now, _look(run_id, using, explain=True)
            waiting = status.waiting
            if waiting and waiting.needs_help and waiting.reason not in told:
                told.add(waiting.reason)
                tell(waiting.message)
            if is_over and not status.has_ended:
                return _give_up(status, timeout, using)
            left = _INTERVAL if deadline is None else deadline - time.monotonic()
            time.sleep(max(0.0, min(_INTERVAL, left)))
        on_tick(run_id)
    except KeyboardInterrupt:
        _cancel(run_id, "interrupted by its caller", using)
        raise
    return status.result()


def require_workers_can_see(using: str) -> None:
    """Raise ``BadUsage`` where workers would never see the run that is to be waited for."""
    if connections[using].in_atomic_block and not delivery.is_eager():
        raise BadUsage("--celery can't wait inside a transaction: workers don't see the run yet.")


def _look(run_id: UUID, using: str, *, explain: bool = False) -> RunStatus:
    return patiently(partial(load_status, run_id, using=using, explain=explain), using=using)


def _give_up(before: RunStatus, timeout: float | None, using: str) -> dict[str, Any]:
    """Cancel the run; its output if it has ended by itself meanwhile."""
    reason = time_is_over(timeout)
    status = _cancel(before.run_id, reason, using)
    if status.status != "cancelled":
        return status.result()
    if before.waiting:
        reason += f". It waited: {before.waiting.message}"
    raise run_timed_out(status, reason)


def _cancel(run_id: UUID, reason: str, using: str) -> RunStatus:
    cancel = partial(executor.cancel_run, run_id, reason=reason, using=using)
    return patiently(cancel, using=using, seconds=_GOODBYE)
