"""Why a run has ended as it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

from django.db.models.fields.json import KT
from django.db.models.functions import Left

from pgflow_django.choices import StepStatus
from pgflow_django.models import WorkflowRunEvent
from pgflow_django.runs.next_actions import is_retry_offered
from pgflow_django.runs.why import words
from pgflow_django.runs.why.facts import Subject
from pgflow_django.runs.why.reason import Reason
from pgflow_django.runs.why.standing import Standing
from pgflow_django.storage.trouble import manage_command

#: Characters that are read of what somebody wrote.
_READ = 4_000
_RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Note:
    """What was noted down when somebody did something to a run: why, by whom and when."""

    message: str = ""
    by: str = ""
    at: datetime | None = None


def read_note(run_id: UUID, kind: str, *, using: str) -> Note:
    """The last event of a kind; an empty one if there is none."""
    events = WorkflowRunEvent.objects.using(using).filter(run_id=run_id, kind=kind)
    found = (
        events.annotate(text=Left("message", _READ), who=Left(KT("data__by"), _READ))
        .order_by("-id")
        .values_list("text", "who", "at")
        .first()
    )
    return Note(found[0], found[1] or "", found[2]) if found else Note()


def say_failed(subject: Subject, steps: Sequence[Standing]) -> Reason:
    """Which task failed, with what, and what could not be done for it."""
    error: Any = subject.error or {}
    what = words.error(error)
    slug = error.get("step_slug")
    failed = next((step for step in steps if step.slug == slug), None)
    who = words.name("step", [slug]) if slug else "the run"
    if failed is not None and failed.is_map and error.get("task_index") is not None:
        who += f", item {error['task_index']},"
    text = f"{who} failed: {what}"
    if failed is not None and failed.alike > 1:
        others = failed.alike - 1
        text += f"; {words.count(others, 'more item')} had this type of error, too"
    text += _say_undone(steps, slug)
    can_help = is_retry_offered(error.get("code") or "")
    return Reason(
        "failed",
        text,
        steps=(slug,) if slug else (),
        since=subject.ended_at,
        fix=_retry(subject) if can_help else "",
        action=_RETRY if can_help and not subject.has_caller_functions else "",
    )


def _say_undone(steps: Sequence[Standing], slug: str | None) -> str:
    """The steps behind the one that failed, and those that ended with it."""
    undone = [step for step in steps if step.status == StepStatus.CANCELLED]
    behind = {slug}
    for step in _in_order(undone):
        if behind & set(step.depends_on):
            behind.add(step.slug)
    unreachable = [step.slug for step in undone if step.slug in behind]
    others = [step.slug for step in undone if step.slug not in behind]
    text = ""
    if unreachable:
        text += f"; {words.name('step', unreachable)} can't be reached any more"
    if others:
        was = "were" if len(others) > 1 else "was"
        text += f"; {words.name('step', others)} {was} cancelled with it"
    return text


def _in_order(steps: Sequence[Standing]) -> list[Standing]:
    """Steps so that each comes after those that it depends on."""
    graph = {step.slug: step for step in steps}
    order = TopologicalSorter({step.slug: step.depends_on for step in steps}).static_order()
    return [graph[slug] for slug in order if slug in graph]


def say_cancelled(subject: Subject, note: Note, steps: Sequence[Standing]) -> Reason:
    """Who cancelled it and why."""
    by = f" by {note.by}" if note.by else ""
    why = f": {' '.join(note.message.split())}" if note.message else ""
    left = tuple(step.slug for step in steps if step.status == StepStatus.CANCELLED)
    return Reason(
        "cancelled",
        f"the run was cancelled{by}{why}",
        steps=left,
        since=subject.ended_at,
        fix=_retry(subject),
        action="" if subject.has_caller_functions else _RETRY,
    )


def say_completed(subject: Subject) -> Reason:
    """That there is nothing left to do."""
    took = ""
    if subject.started_at and subject.ended_at:
        took = f" after {words.lasting((subject.ended_at - subject.started_at).total_seconds())}"
    return Reason("completed", f"the run completed{took}", since=subject.ended_at)


def say_paused(subject: Subject, note: Note) -> Reason:
    """Who paused it, since when and why."""
    by = f" by {note.by}" if note.by else ""
    since = f" since {words.on(note.at)}" if note.at else ""
    text = " ".join(note.message.split())
    why = f" ({text})" if text and text != "paused" else ""
    return Reason(
        "paused",
        f"the run is paused{by}{since}{why}: nothing of it is started until it goes on",
        fix=manage_command("resumerun", subject.run_id, using=subject.using),
        action="resume",
        since=note.at,
    )


def _retry(subject: Subject) -> str:
    run = subject.run_id
    if subject.has_caller_functions:  # which its caller alone has
        return f'executor.retry_run("{run}", step_functions=…)'
    return manage_command("retryrun", run, using=subject.using)
