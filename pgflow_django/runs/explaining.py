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
)
from pgflow_django.runs.explanation import MAX_NAMES, Cause, Explanation, Slow, clip
from pgflow_django.runs.failures import MESSAGE, explain_failure, load_attempts, read_situation
from pgflow_django.runs.next_actions import advise_cancelled, advise_waiting
from pgflow_django.runs.status import read_run_id
from pgflow_django.runs.why.ended import Note, read_note, say_cancelled, say_completed, say_failed
from pgflow_django.runs.why.facts import Subject
from pgflow_django.runs.why.finding import Why, find_why, load_steps
from pgflow_django.runs.why.reason import Reason
from pgflow_django.runs.why.standing import Standing
from pgflow_django.storage.trouble import uses_database

Row = Mapping[str, Any]

#: Characters that are read of a text; how many bytes of JSON they may take is said where they go.
_READ = 4_000
_HEADLINE = 400
_SLOWEST = 5
_PINNED = ("version_id", "owner_id", "has_caller_functions")
_FACTS = ("workflow_slug", "version", "status", *_PINNED)
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
    subject = _subject_of(run_id, run, using)
    steps = load_steps(subject)
    found = _begin(run_id, run, steps)
    reason: Reason | None = None
    match run["status"]:
        case RunState.FAILED:
            explained = explain_failure(found, run, steps, using, others)
            reason = say_failed(subject, steps)
        case RunState.CANCELLED:
            note = read_note(run_id, "cancelled", using=using)
            explained = _explain_cancellation(found, run, note, using)
            reason = say_cancelled(subject, note, steps)
        case RunState.COMPLETED:
            explained = _explain_success(found, run, steps)
            reason = say_completed(subject)
        case _:
            explained = _explain_waiting(found, find_why(subject, steps), len(steps))
    if reason is not None:
        explained = replace(explained, reasons=(reason,))
    if run["status"] != RunState.FAILED:
        attempts, total = load_attempts(run_id, using)
        explained = replace(explained, attempts=attempts, attempts_total=total)
    return replace(explained, headline=clip(explained.headline, _HEADLINE))


def _subject_of(run_id: UUID, run: Row, using: str) -> Subject:
    return Subject(
        run_id=run_id,
        flow=run["workflow_slug"],
        status=run["status"],
        error=run["found"],
        using=using,
        **{name: run[name] for name in (*_PINNED, *_MOMENTS)},
    )


def _begin(run_id: UUID, run: Row, steps: Sequence[Standing]) -> Explanation:
    """What is said of a run whatever its status."""
    left = [step.slug for step in steps if step.status == StepStatus.CANCELLED]
    return Explanation(
        run_id=run_id,
        flow=run["workflow_slug"],
        version=run["version"],
        status=run["status"],
        headline="",
        is_trial=run["version"] == TRIAL_VERSION,
        cancelled=tuple(left[:MAX_NAMES]),
        cancelled_total=len(left),
        completed=sum(step.needs_nothing for step in steps),
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


def _explain_cancellation(found: Explanation, run: Row, note: Note, using: str) -> Explanation:
    reason = note.message
    return replace(
        found,
        headline=f"Cancelled: {reason}" if reason else "Cancelled",
        cause=Cause(code="run_cancelled", message=clip(reason, MESSAGE)),
        next=advise_cancelled(read_situation(found.run_id, run, using)),
    )


def _explain_success(found: Explanation, run: Row, steps: Sequence[Standing]) -> Explanation:
    took = [
        Slow(step.slug, round((step.ended_at - step.started_at).total_seconds(), 3))
        for step in steps
        if step.started_at and step.ended_at
    ]
    slowest = sorted(took, key=lambda slow: -slow.seconds)[:_SLOWEST]
    seconds = (run["ended_at"] - run["started_at"]).total_seconds()
    text = f"Completed in {seconds:,.1f} s"
    if slowest:
        text += f'; step "{slowest[0].step}" took longest, {slowest[0].seconds:,.1f} s'
    return replace(found, headline=text, slowest=tuple(slowest))


def _explain_waiting(found: Explanation, why: Why, steps: int) -> Explanation:
    waiting = why.waiting
    text = f"It goes on: {found.completed} of {steps} steps are done"
    return replace(
        found,
        headline=f"It waits: {waiting.message}" if waiting else text,
        waiting=waiting,
        # What it waits for is the most urgent reason.
        next=advise_waiting(why.reasons[0], found.run_id) if waiting else (),
        reasons=why.reasons,
    )
