"""What failed in the same way: the failed attempts of a run's round, by type and message.

Service layer. One bounded query, and a pure function that says what is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import connections

from pgflow_django.models.querysets import CUT_OFF
from pgflow_django.runs.shown_errors import show_error

if TYPE_CHECKING:
    from uuid import UUID

#: Failed attempts that are looked at, in the order of their tasks.
LOOK: Final = 5_000
#: Characters of a message by which failures are told apart.
LINE: Final = 200
#: The beginning of a message, in SQL over the attempt ``a``.
FIRST_LINE: Final = f"left(split_part(a.error_message, E'\\n', 1), {LINE})"

#: What differs from one failure to the next, in Python's and in PostgreSQL's regular expressions.
_VARYING: Final = {
    "id": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+",
    "text": "\"[^\"]*(?:\"|$)|(?<![0-9a-zA-Z_])'[^']*(?:'|$)|`[^`]*(?:`|$)|“[^”]*(?:”|$)",
    "n": "[0-9]+(?:[.,:][0-9]+)*",
}
_ANY: Final = re.compile("|".join(f"(?P<{name}>{one})" for name, one in _VARYING.items()))
_PLACE: Final = re.compile("‹(id|text|n)›")

_LOOK: Final = f"""
    select looked.id, looked.step_slug, looked.task_index, looked.error_type, looked.line
    from (
        select a.id, a.step_slug, a.task_index, a.round, a.code, a.error_type, {FIRST_LINE} as line
        from workflow_task_attempts a
        where a.run_id = %(run)s and (%(step)s::text is null or a.step_slug = %(step)s)
        order by a.step_slug, a.task_index, a.id
        limit {LOOK + 1}
    ) as looked
    where looked.round = %(round)s and looked.code <> '{CUT_OFF}'
"""


class FailureKind(NamedTuple):
    """What failures have in common; for what differs ``text`` has ``‹n›``, ``‹id›``, ``‹text›``."""

    error_type: str
    text: str

    @property
    def pattern(self) -> str:
        """A regular expression of PostgreSQL's for the beginnings of messages of this kind."""
        parts = _PLACE.split(self.text)
        parts[::2] = [re.sub(r"(\W)", r"\\\1", part) for part in parts[::2]]
        parts[1::2] = [f"(?:{_VARYING[name]})" for name in parts[1::2]]
        return f"^{''.join(parts)}$"


def kind_of(error_type: str, message: str) -> FailureKind:
    """What kind of failure this is: its type, and its first line without what may differ."""
    line = message.partition("\n")[0][:LINE]
    return FailureKind(error_type, _ANY.sub(lambda found: f"‹{found.lastgroup}›", line))


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Tasks of a step that failed in the same way, in this round of the run.

    ``tasks`` counts them, ``first`` is the lowest index, ``example`` the id of its attempt, and
    ``line`` the beginning of its message.
    """

    step: str
    kind: FailureKind
    tasks: int
    attempts: int
    first: int
    example: int
    line: str

    def show(self) -> FailureKind:
        """What kind it is, as far as its reader may see that."""
        shown = show_error(
            {"step_slug": self.step, "error_type": self.kind.error_type, "error_message": self.line}
        )
        return kind_of(shown["error_type"], shown["error_message"])


@dataclass(frozen=True, slots=True)
class FailureGroups:
    """The groups, largest first; ``is_cut``: there were more attempts than are looked at."""

    groups: tuple[FailureGroup, ...] = ()
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed attempt, as far as its group is concerned."""

    id: int
    step: str
    index: int
    error_type: str
    line: str


def group_failures(failures: Iterable[Failed]) -> tuple[FailureGroup, ...]:
    """The groups of these attempts, the one with most tasks first."""
    members: dict[tuple[str, FailureKind], list[Failed]] = {}
    for failed in failures:
        key = (failed.step, kind_of(failed.error_type, failed.line))
        members.setdefault(key, []).append(failed)
    groups = [
        FailureGroup(
            step,
            kind,
            tasks=len({failed.index for failed in found}),
            attempts=len(found),
            first=(first := min(found, key=lambda failed: (failed.index, failed.id))).index,
            example=first.id,
            line=first.line,
        )
        for (step, kind), found in members.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.tasks, group.step, group.first)))


def find_failures(
    run_id: UUID, round: int, *, using: str, step: str | None = None
) -> FailureGroups:
    """How the tasks of a run, or of one of its steps, failed in this round. One query."""
    with connections[using].cursor() as cursor:
        cursor.execute(_LOOK, {"run": run_id, "round": round, "step": step})
        rows = cursor.fetchall()
    return FailureGroups(group_failures(Failed(*row) for row in rows[:LOOK]), len(rows) > LOOK)
