"""Runs: start, execute, wait for, look at, cancel and retry them.

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

from asgiref.sync import sync_to_async
from django.db import connections, router

from pgflow_django import engine, jsonvalue
from pgflow_django.conf import settings
from pgflow_django.engine import WorkflowOutdated
from pgflow_django.exceptions import (
    InvalidInput,
    RunNotFound,
    RunNotRetryable,
    RunTimedOut,
    StepFunctionMissing,
    WorkflowNotFound,
)
from pgflow_django.flows import CodeFlow, definition_of, sync_code_flow
from pgflow_django.graph import did_you_mean, is_valid_slug, nearest_names
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.registry import StepFunction, registry
from pgflow_django.running import (
    Functions,
    Options,
    execute_run,
    functions_of_flow,
    functions_of_version,
    own_worker,
)
from pgflow_django.status import RunStatus, load_status
from pgflow_django.worker.current import current_run
from pgflow_django.worker.inline import work_inline
from pgflow_django.worker.pool import Pool, register

__all__ = [
    "RunStatus",
    "acancel_run",
    "adrain",
    "aexecute",
    "aexecute_dynamic",
    "aget_run_status",
    "aretry_run",
    "astart_flow",
    "astart_flows",
    "await_",
    "cancel_run",
    "drain",
    "execute",
    "execute_dynamic",
    "get_run_status",
    "retry_run",
    "start_flow",
    "start_flows",
    "wait",
]

#: Longest key of a run, in characters: it must fit into an index.
_KEY_LENGTH: Final = 255
_NOTHING: Final[dict[str, Any]] = {}
Watch = Callable[[UUID], None]


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
    steps = _require_flow(workflow_slug, alias)
    functions.require(steps, workflow_slug)
    start = partial(
        _start, workflow_slug, [input], alias, has_caller_functions=step_functions is not None
    )
    return _execute(start, functions, Options(alias, timeout, poll_interval, on_start, on_tick))


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
    is_registered = all(registry.get(name) for name in _function_names(code))
    start = partial(_start_code, code, [input], alias, has_caller_functions=not is_registered)
    options = Options(alias, timeout, poll_interval, on_start, on_tick)
    return _execute(start, Functions(code.functions), options)


def start_flow(
    flow: Any, input: Any = _NOTHING, *, key: str | None = None, using: str | None = None
) -> WorkflowRun:
    """Start a run for the workers, as part of the caller's transaction, and give it.

    ``flow`` is a slug, or a flow defined in code. With ``key``, a run of this flow that has the
    same key is given instead of a new one.

    Raises ``WorkflowNotFound``, ``WorkflowConflict`` (inactive, without steps), ``InvalidInput``.
    """
    return _start_any(flow, [input], _alias(using), key=key)[0]


def start_flows(flow: Any, inputs: Iterable[Any], *, using: str | None = None) -> list[WorkflowRun]:
    """Start one run per input, in one round trip, and give them in that order; see start_flow."""
    inputs = list(inputs)
    return _start_any(flow, inputs, _alias(using)) if inputs else []


def wait(
    run_id: UUID | str,
    timeout: float | None = None,
    *,
    poll_interval: float | None = None,
    using: str | None = None,
) -> dict[str, Any]:
    """Wait until workers have ended a run, and give its output.

    Raises ``RunFailed``, ``RunCancelled``, ``RunNotFound``; and ``RunTimedOut`` when ``timeout``
    seconds were not enough: the run is not the caller's own, so it goes on.
    """
    alias, run_id = _alias(using), _uuid(run_id)
    interval = settings.POLL_INTERVAL if poll_interval is None else poll_interval
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        status = load_status(run_id, using=alias)
        if status.has_ended:
            return status.result()
        left = interval if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise RunTimedOut(
                f'run {run_id} of flow "{status.workflow_slug}" has not ended within {timeout:g} s '
                f"and goes on: {status.completed_steps} of {status.total_steps} steps are "
                "completed. Is a worker running?",
                run_id=run_id,
            )
        time.sleep(min(interval, left))


def get_run_status(run_id: UUID | str, *, using: str | None = None) -> RunStatus:
    """How a run stands: status, output, error, steps; raises ``RunNotFound``."""
    return load_status(_uuid(run_id), using=_alias(using))


def cancel_run(
    run_id: UUID | str, *, reason: str = "cancelled by request", using: str | None = None
) -> RunStatus:
    """Cancel a run with all that it has left; nothing where it has ended. Gives its status.

    Functions that run just now go on to their end, and their results are refused; see
    ``context.cancelled()``. Raises ``RunNotFound``.
    """
    alias, run_id = _alias(using), _uuid(run_id)
    if engine.cancel_run(run_id, reason, using=alias) is None:
        raise RunNotFound(f"there is no run {run_id}", run_id=run_id)
    return load_status(run_id, using=alias)


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
    alias, run_id = _alias(using), _uuid(run_id)
    run = WorkflowRun.objects.using(alias).filter(id=run_id).first()
    if run is None:
        raise RunNotFound(f"there is no run {run_id}", run_id=run_id)
    if step_functions is None:
        if run.has_caller_functions:
            raise StepFunctionMissing(
                f"run {run_id} was executed with functions of its caller, which workers don't "
                "have: pass step_functions={step slug: function} to retry it in this process",
                missing=list(functions_of_version(run.version_id, using=alias).items()),
            )
        _retry(run, None, alias)
    else:
        functions = Functions(step_functions)
        functions.require(functions_of_version(run.version_id, using=alias), run.workflow_slug)
        with own_worker(alias) as worker:
            _retry(run, worker, alias)
            execute_run(run_id, worker, functions, Options(alias, timeout)).result()
    run.refresh_from_db(using=alias)
    return run


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
    if not connections[alias].in_atomic_block:
        engine.sweep(using=alias)
    names = engine.list_queues(using=alias) if queues is None else queues
    worker = register(alias, names, registry.names())
    try:
        if connections[alias].in_atomic_block:
            return work_inline(using=alias, worker=worker, resolve=Functions(), deadline=deadline)[
                0
            ]
        pool = Pool(using=alias, worker=worker, resolve=Functions())
        try:
            return pool.work_until(
                lambda: pool.is_idle() and engine.next_visible(worker, using=alias) is None,
                deadline=deadline,
            )
        finally:
            pool.close()
    finally:
        engine.remove_worker(worker, using=alias)


def _execute(
    start: Callable[..., list[UUID]], functions: Functions, options: Options
) -> dict[str, Any]:
    with own_worker(options.using) as worker:
        run_id = start(owner=worker)[0]
        status = execute_run(run_id, worker, functions, options)
    return status.result()


def _start_any(
    flow: Any, inputs: list[Any], alias: str, key: str | None = None
) -> list[WorkflowRun]:
    if isinstance(flow, str):
        slug = flow
        ids = _start(slug, inputs, alias, key=key)
    else:
        code = definition_of(flow)
        slug = code.slug
        ids = _start_code(code, inputs, alias, key=key)
    # Everything else of the run is read when asked for: most callers only keep the id.
    return [WorkflowRun.from_db(alias, ["id", "workflow_slug"], [id_, slug]) for id_ in ids]


def _start_code(code: CodeFlow, inputs: list[Any], alias: str, **options: Any) -> list[UUID]:
    """Start a code flow, after writing its definition where the stored one is another."""
    try:
        return _start(code.slug, inputs, alias, fingerprint=code.fingerprint, **options)
    except (WorkflowNotFound, WorkflowOutdated):
        sync_code_flow(code, using=alias)
        return _start(code.slug, inputs, alias, fingerprint=code.fingerprint, **options)


def _start(
    slug: str, inputs: list[Any], alias: str, *, key: Any = None, **options: Any
) -> list[UUID]:
    if not is_valid_slug(slug):
        raise _not_found(slug, alias)
    if key is not None and not _is_good_key(key):
        raise InvalidInput(
            f'flow "{slug}" was not started: key must be a text of 1 to {_KEY_LENGTH} characters '
            "(no \\u0000, no lone surrogates), "
            f"not {key!r:.80}"
        )
    limit = settings.MAX_INPUT_BYTES
    texts = [
        jsonvalue.encode(
            value,
            subject=f'The input of flow "{slug}"',
            not_json=InvalidInput,
            too_large=_input_too_large,
            limit=limit,
        )
        for value in inputs
    ]
    try:
        return engine.start_flow(
            slug,
            f"[{','.join(texts)}]",
            using=alias,
            key=key,
            parent=current_run(),
            **options,
        )
    except WorkflowNotFound:
        raise _not_found(slug, alias) from None


def _is_good_key(key: Any) -> bool:
    return (
        isinstance(key, str) and 0 < len(key) <= _KEY_LENGTH and jsonvalue.find_problem(key) is None
    )


def _retry(run: WorkflowRun, owner: int | None, alias: str) -> None:
    before = engine.retry_run(run.id, owner, using=alias)
    if before not in ("failed", "cancelled"):
        raise RunNotRetryable(
            f'run {run.id} of flow "{run.workflow_slug}" can\'t be retried: it is {before}; only '
            "failed and cancelled runs can",
            run_id=run.id,
        )


def _require_flow(slug: Any, alias: str) -> dict[str, str]:
    """``{step slug: function name}`` of a stored flow; raises ``WorkflowNotFound``."""
    steps = functions_of_flow(slug, using=alias) if is_valid_slug(slug) else {}
    if not steps and not (
        is_valid_slug(slug) and Workflow.objects.using(alias).filter(pk=slug).exists()
    ):
        raise _not_found(slug, alias)
    return steps


def _not_found(slug: Any, alias: str) -> WorkflowNotFound:
    slugs = Workflow.objects.using(alias).values_list("workflow_slug", flat=True)
    hint = did_you_mean(nearest_names(slug, slugs))
    return WorkflowNotFound(f'there is no flow "{slug}"{hint}')


def _input_too_large(message: str) -> InvalidInput:
    return InvalidInput(message, code="input_too_large")


def _function_names(code: CodeFlow) -> list[str]:
    return [step.get("uses") or step["slug"] for step in code.document["steps"]]


def _alias(using: str | None) -> str:
    return using or router.db_for_write(WorkflowRun)


def _uuid(run_id: UUID | str) -> UUID:
    try:
        return run_id if isinstance(run_id, UUID) else UUID(str(run_id))
    except ValueError:
        raise RunNotFound(f"there is no run {run_id!r}: a run's id is a UUID") from None


aexecute_dynamic = sync_to_async(execute_dynamic)
aexecute = sync_to_async(execute)
astart_flow = sync_to_async(start_flow)
astart_flows = sync_to_async(start_flows)
aget_run_status = sync_to_async(get_run_status)
acancel_run = sync_to_async(cancel_run)
aretry_run = sync_to_async(retry_run)
adrain = sync_to_async(drain)
#: The async twin of ``wait``; ``await`` itself is a keyword.
await_ = sync_to_async(wait)
