"""What acts upon runs share: their result, and how their arguments are read. See ``control``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import router

from pgflow_django import jsonvalue
from pgflow_django.exceptions import ActionRefused, RunNotFound, StepFunctionMissing
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.executing import functions_of_version

ActionName = Literal["cancel", "pause", "resume", "retry", "retry_now", "skip", "complete", "rerun"]
#: Characters of who acts and why.
_LIMIT = 1_000
#: The largest index that a task can have.
_MAX_INDEX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What became of an act: ``did`` is whether this call did it, so that it is logged once.

    ``before`` is the run's status as it was found, ``status`` as it was right after. ``tasks`` is
    how many tasks were hurried or decided, ``steps`` are the steps that are done by that, and
    ``new_run_id`` is the run that a rerun has started.
    """

    action: ActionName
    run_id: UUID
    did: bool
    before: str
    status: str
    tasks: int = 0
    steps: tuple[str, ...] = ()
    new_run_id: UUID | None = None


def alias_of(using: str | None) -> str:
    """The database of runs: the given one, or that of the router."""
    return using or router.db_for_write(WorkflowRun)


def clean(text: str) -> str:
    """A person's words as they can be stored."""
    return jsonvalue.storable_text(text, limit=_LIMIT)


def read_task(run_id: UUID, step: str | None, index: int | None) -> tuple[str | None, int | None]:
    """The step, and the index of a task, as the database takes them.

    Raises ``ActionRefused`` for what no run has: an index without a step, or far out of range.
    """
    if index is None:
        return step and clean(step), None
    if step is None:
        raise ActionRefused(
            f"task {index} of which step of run {run_id}? Name it, too",
            code="step_not_found",
            run_id=run_id,
        )
    if not 0 <= index <= _MAX_INDEX:
        raise ActionRefused(
            f'step "{step}" of run {run_id} has no task {index}',
            code="task_not_found",
            run_id=run_id,
        )
    return clean(step), index


def load_run(run_id: UUID, *, using: str) -> WorkflowRun:
    """A run without its payloads; raises ``RunNotFound``."""
    run = WorkflowRun.objects.using(using).filter(id=run_id).defer("input", "output").first()
    if run is None:
        raise RunNotFound(run_id)
    return run


def load_run_status(run_id: UUID, *, using: str) -> str:
    """Where a run stands now; raises ``RunNotFound``."""
    found = WorkflowRun.objects.using(using).filter(id=run_id).values_list("status", flat=True)
    status = found.first()
    if status is None:
        raise RunNotFound(run_id)
    return status


def refuse_functions_of_caller(run: WorkflowRun, *, using: str) -> None:
    """Raise ``StepFunctionMissing`` where workers don't have a run's functions."""
    if run.has_caller_functions:
        raise StepFunctionMissing(
            f"run {run.pk} was executed with functions of its caller, which workers don't have: "
            "pass step_functions={step slug: function} to retry_run() to do it in this process",
            missing=list(functions_of_version(run.version_id, using=using).items()),
        )
