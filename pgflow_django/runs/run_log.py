"""What happened in a run and what its steps logged, a page at a time, however much it is.

Service layer. Called within ``looking``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from django.db import connections
from django.db.models.functions import Left

from pgflow_django.models import WorkflowRunEvent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

#: Lines that are read at once, rows that one look goes through, characters of a message.
PAGE: Final = 500
LOOK: Final = 20_000
SHOWN: Final = 4_000

#: All but what steps only log; warnings and errors; errors.
Importance = Literal["notable", "warning", "error"]
IMPORTANCES: tuple[Importance, ...] = get_args(Importance)

#: As the partial index has it.
NOTABLE: Final = "(level in ('warning', 'error') or not (kind in ('log', 'progress')))"
_MAX_ID: Final = 2**63 - 1
_LEVELS: Final = {"warning": ["warning", "error"], "error": ["error"]}
#: Not ``run_id =``: then the order of ids would lead through all runs that are newer.
_LOOK: Final = """
    with looked as materialized (
        select id, {fits} as fits
        from workflow_run_events
        where (run_id, id) > (%(run)s, %(after)s) and (run_id, id) < (%(run)s, %(before)s) {which}
        order by run_id desc, id desc
        limit {look}
    )
    select
        (select count(*) from looked), (select min(id) from looked),
        array(select id from looked where fits order by id desc limit {page})
"""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines: of some importance, of a step or one of its tasks, with this text in them.

    Those ``before`` or ``after`` a line, which their ids name; the newest of these.
    """

    importance: Importance | None = None
    step: str = ""
    index: int | None = None
    text: str = ""
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a run's log. Of one that is no step's there is neither step nor index."""

    id: int
    at: datetime
    level: str
    kind: str
    step: str
    index: int | None
    message: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines in the order in which they were written; ``earlier`` ends before the line of this id.

    ``looked`` rows were gone through where that is as far as one look goes, else 0.
    """

    lines: Sequence[LogLine]
    earlier: int | None = None
    looked: int = 0


def read_log(run_id: UUID, wanted: LogFilter, *, using: str) -> LogPage:
    """The newest lines that are wanted. Two queries."""
    values: dict[str, Any] = {"run": run_id, "after": wanted.after or 0}
    values["before"] = _MAX_ID if wanted.before is None else wanted.before
    fits = _fit(wanted, values)
    sql = _LOOK.format(
        fits=" and ".join(fits) or "true",
        which=f"and {NOTABLE}" if wanted.importance else "",
        look=LOOK if fits else PAGE + 1,
        page=PAGE + 1,
    )
    with connections[using].cursor() as cursor:
        cursor.execute(sql, values)
        rows, edge, ids = cursor.fetchone()
    is_cut = bool(fits) and rows == LOOK and len(ids) <= PAGE
    earlier = edge if is_cut else ids[PAGE - 1] if len(ids) > PAGE else None
    return LogPage(_read_lines(ids[:PAGE], using), earlier, rows if is_cut else 0)


def _fit(wanted: LogFilter, values: dict[str, Any]) -> list[str]:
    fits = []
    if wanted.importance in _LEVELS:
        values["levels"] = _LEVELS[wanted.importance]
        fits.append("level = any(%(levels)s)")
    if wanted.step:
        values["step"] = wanted.step
        fits.append("coalesce(step_slug = %(step)s, false)")
    if wanted.index is not None:
        values["index"] = wanted.index
        fits.append("coalesce(task_index = %(index)s, false)")
    if wanted.text:
        escaped = wanted.text.translate({ord(sign): f"\\{sign}" for sign in "\\%_"})
        values["text"] = f"%{escaped}%"
        fits.append("message ilike %(text)s")
    return fits


def _read_lines(ids: Sequence[int], using: str) -> list[LogLine]:
    events = WorkflowRunEvent.objects.using(using).filter(id__in=ids).order_by("id")
    rows = events.annotate(beginning=Left("message", SHOWN)).values_list(
        "id", "at", "level", "kind", "step_slug", "task_index", "beginning"
    )
    return [
        LogLine(number, at, level, kind, step or "", index, message)
        for number, at, level, kind, step, index, message in rows
    ]
