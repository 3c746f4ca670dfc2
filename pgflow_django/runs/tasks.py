"""The tasks of a run, a page at a time, however many there are.

Service layer. Nothing here counts a table: a look says how far it went, and goes on when asked.
Everything is called within ``looking``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import cache
from django.db import connections
from django.db.models.functions import Left

from pgflow_django.models import WorkflowTaskAttempt
from pgflow_django.models.querysets import CUT_OFF
from pgflow_django.runs.failure_groups import LINE, FailureKind, kind_of
from pgflow_django.runs.run_log import NOTABLE
from pgflow_django.runs.shown_errors import show_error
from pgflow_django.runs.task_filter import Key, TaskFilter
from pgflow_django.runs.task_keys import FROM_CLAIMS, LOOK, PAGE, find_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from pgflow_django.runs.view import StepView

#: Tasks that an order tells apart: those that took longest.
MOST_ORDERED: Final = 1_000
#: Seconds for which an order is kept: of a step that goes on, and of one that has ended.
_KEPT, _KEPT_ENDED = 10, 3600

_ROWS: Final = f"""
    select
        t.step_slug, t.task_index, t.status, t.attempts_count, t.worker, t.queued_at, t.started_at,
        t.ended_at, last.retry_at, clock_timestamp(),
        left(t.error->>'error_type', {LINE}),
        left(split_part(t.error->>'error_message', E'\\n', 1), {LINE})
    from unnest(%(steps)s::text[], %(indexes)s::int[]) with ordinality
        as wanted (step_slug, task_index, place)
    join workflow_step_tasks t
        on t.run_id = %(run)s and t.step_slug = wanted.step_slug
        and t.task_index = wanted.task_index
    left join lateral (
        select a.retry_at from workflow_task_attempts a
        where a.run_id = t.run_id and a.step_slug = t.step_slug and a.task_index = t.task_index
        order by a.id desc limit 1
    ) as last on t.status = 'queued' and t.attempts_count > 0
    order by wanted.place
"""
#: The same order for tasks that have none: last.
_ORDERS: Final = {
    "duration": "coalesce(t.ended_at, clock_timestamp()) - t.started_at",
    "wait": "coalesce(t.started_at, clock_timestamp()) - t.queued_at",
    "start": "t.started_at",
}
_ORDERED: Final = """
    select array(
        select t.task_index from workflow_step_tasks t
        where t.run_id = %(run)s and t.step_slug = %(step)s
        order by {} desc nulls last, t.task_index
        limit %(most)s
    )
"""
_COUNTS: Final = f"""
    with looked as materialized (
        select a.round, a.code, a.retry_at
        from workflow_task_attempts a
        where a.run_id = %(run)s and a.step_slug = %(step)s
        order by a.task_index, a.id
        limit {LOOK}
    ), failed as (
        select retry_at from looked where round = %(round)s and code <> '{CUT_OFF}'
    ), decided as (
        select (e.data->>'tasks')::integer as tasks
        from (
            select e.kind, e.step_slug, e.data
            from workflow_run_events e
            where e.run_id = %(run)s and {NOTABLE}
            order by e.run_id, e.id
            limit {LOOK}
        ) as e
        where e.kind = 'skipped' and e.step_slug = %(step)s
    )
    select
        (select count(*) from failed where retry_at is null),
        (select count(*) from failed where retry_at > clock_timestamp()),
        (select count(*) from ({FROM_CLAIMS}) as held where held.step_slug = %(step)s),
        (select coalesce(sum(tasks), 0) from decided),
        (select count(*) from looked)
