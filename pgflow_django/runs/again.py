"""Runs that are done again: taken up after their end, or started anew from what they began with.

Service layer, below ``control``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from pgflow_django import engine
from pgflow_django.choices import RunState
from pgflow_django.exceptions import RunNotFound, RunNotRetryable, WorkflowNotFound
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.registry import StepFunction
from pgflow_django.runs import delivery
from pgflow_django.runs.acting import (
    ControlResult,
    alias_of,
    clean,
    load_run,
    load_run_status,
    read_task,
    refuse_functions_of_caller,
)
from pgflow_django.runs.checking import encode_input, refuse_misfit, start_checked
from pgflow_django.runs.executing import (
    Functions,
    Options,
    execute_run,
    functions_of_version,
    own_worker,
    raise_if_failed,
)
from pgflow_django.runs.starting import require_flow
from pgflow_django.runs.status import RunStatus, read_run_id
from pgflow_django.storage.definitions import workflow_not_found
from pgflow_django.storage.trouble import uses_database
from pgflow_django.worker.current import current_run


class _Same:
    """In place of an input: that of the run."""

    def __repr__(self) -> str:
        return "same"


SAME: Final[Any] = _Same()


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
) -> ControlResult:
    """Take a failed or cancelled run up again; nothing where it goes on already.

    See ``executor.retry_run``, which raises where nothing was done. Raises as that does.
    """
    alias, run_id = alias_of(using), read_run_id(run_id)
    run = load_run(run_id, using=alias)
    if step_functions is None:
        refuse_functions_of_caller(run, using=alias)
    step, index = read_task(run_id, step, index)
    take_up = partial(_take_up, run, alias, step=step, index=index, hold=hold, by=clean(by))
    is_held = hold or step is not None
    is_eager = step_functions is None and not is_held and delivery.is_eager()
    if step_functions is None and not is_eager:
        before = take_up(None)
    else:
        functions = Functions(step_functions)
        functions.require(functions_of_version(run.version_id, using=alias), run.workflow_slug)
        with own_worker(alias) as worker:
            before = take_up(worker)
            if not RunState(before).is_terminal:
                return ControlResult("retry", run_id, False, before, before)
            options = Options(alias, timeout, in_thread=is_eager)
            _raise_for(execute_run(run_id, worker, functions, options), is_eager=is_eager)
    status = load_run_status(run_id, using=alias)
    return ControlResult("retry", run_id, RunState(before).is_terminal, before, status)


def _take_up(run: WorkflowRun, alias: str, owner: int | None, **options: Any) -> str:
    before = engine.retry_run(run.id, owner, using=alias, **options)
    if before is None:
        raise RunNotFound(run.id, " any more: it is being deleted")
    if before == RunState.COMPLETED:
        raise not_retryable(run, before)
    return before


def not_retryable(run: WorkflowRun, status: str) -> RunNotRetryable:
    """The error for a run that can't be taken up again, since this is its status."""
    return RunNotRetryable(
        f'run {run.id} of flow "{run.workflow_slug}" can\'t be retried: it is {status}; only '
        "failed and cancelled runs can",
        run_id=run.id,
    )


def _raise_for(status: RunStatus, *, is_eager: bool) -> None:
    if is_eager:
        raise_if_failed(status)
    else:
        status.result()


@uses_database
def rerun(
    run_id: UUID | str,
    *,
    input: Any = SAME,
    from_step: str | None = None,
    key: str | None = None,
    by: str = "",
    using: str | None = None,
) -> ControlResult:
    """Start a new run with the input of another one, whatever has become of that.

    The result has the new run in ``new_run_id``; ``before`` and ``status`` are of the old one,
    which stays as it is. See ``executor.rerun``; raises as that does.
    """
    alias, run_id = alias_of(using), read_run_id(run_id)
    run = load_run(run_id, using=alias)
    refuse_functions_of_caller(run, using=alias)
    text = None if input is SAME else encode_input(run.workflow_slug, input)
    start = partial(
        _start, run, alias, text, from_step=from_step and clean(from_step), key=key, by=clean(by)
    )
    if not delivery.is_eager():
        new_run_id = start()
    else:
        functions = Functions()
        functions.require(_functions_of(run, alias, from_step), run.workflow_slug)
        with own_worker(alias) as worker:
            new_run_id = start(owner=worker)
            status = execute_run(new_run_id, worker, functions, Options(alias, in_thread=True))
        raise_if_failed(status)
    return ControlResult("rerun", run_id, True, run.status, run.status, new_run_id=new_run_id)


def _start(
    run: WorkflowRun, alias: str, text: str | None, *, from_step: str | None, **options: Any
) -> UUID:
    call = partial(
        engine.rerun,
        run.id,
        run.workflow_slug,
        using=alias,
        input_json=text,
        from_step=from_step,
        parent=current_run(),
        **options,
    )
    if from_step is None:
        texts = [_read_input(run, alias) if text is None else text]
        try:
            (new_run_id,) = start_checked(
                run.workflow_slug,
                texts,
                lambda digest: [_found(run, call(checked=digest))],
                using=alias,
            )
        except WorkflowNotFound:
            raise workflow_not_found(run.workflow_slug, using=alias) from None
        return new_run_id
    if text is not None and not run.is_trial:
        schemas = Workflow.objects.using(alias).filter(pk=run.workflow_slug)
        schema = schemas.values_list("input_schema", flat=True).first()
        if schema is not None:
            refuse_misfit(run.workflow_slug, schema, text)
    return _found(run, call())


def _found(run: WorkflowRun, new_run_id: UUID | None) -> UUID:
    if new_run_id is None:
        raise RunNotFound(run.id, " any more: it is being deleted")
    return new_run_id


def _read_input(run: WorkflowRun, alias: str) -> str:
    """The input as text: Python would round some of its numbers."""
    rows = WorkflowRun.objects.using(alias).filter(id=run.id)
    texts = rows.values_list(Cast("input", TextField()), flat=True)
    return texts.first() or "null"


def _functions_of(run: WorkflowRun, alias: str, from_step: str | None) -> dict[str, str]:
    if from_step is None and not run.is_trial:
        return require_flow(run.workflow_slug, alias)
    return functions_of_version(run.version_id, using=alias)
