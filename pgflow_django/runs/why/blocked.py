"""Why steps have not started: which of those that they depend on are not done, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pgflow_django.choices import StepStatus
from pgflow_django.runs.why import words
from pgflow_django.runs.why.reason import Reason
from pgflow_django.runs.why.standing import Standing

#: Steps that are named as being waited for.
_MOST = 3
_WHY = {
    "paused": "the run is paused",
    "no_worker": "no worker serves its queue",
    "no_function": "no worker has its function",
    "lost": "its worker is gone",
    "retrying": "it waits for its next attempt",
    "busy": "it waits for its turn",
    "delayed": "it starts later",
    "running": "it runs",
}


def find_blocked(steps: Sequence[Standing], reasons: Sequence[Reason]) -> Reason | None:
    """The steps that wait for others, and what keeps those that started and are not done."""
    known = {step.slug: step for step in steps}
    blocked = [step for step in steps if step.status == StepStatus.CREATED]
    fronts: dict[str, list[str]] = {}
    for step in blocked:
        for slug in step.depends_on:
            if slug in known and known[slug].is_started:
                fronts.setdefault(slug, []).append(step.slug)
    if not fronts:
        return None
    shown: dict[tuple[str, ...], list[str]] = {}
    for slug, waiting in list(fronts.items())[:_MOST]:
        front = f"{words.name('step', [slug])} ({_shortly(slug, reasons)})"
        shown.setdefault(tuple(waiting), []).append(front)
    parts = [
        f"{words.name('step', waiting)} {'wait' if len(waiting) > 1 else 'waits'} for "
        f"{', '.join(told)}"
        for waiting, told in shown.items()
    ]
    behind = len(blocked) - len({slug for waiting in fronts.values() for slug in waiting})
    if len(fronts) > _MOST:
        parts.append(f"others for {len(fronts) - _MOST:,} more steps")
    if behind:
        parts.append(f"{words.count(behind, 'step')} behind {'it' if len(fronts) == 1 else 'them'}")
    return Reason("blocked", "; ".join(parts), steps=tuple(step.slug for step in blocked))


def explain_blocked(
    slug: str, known: Mapping[str, Standing], reasons: Sequence[Reason]
) -> Reason | None:
    """Why one step has not started, followed to a step that has, with the reason of that.

    Where it waits for several, the one with the most urgent reason is followed.
    """
    chain, others = [slug], 0
    while known[chain[-1]].status == StepStatus.CREATED:
        undone = [
            dep
            for dep in known[chain[-1]].depends_on
            if dep in known and not known[dep].needs_nothing
        ]
        if not undone:
            return None
        if len(chain) == 1:
            others = len(undone) - 1
        chain.append(min(undone, key=lambda dep: _rank(dep, reasons)))
    if len(chain) == 1:
        return None
    between = chain[1:-1]
    text = f"{words.name('step', [slug])} waits for {words.name('step', [chain[1]])}"
    text += f" and {words.count(others, 'more step')}" if others else ""
    if between:
        through = f" through {words.count(len(between) - 1, 'more step')}" if between[1:] else ""
        text += f", which waits for {words.name('step', [chain[-1]])}{through}"
    cause = next((reason for reason in reasons if chain[-1] in reason.steps), None)
    full = cause.message if cause is not None else _shortly(chain[-1], reasons)
    found = Reason("blocked", f"{text}: {full}", steps=(slug, *chain[1:]))
    if cause is None:
        return found
    return replace(found, fix=cause.fix, queues=cause.queues, since=cause.since, until=cause.until)


def _rank(slug: str, reasons: Sequence[Reason]) -> int:
    """Where the first reason of a step stands among all, which are in the order of urgency."""
    numbers = (number for number, reason in enumerate(reasons) if slug in reason.steps)
    return next(numbers, len(reasons))


def _shortly(slug: str, reasons: Sequence[Reason]) -> str:
    """Why a step is not done, in a few words; one that has none begins in a moment."""
    code = next((reason.code for reason in reasons if slug in reason.steps), "")
    if not code and any(reason.code == "paused" for reason in reasons):
        code = "paused"
    return _WHY.get(code, "it is about to begin")
