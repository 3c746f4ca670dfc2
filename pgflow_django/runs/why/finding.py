"""All reasons why a run stands as it does, the most urgent first.

Service layer, below ``status`` and ``explaining``. Six queries at most, however large the run is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pgflow_django.choices import RunState
from pgflow_django.runs.waiting import Waiting, find_waiting
from pgflow_django.runs.why.blocked import explain_blocked, find_blocked
from pgflow_django.runs.why.ended import (
    Note,
    read_note,
    say_cancelled,
    say_completed,
    say_failed,
    say_paused,
)
from pgflow_django.runs.why.facts import Facts, Subject
from pgflow_django.runs.why.moving import find_delayed, find_lost, find_retrying, find_running
from pgflow_django.runs.why.reason import URGENCY, Reason
from pgflow_django.runs.why.serving import find_busy, find_unserved
from pgflow_django.runs.why.standing import Standing, read_standing
from pgflow_django.runs.workers import list_workers
from pgflow_django.storage.trouble import manage_command


@dataclass(frozen=True, slots=True)
class Why:
    """All reasons, the most urgent first; ``waiting`` is the first that says why nothing moves."""

    reasons: tuple[Reason, ...] = ()
    waiting: Waiting | None = None
    steps: Mapping[str, Standing] = field(default_factory=dict, repr=False, hash=False)

    def of_step(self, slug: str) -> tuple[Reason, ...]:
        """The reasons of one step; of one that has not started, what it waits for."""
        if slug not in self.steps:
            return ()
        told = [each for each in self.reasons if slug in each.steps and each.code != "blocked"]
        blocked = explain_blocked(slug, self.steps, self.reasons)
        if blocked is not None:
            told.append(blocked)
        if told:
            told = [each for each in self.reasons if each.code == "paused"] + told
        return tuple(told)


def find_why(subject: Subject, steps: Sequence[Standing] | None = None) -> Why:
    """Why the run stands as it does; ``steps`` if they were read already."""
    if steps is None:
        steps = load_steps(subject)
    known = {step.slug: step for step in steps}
    if subject.status not in {RunState.STARTED, RunState.PAUSED}:
        return Why((_explain_end(subject, steps),), None, known)
    if not steps:  # it is being deleted
        return Why()
    facts = Facts(subject, steps, list_workers(using=subject.using))
    due = [] if subject.status == RunState.PAUSED else _list_due(facts)
    busy = None if subject.owner_id is not None or not due else find_busy(facts, due)
    # Who is due and finds a free worker is about to begin.
    is_moving = bool(facts.running) or bool(due and busy is None and subject.owner_id is None)
    reasons = [*_explain(facts, due)]
    if busy is not None:
        reasons.append(busy)
    reasons.sort(key=lambda reason: URGENCY.index(reason.code))
    blocked = find_blocked(steps, reasons)
    if blocked is not None:
        reasons.append(blocked)
    return Why(tuple(reasons), find_waiting(reasons, is_moving=is_moving), known)


def load_steps(subject: Subject) -> list[Standing]:
    """The steps of the run, as ``find_why`` needs them."""
    return read_standing(
        subject.run_id,
        subject.version_id,
        error_type=(subject.error or {}).get("error_type") or "",
        using=subject.using,
    )


def _explain_end(subject: Subject, steps: Sequence[Standing]) -> Reason:
    match subject.status:
        case RunState.FAILED:
            return say_failed(subject, steps)
        case RunState.CANCELLED:
            note: Note = read_note(subject.run_id, "cancelled", using=subject.using)
            return say_cancelled(subject, note, steps)
        case _:
            return say_completed(subject)


def _list_due(facts: Facts) -> list[Standing]:
    """Steps of which nothing runs, and something could."""
    return [
        step
        for step in facts.started
        if step.slug not in facts.running and facts.count_due(step)
        and (facts.subject.owner_id is not None or facts.list_able(step))
    ]  # fmt: skip


def _explain(facts: Facts, due: Sequence[Standing]) -> Iterator[Reason]:
    subject = facts.subject
    if subject.status == RunState.PAUSED:
        yield say_paused(subject, read_note(subject.run_id, "paused", using=subject.using))
    if subject.owner_id is None:
        yield from find_unserved(facts)
    elif (caller := _find_caller(facts, due)) is not None:
        yield caller
    yield from find_lost(facts)
    yield from find_retrying(facts)
    delayed = find_delayed(facts)
    if delayed is not None:
        yield delayed
    yield from find_running(facts)


def _find_caller(facts: Facts, due: Sequence[Standing]) -> Reason | None:
    """The process that executes the run by itself, where that is gone, or at something else."""
    subject = facts.subject
    owner = next((each for each in facts.alive if each.id == subject.owner_id), None)
    slugs = tuple(step.slug for step in due)
    fix = manage_command("showrun", subject.run_id, using=subject.using)
    if owner is None:
        return Reason(
            "caller",
            "the process that executed it is gone: the next worker, drain() or runflow ends the "
            "run as failed (caller_lost), and retry_run takes it up again",
            fix=fix,
        )
    if not due or facts.running:
        return None
    who = f"{owner.hostname}, pid {owner.pid}"
    return Reason(
        "caller", f"it belongs to the process that executes it ({who})", fix=fix, steps=slugs
    )
