"""What a person's move must leave behind: how the run stands, events, attempts, messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from tests.engine.database import messages, query

#: The slug of a step and the index of a task of it.
Task = tuple[str, int]
#: What is tried before the rest: a step, or one task of it.
Tried = tuple[str, int | None]
ENDED = {"completed", "failed", "cancelled"}
AGAIN = {"failed", "cancelled"}
#: Of events that a person's moves leave.
KINDS = [
    *("paused", "resumed", "cancelled", "retried", "retried_now", "skipped", "completed_by_hand"),
    "rerun",
]
#: What is later waits for its next attempt: the moves know those that are due, and in an hour.
AHEAD = timedelta(minutes=10)

_LOOK = """
    select
        r.status, r.round,
        array(
            select e.kind from workflow_run_events e
            where e.run_id = r.id and e.kind = any(%s) order by e.id
        ),
        array(
            select a.step_slug || ' ' || a.task_index from workflow_task_attempts a
            where a.run_id = r.id and a.round = r.round and a.code = 'cancelled' order by a.id
        )
    from workflow_runs r where r.id = %s
"""
_TASKS = """
    select t.step_slug, t.task_index, t.status, t.attempts_count > 0 and (
        select a.retry_at > clock_timestamp() + %s from workflow_task_attempts a
        where
            a.run_id = t.run_id and a.step_slug = t.step_slug and a.task_index = t.task_index
            and a.round = r.round
        order by a.id desc limit 1
    )
    from workflow_step_tasks t join workflow_runs r on r.id = t.run_id
    where t.run_id = %s
"""


@dataclass(frozen=True)
class Moment:
    """How a run stands.

    ``cut_off`` are the attempts of this round that somebody has cut off, ``waiting`` the tasks
    whose next attempt is far ahead.
    """

    status: str
    round: int
    events: tuple[str, ...]
    cut_off: tuple[str, ...]
    tasks: dict[Task, str]
    waiting: frozenset[Task]


def look(run_id: UUID) -> Moment:
    """How the run stands now."""
    [(status, number, events, cut_off)] = query(_LOOK, KINDS, run_id)
    rows = query(_TASKS, AHEAD, run_id)
    return Moment(
        status=status,
        round=number,
        events=tuple(events),
        cut_off=tuple(cut_off),
        tasks={(slug, index): status for slug, index, status, _ in rows},
        waiting=frozenset(
            (slug, index)
            for slug, index, status, is_ahead in rows
            if status == "queued" and is_ahead
        ),
    )


def check_move(name: str, before: Moment, after: Moment, *, did: bool, holds: bool) -> None:
    """Hold what a person's move has left behind against what it promises."""
    told = (name, did, before, after)
    events = [*after.events[len(before.events) :]]
    assert events == (_events(name, before, holds) if did else []), told
    assert after.status in (_statuses(name, before, holds) if did else {before.status}), told
    is_taken_up = "retried" in events
    assert after.round == before.round + is_taken_up, told
    new = after.cut_off if is_taken_up else after.cut_off[len(before.cut_off) :]
    running = {task for task, status in before.tasks.items() if status == "started"}
    stopped = {task for task in running if after.tasks.get(task) != "started"}
    assert sorted(new) == sorted(f"{slug} {index}" for slug, index in stopped), told


def _events(name: str, before: Moment, holds: bool) -> list[str]:
    """The kinds of events that a move leaves which does something."""
    pauses = ["paused"] if holds and before.status != "paused" else []
    taken_up = ["retried"] if before.status in AGAIN else []
    return {
        "pause": ["paused"],
        "resume": ["resumed"],
        "cancel": ["cancelled"],
        "retry": [*taken_up, *pauses],
        "retry_one": ["retried", "paused"],
        "retry_now": ["retried_now"],
        "skip": [*taken_up, *pauses, "skipped"],
        "complete": [*taken_up, *pauses, "completed_by_hand"],
        "rerun": [],
    }[name]


def _statuses(name: str, before: Moment, holds: bool) -> set[str]:
    """The statuses in which such a move may leave a run."""
    fixed = {"pause": "paused", "resume": "started", "cancel": "cancelled"}
    if name in fixed:
        return {fixed[name]}
    if name in {"retry_now", "rerun"}:
        return {before.status}
    is_held = holds or before.status == "paused" or name == "retry_one"
    # It may have had nothing left to do, or nothing to map over.
    return {"paused" if is_held else "started", "completed", "failed"}


def check_messages(run_id: UUID, now: Moment, tried: Tried | None) -> None:
    """A message is due when its tasks are; of a paused run there is only what is tried first."""
    soon = timezone.now() + AHEAD
    for message in messages(run_id):
        for task in covered_by(message):
            assert (message["vt"] > soon) == (task in now.waiting), (message, now.waiting)
            if now.status == "paused":
                assert tried in {(task[0], None), task}, f"of a paused run: {message}"


def covered_by(message: dict[str, Any]) -> list[Task]:
    """The tasks that a message stands for."""
    first = message["task_index"]
    return [(message["step_slug"], index) for index in range(first, first + message["count"])]