"""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as a table shows it.

    ``waited`` is from when it was queued until its last attempt began, ``seconds`` what that took.
    ``status`` is "retrying" until ``retry_at``. ``error`` is that of its last failed attempt.
    """

    step: str
    index: int
    status: str
    attempts: int
    worker: str
    queued_at: datetime
    started_at: datetime | None
    waited: float | None
    seconds: float | None
    retry_at: datetime | None
    error_type: str
    error: str


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks. ``earlier`` ends before its key, ``later`` begins with its key.

    ``looked`` rows were gone through where that was as far as one look goes, up to ``edge``.
    ``is_last``: in an order, whether none come after it.
    """

    rows: Sequence[TaskRow]
    earlier: Key | None = None
    later: Key | None = None
    looked: int = 0
    edge: Key | None = None
    is_last: bool = True


def find_tasks(run_id: UUID, round: int, wanted: TaskFilter, *, using: str) -> TaskPage:
    """A page of the tasks that are wanted. Three queries at most.

    Raises ``LookupError`` where ``wanted.like`` is no attempt of the run.
    """
    kind = _find_kind(run_id, wanted.like, using) if wanted.like is not None else None
    look = find_keys(run_id, wanted, kind, round, using)
    keys, is_more = look.keys, len(look.keys) > PAGE
    if wanted.before is not None:
        keys = keys[-PAGE:]
        earlier = keys[0] if is_more else _beyond(look.edge)
        return TaskPage(
            _read_rows(run_id, keys, using), earlier, wanted.before, look.rows, look.edge
        )
    later = keys[PAGE] if is_more else look.edge
    rows = _read_rows(run_id, keys[:PAGE], using)
    return TaskPage(rows, wanted.since, later, look.rows, look.edge)


def _beyond(key: Key | None) -> Key | None:
    """The key before which this one is the last."""
    return None if key is None else Key(key.step, key.index + 1)


def _find_kind(run_id: UUID, attempt: int, using: str) -> FailureKind:
    attempts = WorkflowTaskAttempt.objects.using(using).filter(id=attempt, run_id=run_id)
    found = attempts.annotate(beginning=Left("error_message", 2 * LINE))
    row = found.values_list("error_type", "beginning").first()
    if row is None:
        raise LookupError(attempt)
    return kind_of(*row)


def find_ordered(
    run_id: UUID, wanted: TaskFilter, place: int, *, ended_at: datetime | None, using: str
) -> TaskPage:
    """The tasks of a step in an order of their times, from the ``place``-th on. Two queries.

    It reads all tasks of the step, and so what comes of it is kept for a while; of a step that has
    ``ended_at`` some time, for an hour.
    """
    stamp = ended_at.timestamp() if ended_at else ""
    name = f"pgflow:tasks:{using}:{run_id}:{wanted.step}:{wanted.order}:{stamp}"
    indexes = cache.get(name)
    if indexes is None:
        values: dict[str, Any] = {"run": run_id, "step": wanted.step, "most": MOST_ORDERED}
        with connections[using].cursor() as cursor:
            cursor.execute(_ORDERED.format(_ORDERS[wanted.order or "duration"]), values)
            (indexes,) = cursor.fetchone()
        cache.set(name, indexes, _KEPT_ENDED if ended_at else _KEPT)
    keys = [Key(wanted.step, index) for index in indexes[place : place + PAGE]]
    return TaskPage(_read_rows(run_id, keys, using), is_last=place + PAGE >= len(indexes))


def _read_rows(run_id: UUID, keys: Sequence[Key], using: str) -> list[TaskRow]:
    if not keys:
        return []
    values: dict[str, Any] = {"run": run_id}
    values |= {"steps": [key.step for key in keys], "indexes": [key.index for key in keys]}
    with connections[using].cursor() as cursor:
        cursor.execute(_ROWS, values)
        return [_read_row(*row) for row in cursor.fetchall()]


def _read_row(
    step: str,
    index: int,
    status: str,
    attempts: int,
    worker: str | None,
    queued_at: datetime,
    started_at: datetime | None,
    ended_at: datetime | None,
    retry_at: datetime | None,
    now: datetime,
    error_type: str | None,
    error: str | None,
) -> TaskRow:
    is_ahead = retry_at is not None and retry_at > now
    until = ended_at or now if started_at and not is_ahead else None
    shown = show_error({"step_slug": step, "error_type": error_type, "error_message": error})
    return TaskRow(
        step,
        index,
        "retrying" if is_ahead else _WORDS.get(status, status),
        attempts,
        worker or "",
        queued_at,
        started_at,
        waited=((started_at or ended_at or now) - queued_at).total_seconds(),
        seconds=(until - started_at).total_seconds() if until and started_at else None,
        retry_at=retry_at if is_ahead else None,
        error_type=shown["error_type"] or "",
        error=shown["error_message"] or "",
    )


_WORDS = {"started": "running"}


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks of a step there are of each kind, all in all as many as it has.

    ``is_cut``: of failed and retrying ones there are at least so many. What a rerun has taken over
    counts as completed.
    """

    failed: int = 0
    retrying: int = 0
    running: int = 0
    queued: int = 0
    completed: int = 0
    cancelled: int = 0
    skipped: int = 0
    is_cut: bool = False


def count_tasks(run_id: UUID, round: int, step: StepView, *, using: str) -> TaskCounts:
    """The tasks of a step by how they stand, told without counting them. One query."""
    with connections[using].cursor() as cursor:
        cursor.execute(_COUNTS, {"run": run_id, "round": round, "step": step.slug})
        failed, retrying, running, skipped, looked = cursor.fetchone()
    left = max(0, (step.total or 0) - step.done - failed)
    goes_on = step.status in {"running", "retrying"}  # else what was left has ended with it
    return TaskCounts(
        failed=failed,
        retrying=retrying if goes_on else 0,
        running=running,
        queued=max(0, left - retrying - running) if goes_on else 0,
        completed=step.done - skipped,
        cancelled=0 if goes_on else left,
        skipped=skipped,
        is_cut=looked == LOOK,
    )
