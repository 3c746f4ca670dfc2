"""How the steps of a run stand, and the words for it.

Imports only the standard library, ``graph`` and ``text``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pgflow_django.drawing.graph import Node
from pgflow_django.drawing.text import NOTE_FONT, clean_text, clip_text

Status = Literal["waiting", "running", "retrying", "completed", "failed", "cancelled", "skipped"]

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class StepState:
    """How a step of a run stands; the counts are of its tasks and shown for map steps.

    ``duration`` and ``note`` ("attempt 2 of 3") are shown as they are. ``since`` and ``until`` are
    moments in seconds since 1970: a page's script counts from when a step runs, and to when it is
    tried again.
    """

    status: Status
    done: int = 0
    total: int | None = None
    failed: int = 0
    duration: str = ""
    note: str = ""
    since: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        """Refuse unknown statuses: there would be no icon and no colour for them."""
        if self.status not in STATUSES:
            raise ValueError(f"{self.status!r} is not one of {', '.join(STATUSES)}")


@dataclass(frozen=True, slots=True)
class Labels:
    """The words of a drawing, for translation; a status without an entry is its own word."""

    statuses: Mapping[Status, str] = field(default_factory=dict)
    step: str = "step"
    map_step: str = "map step"
    counts: str = "{done} of {total}"
    failures: str = "{failed} failed"
    problem: str = "problem: {problem}"
    after: str = "after {steps}"
    empty: str = "No steps yet"


def list_facts(node: Node, state: StepState, labels: Labels) -> list[str]:
    """Return everything that is known of a step: its status first, its duration last."""
    word, counts, failures = _find_words(node, state, labels)
    return [fact for fact in (word, counts, failures, state.note, state.duration) if fact]


def _find_words(node: Node, state: StepState, labels: Labels) -> tuple[str, str, str]:
    word, counts, failures = labels.statuses.get(state.status, state.status), "", ""
    if node.kind == "map" and state.total is not None:
        counts = labels.counts.format(done=state.done, total=state.total)
        failures = labels.failures.format(failed=state.failed) if state.failed else ""
    return word, counts, failures


def fit_facts(
    node: Node, state: StepState, room: float, labels: Labels, *, spare: float = 0
) -> str:
    """Return the most telling choice of a step's facts that fits on its line of ``room`` pixels.

    It leaves ``spare`` pixels, if the shortest choice does.
    """
    word, counts, failures = _find_words(node, state, labels)
    choices = (
        (word, counts, failures, state.note, state.duration),
        (word, counts, failures, state.note),
        (word, counts, failures),
        (counts, failures) if failures else (word, counts),
        (word, failures),
        (word,),
    )
    note = ""
    for choice in choices:
        note = clean_text(" · ".join(fact for fact in choice if fact))
        if NOTE_FONT.measure(note) <= room - spare:
            return note
    return clip_text(note, room, NOTE_FONT)
