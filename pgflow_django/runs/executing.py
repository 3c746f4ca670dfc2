"""Runs that this process executes by itself: own the run, work it off, say how it ended.

Service layer, below ``executor``, which has the public functions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.db import connections

from pgflow_django import engine
from pgflow_django.choices import RunState
from pgflow_django.conf import settings
from pgflow_django.definitions.shape import function_of
from pgflow_django.engine import TaskGroup
from pgflow_django.exceptions import LeaseLost, RunTimedOut, StepFunctionMissing, WaitRefused
from pgflow_django.models import WorkflowStep, WorkflowVersionStep
from pgflow_django.registry import RegisteredFunction, StepFunction, describe, registry
from pgflow_django.runs import delivery
from pgflow_django.runs.status import RunStatus, load_status
from pgflow_django.storage.pooling import require_connections
from pgflow_django.worker.inline import work_inline
from pgflow_django.worker.patience import patiently
from pgflow_django.worker.pool import Pool
from pgflow_django.worker.registration import register

#: Seconds between two calls of ``on_tick``.
_TICK = 0.1
#: Seconds to try to tell a database that is out of reach that this process has done.
_GOODBYE = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to execute: ``timeout`` and ``poll_interval`` in seconds; see ``executor``.

    ``in_thread``: in the calling thread, one step at a time, as always inside ``atomic()``.
    """

    using: str
    timeout: float | None = None
    poll_interval: float | None = None
    on_start: Callable[[UUID], None] | None = None
    on_tick: Callable[[UUID], None] | None = None
    in_thread: bool = False


class Functions:
    """The step functions of one execution: the caller's by step slug, over the registry's."""

    def __init__(self, by_step: Mapping[str, StepFunction] | None = None) -> None:
        self._by_step = {slug: _describe(function) for slug, function in (by_step or {}).items()}

    def require(self, steps: Mapping[str, str], workflow_slug: str) -> None:
        """Raise ``StepFunctionMissing`` naming every step of ``{slug: function}`` without one."""
        missing = [
            (step, name)
            for step, name in steps.items()
            if step not in self._by_step and name not in registry
        ]
        if not missing:
            return
        listed = ", ".join(
            f'"{step}"' if step == name else f'"{step}" (function "{name}")'
            for step, name in missing
        )
        raise StepFunctionMissing(
            f'flow "{workflow_slug}" was not started: no step function for {listed}. Pass '
            "step_functions={step slug: function}, or register one with @step_function in a "
            "steps.py of an installed app.",
            missing=missing,
        )

    def __call__(self, group: TaskGroup) -> RegisteredFunction:
        """The function of a claimed step."""
        function = self._by_step.get(group.step_slug) or registry.get(group.function)
        if function is None:
            raise StepFunctionMissing(
                f'no function "{group.function}" for step "{group.step_slug}"',
                missing=[(group.step_slug, group.function)],
            )
        return function


def _describe(function: StepFunction) -> RegisteredFunction:
    """Keep what ``@step_function`` said of a function (``atomic``) when it is passed directly."""
    for registered in registry.all():
        if registered.function is function:
            return registered
    return describe(function)


def functions_of_flow(workflow_slug: str, *, using: str) -> dict[str, str]:
    """``{step slug: function name}`` of the stored flow; empty where there is none."""
    rows = WorkflowStep.objects.using(using).filter(workflow_slug=workflow_slug)
    named = rows.order_by("step_index").values("step_slug", "function")
    return {row["step_slug"]: function_of(row) for row in named}


def functions_of_version(version_id: int, *, using: str) -> dict[str, str]:
    """``{step slug: function name}`` of the version that a run is pinned to."""
    rows = WorkflowVersionStep.objects.using(using).filter(version_id=version_id)
    return dict(rows.order_by("step_index").values_list("step_slug", "function"))


@contextmanager
def own_worker(
    using: str, queues: Sequence[str] = ("in_process",), functions: Sequence[str] | None = None
) -> Iterator[int]:
    """Register this process for what it is about to execute, and sweep after others."""
    if not connections[using].in_atomic_block:
        require_connections(using, 2, "A process that executes steps")
        patiently(partial(engine.sweep, using=using), using=using)
    worker = patiently(partial(register, "in_process", queues, functions, using=using), using=using)
    try:
        yield worker
    finally:
        patiently(partial(engine.remove_worker, worker, using=using), using=using, seconds=_GOODBYE)


