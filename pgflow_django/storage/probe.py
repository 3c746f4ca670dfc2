"""Whether anything of a run has changed, asked as often as somebody looks: one cheap statement.

Storage layer. It reads by keys, and of the tasks only the first one of each step that runs.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from django.db import connections

_LOOK = """
select
    bit_xor(
        hash_record_extended(
            row(
                s.step_index, s.status, s.initial_tasks, s.remaining_tasks, s.started_at,
                s.ended_at, task.status, task.attempts_count, task.worker, task.started_at
            ),
            0
        )
    ),
    coalesce(bool_or(task.status = 'started'), false),
    (
        select row(max(a.id), count(*) filter (where a.retry_at > clock_timestamp()))::text
        from workflow_task_attempts a
        where a.run_id = %(run)s
    ),
    (select max(e.id) from workflow_run_events e where e.run_id = %(run)s),
    extract(epoch from clock_timestamp())::float
from workflow_step_states s
left join lateral (
    select t.status, t.attempts_count, t.worker, t.started_at
    from workflow_step_tasks t
    where
        s.status = 'started'
        and t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = 0
    limit 1  -- one look by the key a step, not a join, which might read all tasks of a run
) as task on true
where s.run_id = %(run)s
"""


class Probe(NamedTuple):
    """What differs whenever something of a run has changed; ``now`` is the database's clock,
    in seconds since 1970.

    ``is_running`` tells whether the first task of some step runs.
    """

    steps: int | None
    is_running: bool
    attempts: str
    last_event: int | None
    now: float


def probe(run_id: UUID, *, using: str) -> Probe:
    """Look at a run, in one statement."""
    with connections[using].cursor() as cursor:
        cursor.execute(_LOOK, {"run": run_id})
        return Probe(*cursor.fetchone())
