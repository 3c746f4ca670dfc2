"""Runs: start, execute, wait for, look at, cancel, pause, resume and retry them.

``execute*`` and ``retry_run(step_functions=…)`` run the steps in this process; ``start_flow`` and
``start_flows`` leave them to workers. ``using`` is a database alias everywhere; ``None`` means the
one that the router gives. Times are in seconds.

Service layer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

from django.db import connections

from pgflow_django import engine
from pgflow_django.async_twins import async_twin, waiting_twin
from pgflow_django.choices import TRIAL_VERSION
from pgflow_django.conf import settings
from pgflow_django.definitions.shape import Document
from pgflow_django.drafts import Draft
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import StepFunction, registry
from pgflow_django.runs import control, trials
from pgflow_django.runs.acting import alias_of
from pgflow_django.runs.again import SAME, not_retryable
from pgflow_django.runs.code import definition_of
from pgflow_django.runs.control import (
    ControlResult,
    complete_step,
    pause_run,
    resume_run,
    retry_now,
    skip_step,
)
from pgflow_django.runs.executing import (
    Functions,
    Options,
    execute_run,
    own_worker,
    wait_timed_out,
)
from pgflow_django.runs.starting import (
    require_flow,
    start_code_flow,
    start_runs,
    start_stored_flow,
)
from pgflow_django.runs.status import (
    RunStatus,
    load_status,
    read_run_id,
    refuse_hopeless_wait,
)
from pgflow_django.storage.trouble import uses_database
from pgflow_django.worker.inline import work_inline
from pgflow_django.worker.patience import patiently
from pgflow_django.worker.pool import Pool

__all__ = [
    "ControlResult",
    "RunStatus",
    "acancel_run",
    "acomplete_step",
    "adrain",
    "aexecute",
    "aexecute_dynamic",
    "aget_run_status",
    "apause_run",
    "arerun",
    "aresume_run",
    "aretry_now",
    "aretry_run",
    "askip_step",
    "astart_flow",
    "astart_flows",
    "astart_trial",
    "await_",
    "cancel_run",
    "complete_step",
    "drain",
    "execute",
    "execute_dynamic",
    "get_run_status",
    "pause_run",
    "rerun",
    "resume_run",
    "retry_now",
    "retry_run",
    "skip_step",
    "start_flow",
    "start_flows",
    "start_trial",
    "wait",
]

_NOTHING: Final[dict[str, Any]] = {}
Watch = Callable[[UUID], None]


@uses_database
def execute_dynamic(
    workflow_slug: str,
    input: Any = _NOTHING,
    step_functions: Mapping[str, StepFunction] | None = None,
    *,
    timeout: float | None = None,
    poll_interval: float | None = None,
    using: str | None = None,
    on_start: Watch | None = None,
    on_tick: Watch | None = None,
) -> dict[str, Any]:
    """Run a stored flow in this process and give its output, ``{leaf step slug: output}``.

    ``step_functions`` maps step slugs to callables, over the registered ones; keys that name no
    step are ignored. ``timeout`` is the longest that the run may take, ``poll_interval`` how often
    to look for what changed elsewhere. ``on_start`` and ``on_tick`` are called with the run's id.

    Inside ``transaction.atomic()`` the steps run one at a time in the calling thread, on the
    caller's connection.

    Raises ``WorkflowNotFound``, ``StepFunctionMissing`` and ``InvalidInput`` before anything
    starts; then ``RunFailed``, ``RunCancelled``, or ``RunTimedOut`` (the run is cancelled).
    """
    alias = alias_of(using)
    functions = Functions(step_functions)
    steps = require_flow(workflow_slug, alias)
    functions.require(steps, workflow_slug)
    start = partial(
        start_stored_flow,
        workflow_slug,
        [input],
        alias,
        has_caller_functions=step_functions is not None,
    )
    return _execute(start, functions, Options(alias, timeout, poll_interval, on_start, on_tick))


@uses_database
def execute(
    flow: Any,
    input: Any = _NOTHING,
    *,
    timeout: float | None = None,
    poll_interval: float | None = None,
    using: str | None = None,
    on_start: Watch | None = None,
    on_tick: Watch | None = None,
) -> dict[str, Any]:
    """Run a flow defined in code (a ``Flow``, or any object with ``__workflow_steps__()``).

    Its stored definition is brought up to date first. Otherwise as ``execute_dynamic``; raises
    ``WorkflowConflict`` (``workflow_origin_conflict``) where the slug belongs to another origin.
    """
    alias = alias_of(using)
    code = definition_of(flow)
    is_registered = all(f is registry.get(f.name) for f in code.functions.values())
    start = partial(start_code_flow, code, [input], alias, has_caller_functions=not is_registered)
    options = Options(alias, timeout, poll_interval, on_start, on_tick)
    return _execute(start, Functions(code.functions), options)


@uses_database
def start_flow(
    flow: Any, input: Any = _NOTHING, *, key: str | None = None, using: str | None = None
) -> WorkflowRun:
    """Start a run for the workers, as part of the caller's transaction, and give it.

    ``flow`` is a slug, or a flow defined in code. With ``key``, a run of this flow that has the
    same key is given instead of a new one.

    Where Celery's ``task_always_eager`` is set the run is executed before this returns.

    Raises ``WorkflowNotFound``, ``WorkflowConflict`` (inactive, without steps), ``InvalidInput``.
    """
    return start_runs(flow, [input], alias_of(using), key=key)[0]


@uses_database
def start_flows(flow: Any, inputs: Iterable[Any], *, using: str | None = None) -> list[WorkflowRun]:
    """Start one run per input, in one round trip, and give them in that order; see start_flow."""
    inputs = list(inputs)
    return start_runs(flow, inputs, alias_of(using)) if inputs else []


@uses_database
def start_trial(
    draft: Document | Draft | str,
    input: Any = _NOTHING,
    *,
    outputs: Mapping[str, Any] | None = None,
    until: str | None = None,
    allow_effects: bool = False,
    using: str | None = None,
) -> WorkflowRun:
    """Start a run of a draft, for the workers, without publishing it; and give it.

    ``draft`` is the slug of a flow (its draft is tried, or what is published where there is none),
    a ``Draft``, or a flow document. No other start ever finds what a trial runs, and a trial counts
    in no list or rate unless asked for; ``pruneruns`` deletes it after ``TRIAL_DAYS``.

    Steps with an output in ``outputs`` are not called: ``{step: value}``, of a map step the list of
    what its tasks gave. What comes after the step ``until`` is left out, and so is what only steps
    with given outputs need.

    Raises ``TrialNeedsConsent`` where a function declares that it ``writes`` or is ``external``, or
    declares nothing, unless ``allow_effects``; as ``create_flow_from_spec`` for a document with
    errors; ``WorkflowNotFound``, ``WorkflowConflict`` (no steps) and ``InvalidInput`` (also of
    ``outputs`` and ``until``). Nothing has started then.
    """
    alias = alias_of(using)
    trial = trials.prepare(
        draft,
        input,
        outputs=outputs,
        until=until,
        allow_effects=allow_effects,
        using=alias,
    )
    run_id = trials.start_for_workers(trial, alias)
    return WorkflowRun.from_db(
        alias, ["id", "workflow_slug", "version"], [run_id, trial.flow.slug, TRIAL_VERSION]
    )


@uses_database
def wait(
    run_id: UUID | str,
    timeout: float | None = None,
    *,
    poll_interval: float | None = None,
    using: str | None = None,
) -> dict[str, Any]:
    """Wait until workers have ended a run, and give its output.

    Raises ``RunFailed``, ``RunCancelled``, ``RunNotFound``; ``RunTimedOut`` when ``timeout``
    seconds were not enough: the run is not the caller's own, so it goes on; and ``WaitRefused``
    where it could never end: in the transaction that has started the run, or took it up again.
    """
    alias, run_id = alias_of(using), read_run_id(run_id)
    interval = settings.POLL_INTERVAL if poll_interval is None else poll_interval
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        status = load_status(run_id, using=alias)
        if status.has_ended:
            return status.result()
        if connections[alias].in_atomic_block:
            refuse_hopeless_wait(run_id, using=alias)
        left = interval if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise wait_timed_out(load_status(run_id, using=alias, explain=True), timeout)
        time.sleep(min(interval, left))


@uses_database
def get_run_status(run_id: UUID | str, *, using: str | None = None) -> RunStatus:
    """How a run stands: status, output, error, steps, and what it waits for.

    Raises ``RunNotFound``.
    """
    return load_status(read_run_id(run_id), using=alias_of(using), explain=True)


@uses_database
def cancel_run(
    run_id: UUID | str,
    *,
    reason: str = "cancelled by request",
    by: str = "",
    using: str | None = None,
) -> RunStatus:
    """Cancel a run with all that it has left; nothing where it has ended. Gives its status.

    ``by`` says who does it, in free text, for the run's events. Functions that run just now go on
    to their end, and their results are refused; see ``context.cancelled()``. Raises
    ``RunNotFound``.
    """
    done = control.cancel_run(run_id, reason=reason, by=by, using=using)
    return load_status(done.run_id, using=alias_of(using))


@uses_database
def retry_run(
    run_id: UUID | str,
    *,
    step_functions: Mapping[str, StepFunction] | None = None,
    timeout: float | None = None,
    step: str | None = None,
    index: int | None = None,
    hold: bool = False,
    by: str = "",
    using: str | None = None,
) -> WorkflowRun:
    """Take a failed or cancelled run up again; what had completed keeps its output.

    Without ``step_functions`` the run is left to the workers. With them it is executed in this
    process, which raises as ``execute_dynamic`` does; so it must be where its caller had passed
    the functions.

    ``hold`` leaves it paused, until ``resume_run``. So does ``step``, which is tried first, or the
    one task of it with this ``index`` (from 0): nothing else is sent before the run is resumed.

    Raises ``RunNotRetryable``, ``RunNotFound``, ``StepFunctionMissing``; and ``ActionRefused`` for
    what can't be tried: ``step_not_found``, ``task_not_found``, ``step_already_done``.
    """
    alias = alias_of(using)
    how: dict[str, Any] = {"step": step, "index": index, "hold": hold, "by": by, "using": alias}
    done = control.retry_run(run_id, step_functions=step_functions, timeout=timeout, **how)
    run = WorkflowRun.objects.using(alias).get(id=done.run_id)
    if not done.did:
        raise not_retryable(run, done.before)
    return run


@uses_database
def rerun(
    run_id: UUID | str,
    *,
    input: Any = SAME,
    from_step: str | None = None,
    key: str | None = None,
    by: str = "",
    using: str | None = None,
) -> WorkflowRun:
    """Start a new run with the input of another one, or with another ``input``, and give it.

    The old run stays as it is; the new one names it in ``rerun_of``. It is of the flow as it is
    now, for the workers. With ``from_step`` it is of the old run's version, and takes over what is
    done there and does not come after that step. With ``key``, a run of the flow that has the same
    key is given instead of a new one.

    Raises ``RunNotFound`` and ``StepFunctionMissing``; as ``start_flow`` does; and
    ``ActionRefused``: ``step_not_found``, and ``rerun_not_possible`` where something is not done
    that the step waits for.
    """
    alias = alias_of(using)
    done = control.rerun(run_id, input=input, from_step=from_step, key=key, by=by, using=alias)
    return WorkflowRun.objects.using(alias).get(id=cast("UUID", done.new_run_id))


@uses_database
def drain(
    queues: Sequence[str] | None = None,
    timeout: float | None = None,
    *,
    using: str | None = None,
) -> bool:
    """Act as a worker in this process until nothing is left to do.

    Takes what registered functions can run from ``queues`` (all by default), waiting for what is
    due later. Gives False when ``timeout`` seconds came first: what runs is finished then, what
    was claimed beside it is handed back.
    """
    alias = alias_of(using)
    deadline = None if timeout is None else time.monotonic() + timeout
    if queues is None:
        queues = patiently(partial(engine.list_queues, using=alias), using=alias)
    with own_worker(alias, queues, registry.names()) as worker:
        if connections[alias].in_atomic_block:
            is_done, _ = work_inline(
                using=alias, worker=worker, resolve=Functions(), deadline=deadline
            )
            return is_done
        pool = Pool(using=alias, worker=worker, resolve=Functions())
        try:
            return pool.work_until(lambda due: due is None, deadline=deadline)
        finally:
            pool.close()


def _execute(
    start: Callable[..., list[UUID]], functions: Functions, options: Options
) -> dict[str, Any]:
    with own_worker(options.using) as worker:
        run_id = start(owner=worker)[0]
        status = execute_run(run_id, worker, functions, options)
    return status.result()


aexecute_dynamic = waiting_twin(execute_dynamic)
aexecute = waiting_twin(execute)
astart_flow = async_twin(start_flow)
astart_flows = async_twin(start_flows)
astart_trial = async_twin(start_trial)
aget_run_status = async_twin(get_run_status)
acancel_run = async_twin(cancel_run)
apause_run = async_twin(pause_run)
aresume_run = async_twin(resume_run)
aretry_now = async_twin(retry_now)
askip_step = async_twin(skip_step)
acomplete_step = async_twin(complete_step)
aretry_run = waiting_twin(retry_run)
arerun = waiting_twin(rerun)
adrain = waiting_twin(drain)
#: The async twin of ``wait``; ``await`` itself is a keyword.
await_ = waiting_twin(wait)
