"""Whether anything of a run has changed, asked as often as somebody looks: one cheap statement.

Storage layer. It reads by keys, and of the tasks only the first one of each step that runs.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from django.db import connections

_LOOK = """
with steps as materialized (
    select
        row(
            s.step_index, s.status, s.initial_tasks, s.remaining_tasks, s.started_at, s.ended_at
        )::text as state,
        case when s.status = 'started' then (  -- not a join, which might read all tasks of a run
            select row(t.status, t.attempts_count, t.worker, t.started_at)::text
            from workflow_step_tasks t
            where t.run_id = s.run_id and t.step_slug = s.step_slug and t.task_index = 0
        ) end as task
    from workflow_step_states s
    where s.run_id = %(run)s
)
select
    bit_xor(hashtextextended(concat(state, task), 0)),
    coalesce(bool_or(starts_with(task, '(started,')), false),
    (
        select row(max(a.id), count(*) filter (where a.retry_at > clock_timestamp()))::text
        from workflow_task_attempts a
        where a.run_id = %(run)s
    ),
    (select max(e.id) from workflow_run_events e where e.run_id = %(run)s),
    extract(epoch from clock_timestamp())::float
from steps
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
