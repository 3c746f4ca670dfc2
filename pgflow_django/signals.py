"""Django signals that tell what happens to runs and steps, from whichever process it happens in.

The sender is ``WorkflowRun``. Every receiver gets ``run``, which knows its ``id`` and
``workflow_slug`` and reads everything else from the database when asked, and ``using``, the
database alias. Signals are sent after the commit, and what a receiver raises is logged and stops
nobody. The process that made the change calls the receivers, and waits for them.

Gateway layer: the engine's answers bring the events; see ``engine.calling``.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.dispatch import Signal

from pgflow_django.exceptions import StepInterrupted
from pgflow_django.models import WorkflowRun
from pgflow_django.storage.moments import read_moment

logger = logging.getLogger("pgflow_django.signals")

#: A run has started, or was taken up again: ``retried`` (bool).
run_started = Signal()
#: A run has ended: ``status`` ("completed", "failed" or "cancelled").
run_ended = Signal()
#: A step has completed, with all of its tasks: ``step_slug``.
step_completed = Signal()
#: A step has failed, and its run with it: ``step_slug``, ``error`` (a dict, as the run has it).
step_failed = Signal()
#: An attempt has failed: ``step_slug``, ``task_index``, ``attempt`` (from 1), ``will_retry``,
#: ``retry_at`` (a datetime, or None), ``code``, ``error_type``, ``error_message``.
attempt_failed = Signal()

_SIGNALS = {
    "run_started": run_started,
    "run_ended": run_ended,
    "step_completed": step_completed,
    "step_failed": step_failed,
    "attempt_failed": attempt_failed,
}

_RECEIVERS = attrgetter("receivers")

Event = dict[str, Any]


def _call(call: Callable[[], object], using: str) -> None:  # noqa: ARG001
    call()


#: Calls receivers; where step functions run, so that they leave nothing behind in this thread.
keep_apart: Callable[[Callable[[], object], str], None] = _call


def has_receivers() -> bool:
    """Whether anybody listens, so that the database has to note down what happens."""
    # On the hot path: a generator would be resumed for each of them.
    return any(map(_RECEIVERS, _SIGNALS.values()))


def send_after_commit(told: str, using: str) -> None:
    """Send the events of an engine call (a JSON array), once what they tell of is committed."""
    events = json.loads(told)
    connection = connections[using]
    if connection.in_atomic_block:
        transaction.on_commit(partial(_send, events, using), using)
    else:
        # Where a site switched autocommit off nobody can say when it commits: send it now.
        _send(events, using)


def _send(events: list[Event], using: str) -> None:
    for event in events:
        signal = _SIGNALS[event.pop("kind")]
        if signal.receivers:
            _send_one(signal, using, event)


def _send_one(signal: Signal, using: str, event: Event) -> None:
    try:
        # Django logs the exceptions that receivers raise, but lets others pass.
        call = partial(signal.send_robust, WorkflowRun, using=using, **_arguments(event, using))
        keep_apart(call, using)
    except StepInterrupted:
        raise
    except BaseException as error:
        # In the main thread Ctrl-C raises wherever it comes.
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and isinstance(error, KeyboardInterrupt):
            raise
        logger.exception("a receiver of a signal of pgflow raised what ends processes")


def _arguments(event: Event, using: str) -> Event:
    values = [UUID(event.pop("run_id")), event.pop("workflow_slug")]
    if event.get("retry_at"):
        event["retry_at"] = read_moment(event["retry_at"])
    return {"run": WorkflowRun.from_db(using, ["id", "workflow_slug"], values), **event}
