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
from typing import Any, Final
from uuid import UUID

from django.db import connections, router

from pgflow_django import engine
from pgflow_django.async_twins import async_twin, waiting_twin
from pgflow_django.choices import TRIAL_VERSION
from pgflow_django.conf import settings
from pgflow_django.definitions.shape import Document
from pgflow_django.drafts import Draft
from pgflow_django.exceptions import (
    RunNotFound,
    RunNotRetryable,
    StepFunctionMissing,
)
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import StepFunction, registry
from pgflow_django.runs import control, delivery, trials
from pgflow_django.runs.code import definition_of
from pgflow_django.runs.control import ControlResult, pause_run, resume_run
from pgflow_django.runs.executing import (
    Functions,
    Options,
    execute_run,
    functions_of_version,
    own_worker,
    raise_if_failed,
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
    "adrain",
    "aexecute",
    "aexecute_dynamic",
    "aget_run_status",
    "apause_run",
    "aresume_run",
    "aretry_run",
    "astart_flow",
    "astart_flows",
    "astart_trial",
    "await_",
    "cancel_run",
    "drain",
    "execute",
    "execute_dynamic",
    "get_run_status",
    "pause_run",
    "resume_run",
    "retry_run",
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
    alias = _alias(using)
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
    alias = _alias(using)
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
    return start_runs(flow, [input], _alias(using), key=key)[0]


@uses_database
def start_flows(flow: Any, inputs: Iterable[Any], *, using: str | None = None) -> list[WorkflowRun]:
    """Start one run per input, in one round trip, and give them in that order; see start_flow."""
    inputs = list(inputs)
    return start_runs(flow, inputs, _alias(using)) if inputs else []


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
    alias = _alias(using)
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
    alias, run_id = _alias(using), read_run_id(run_id)
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
    return load_status(read_run_id(run_id), using=_alias(using), explain=True)


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
    return load_status(done.run_id, using=_alias(using))


@uses_database
def retry_run(
    run_id: UUID | str,
    *,
    step_functions: Mapping[str, StepFunction] | None = None,
    timeout: float | None = None,
    using: str | None = None,
) -> WorkflowRun:
    """Take a failed or cancelled run up again; what had completed keeps its output.

    Without ``step_functions`` the run is left to the workers. With them it is executed in this
    process, which raises as ``execute_dynamic`` does; so it must be where its caller had passed
    the functions. Raises ``RunNotRetryable``, ``RunNotFound``, ``StepFunctionMissing``.
    """
    alias, run_id = _alias(using), read_run_id(run_id)
    run = WorkflowRun.objects.using(alias).filter(id=run_id).first()
    if run is None:
        raise RunNotFound(run_id)
    if step_functions is None and run.has_caller_functions:
        raise StepFunctionMissing(
            f"run {run_id} was executed with functions of its caller, which workers don't "
            "have: pass step_functions={step slug: function} to retry it in this process",
            missing=list(functions_of_version(run.version_id, using=alias).items()),
        )
    is_eager = step_functions is None and delivery.is_eager()
    if step_functions is None and not is_eager:
        _retry(run, None, alias)
    else:
        functions = Functions(step_functions)
        functions.require(functions_of_version(run.version_id, using=alias), run.workflow_slug)
        with own_worker(alias) as worker:
            _retry(run, worker, alias)
            options = Options(alias, timeout, in_thread=is_eager)
            status = execute_run(run_id, worker, functions, options)
        if is_eager:
            raise_if_failed(status)
        else:
            status.result()
    run.refresh_from_db(using=alias)
    return run


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
    alias = _alias(using)
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


def _retry(run: WorkflowRun, owner: int | None, alias: str) -> None:
    before = engine.retry_run(run.id, owner, using=alias)
    if before is None:
        raise RunNotFound(run.id, " any more: it is being deleted")
    if before not in ("failed", "cancelled"):
        raise RunNotRetryable(
            f'run {run.id} of flow "{run.workflow_slug}" can\'t be retried: it is {before}; only '
            "failed and cancelled runs can",
            run_id=run.id,
        )


def _alias(using: str | None) -> str:
    return using or router.db_for_write(WorkflowRun)


aexecute_dynamic = waiting_twin(execute_dynamic)
aexecute = waiting_twin(execute)
astart_flow = async_twin(start_flow)
astart_flows = async_twin(start_flows)
astart_trial = async_twin(start_trial)
aget_run_status = async_twin(get_run_status)
acancel_run = async_twin(cancel_run)
apause_run = async_twin(pause_run)
aresume_run = async_twin(resume_run)
aretry_run = waiting_twin(retry_run)
adrain = waiting_twin(drain)
#: The async twin of ``wait``; ``await`` itself is a keyword.
await_ = waiting_twin(wait)
