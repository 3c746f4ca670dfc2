"""Why a run stands as it does: ``explain_run``.

Service layer. Eight queries at most, and rows of bounded number and size, whatever the run's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import router
from django.db.models import F, Func, OuterRef, QuerySet, Subquery, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import JSONObject, Left

from pgflow_django.choices import TRIAL_VERSION, RunState, StepStatus
from pgflow_django.exceptions import RunNotFound
from pgflow_django.models import (
    Workflow,
    WorkflowRun,
    WorkflowRunEvent,
    WorkflowStepState,
)
from pgflow_django.runs.explanation import MAX_NAMES, Cause, Explanation, Slow, clip
from pgflow_django.runs.failures import MESSAGE, explain_failure, load_attempts, read_situation
from pgflow_django.runs.next_actions import advise_cancelled, advise_waiting
from pgflow_django.runs.status import read_run_id
from pgflow_django.runs.waiting import find_waiting
from pgflow_django.storage.trouble import uses_database

Row = Mapping[str, Any]

#: Characters that are read of a text; how many bytes of JSON they may take is said where they go.
_READ = 4_000
_HEADLINE = 400
_SLOWEST = 5
_FACTS = ("workflow_slug", "version", "version_id", "status", "owner_id", "has_caller_functions")
_MOMENTS = ("started_at", "ended_at")
_ERROR = ("code", "step_slug", "error_type", "error_message")


@uses_database
def explain_run(run_id: UUID | str, *, using: str | None = None) -> Explanation:
    """Why a run failed, waits, was cancelled or took so long, and what to do next.

    One shape for every status; ``to_dict()`` gives it as a JSON object of at most 16 KB. Messages,
    tracebacks and keys come from step functions and their data. Raises ``RunNotFound``.
    """
    alias = using or router.db_for_write(WorkflowRun)  # as get_run_status
    return explain(read_run_id(run_id), using=alias)


def explain(
    run_id: UUID, *, using: str, others: QuerySet[WorkflowRun] | None = None
) -> Explanation:
    """See ``explain_run``. ``others`` are the runs that it may be compared with, if not all."""
    run = _load_run(run_id, using)
    states = list(
        WorkflowStepState.objects.using(using)
        .filter(run_id=run_id)
        .order_by("step_index")
        .values("step_slug", "status", *_MOMENTS)
    )
    found = _begin(run_id, run, states)
    match run["status"]:
        case RunState.FAILED:
            explained = explain_failure(found, run, states, using, others)
        case RunState.CANCELLED:
            explained = _explain_cancellation(found, run, using)
        case RunState.COMPLETED:
            explained = _explain_success(found, run, states)
        case _:
            explained = _explain_waiting(found, run, len(states), using)
    if run["status"] != RunState.FAILED:
        attempts, total = load_attempts(run_id, using)
        explained = replace(explained, attempts=attempts, attempts_total=total)
    return replace(explained, headline=clip(explained.headline, _HEADLINE))


def _begin(run_id: UUID, run: Row, states: Sequence[Row]) -> Explanation:
    """What is said of a run whatever its status."""
    left = [row["step_slug"] for row in states if row["status"] == StepStatus.CANCELLED]
    done = {StepStatus.COMPLETED, StepStatus.SKIPPED}
    return Explanation(
        run_id=run_id,
        flow=run["workflow_slug"],
        version=run["version"],
        status=run["status"],
        headline="",
        is_trial=run["version"] == TRIAL_VERSION,
        cancelled=tuple(left[:MAX_NAMES]),
        cancelled_total=len(left),
        completed=sum(row["status"] in done for row in states),
    )


def _load_run(run_id: UUID, using: str) -> Row:
    error = JSONObject(
        **{name: Left(KT(f"error__{name}"), _READ) for name in _ERROR},
        traceback=Func(KT("error__traceback"), _READ, function="right", output_field=TextField()),
        **{name: F(f"error__{name}") for name in ("task_index", "attempt", "problems")},
    )
    flows = Workflow.objects.filter(workflow_slug=OuterRef("workflow_slug"))
    runs = WorkflowRun.objects.using(using).filter(id=run_id)
    run: Row | None = runs.annotate(
        found=error,
        now=Subquery(
            flows.values(found=JSONObject(v="version", origin="origin", since="created_at"))
        ),
    ).values(*_FACTS, *_MOMENTS, "found", "now").first()  # fmt: skip
    if run is None:
        raise RunNotFound(run_id)
    return run


# -- the other statuses ------------------------------------------------------------------------


def _explain_cancellation(found: Explanation, run: Row, using: str) -> Explanation:
    events = WorkflowRunEvent.objects.using(using).filter(run_id=found.run_id, kind="cancelled")
    reason = events.order_by("-id").values_list(Left("message", _READ), flat=True).first() or ""
    return replace(
        found,
        headline=f"Cancelled: {reason}" if reason else "Cancelled",
        cause=Cause(code="run_cancelled", message=clip(reason, MESSAGE)),
        next=advise_cancelled(read_situation(found.run_id, run, using)),
    )


def _explain_success(found: Explanation, run: Row, states: Sequence[Row]) -> Explanation:
    took = [
        Slow(row["step_slug"], round((row["ended_at"] - row["started_at"]).total_seconds(), 3))
        for row in states
        if row["started_at"] and row["ended_at"]
    ]
    slowest = sorted(took, key=lambda slow: -slow.seconds)[:_SLOWEST]
    seconds = (run["ended_at"] - run["started_at"]).total_seconds()
    text = f"Completed in {seconds:,.1f} s"
    if slowest:
        text += f'; step "{slowest[0].step}" took longest, {slowest[0].seconds:,.1f} s'
    return replace(found, headline=text, slowest=tuple(slowest))


def _explain_waiting(found: Explanation, run: Row, steps: int, using: str) -> Explanation:
    waiting = find_waiting(
        found.run_id,
        status=run["status"],
        version_id=run["version_id"],
        owner_id=run["owner_id"],
        using=using,
    )
    text = f"It goes on: {found.completed} of {steps} steps are done"
    return replace(
        found,
        headline=f"It waits: {waiting.message}" if waiting else text,
        waiting=waiting,
        next=advise_waiting(waiting, found.run_id, using=using),
    )