def execute_run(run_id: UUID, worker: int, functions: Functions, options: Options) -> RunStatus:
    """Execute a run that ``worker`` owns, and give how it ended.

    Raises ``RunTimedOut``, with the run cancelled. So it is when anything else interrupts.
    """
    using = options.using
    if options.on_start is not None:
        options.on_start(run_id)
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    try:
        if options.in_thread or connections[using].in_atomic_block:
            with _lease_kept(worker, using):
                in_time = _work_inline(run_id, worker, functions, options, deadline)
        else:
            in_time = _work_in_pool(run_id, worker, functions, options, deadline)
    except LeaseLost:
        # Whoever swept has ended the run, and its status says so.
        return load_status(run_id, using=using)
    except KeyboardInterrupt:
        engine.cancel_run(run_id, "interrupted by its caller", using=using)
        raise
    if options.on_tick is not None:
        options.on_tick(run_id)
    reason = time_is_over(options.timeout)
    if not in_time:
        engine.cancel_run(run_id, reason, using=using)
    status = patiently(partial(load_status, run_id, using=using), using=using)
    # It may have ended by itself at the last moment.
    if not in_time and status.status == RunState.CANCELLED:
        raise run_timed_out(status, reason)
    return status


def _work_inline(
    run_id: UUID, worker: int, functions: Functions, options: Options, deadline: float | None
) -> bool:
    """Work until the run has ended, in this thread; while it is paused, wait for its resumption."""
    using, on_tick = options.using, _slowly(options.on_tick, run_id)
    interval = settings.POLL_INTERVAL if options.poll_interval is None else options.poll_interval
    while True:
        in_time, _ = work_inline(
            using=using,
            worker=worker,
            run=run_id,
            resolve=functions,
            deadline=deadline,
            on_tick=on_tick,
        )
        status = patiently(partial(load_status, run_id, using=using), using=using)
        if not in_time or status.has_ended:
            return in_time
        if connections[using].in_atomic_block:  # where nobody else sees the run
            engine.cancel_run(run_id, "it was paused where nobody can resume it", using=using)
            raise WaitRefused(
                f"run {run_id} was paused by one of its own steps in the transaction that executes "
                "it, where nobody can resume it; it is cancelled",
                run_id=run_id,
            )
        left = interval if deadline is None else deadline - time.monotonic()
        time.sleep(max(0.0, min(interval, left)))
        if on_tick is not None:
            on_tick()


def _work_in_pool(
    run_id: UUID,
    worker: int,
    functions: Functions,
    options: Options,
    deadline: float | None,
) -> bool:
    using = options.using
    pool = Pool(using=using, worker=worker, run=run_id, resolve=functions)
    reason: str | None = "its caller was interrupted"

    def has_ended() -> bool:
        return load_status(run_id, using=using).has_ended

    try:
        in_time = pool.work_until(
            lambda _: has_ended(),
            look=has_ended,
            deadline=deadline,
            poll_interval=options.poll_interval,
            on_tick=_slowly(options.on_tick, run_id),
        )
        reason = None if in_time else time_is_over(options.timeout)
        return in_time
    finally:
        try:
            if reason is not None:
                # First the run, so that nothing of it is claimed again while the lanes end.
                cancel = partial(engine.cancel_run, run_id, reason, using=using)
                patiently(cancel, using=using, seconds=_GOODBYE)
        finally:
            pool.close(interrupt=True)


def wait_timed_out(status: RunStatus, timeout: float | None) -> RunTimedOut:
    """The error for a run that goes on after its waiter's timeout."""
    why = f". It waits: {status.waiting.message}" if status.waiting else ""
    return RunTimedOut(
        f'run {status.run_id} of flow "{status.workflow_slug}" has not ended within {timeout:g} s '
        f"and goes on: {status.completed_steps} of {status.total_steps} steps are completed{why}",
        run_id=status.run_id,
    )


def raise_if_failed(status: RunStatus) -> None:
    """Raise ``RunFailed`` for a run that failed in eager mode, where the site asks for that."""
    if status.status == RunState.FAILED and delivery.propagates():
        status.result()


@contextmanager
def _lease_kept(worker: int, using: str) -> Iterator[None]:
    """Renew the lease from a thread; not inside ``atomic()``, where nobody else sees the worker."""
    if connections[using].in_atomic_block:
        yield
        return
    is_over = threading.Event()

    def renew() -> None:
        try:
            while not is_over.wait(settings.LEASE_SECONDS / 3):
                patiently(partial(engine.renew_leases, [worker], using=using), using=using)
        finally:
            connections.close_all()

    thread = threading.Thread(target=renew, name="pgflow-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def time_is_over(timeout: float | None) -> str:
    """Why a run is cancelled at its caller's timeout."""
    return f"it ran longer than the {timeout} s that its caller allowed"


def run_timed_out(status: RunStatus, reason: str) -> RunTimedOut:
    """The error for a run that was cancelled for this reason."""
    return RunTimedOut(
        f'run {status.run_id} of flow "{status.workflow_slug}" was cancelled: {reason}; '
        f"{status.completed_steps} of {status.total_steps} steps had completed",
        run_id=status.run_id,
    )


def _slowly(call: Callable[[UUID], None] | None, run_id: UUID) -> Callable[[], None] | None:
    if call is None:
        return None
    last = 0.0

    def tick() -> None:
        nonlocal last
        if time.monotonic() - last >= _TICK:
            last = time.monotonic()
            call(run_id)

    return tick
