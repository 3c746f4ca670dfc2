"""A site that has run for a month: a million runs, and one with a map of a million items.

Written by SQL, as the engine would have left it: three steps a run, of which a map of one task.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import ProgrammingError, connection, transaction

from pgflow_django import executor, flow_builder

RUNS: Final = 1_000_000
ITEMS: Final = 1_000_000
SLUG: Final = "bench_month"
STEPS: Final = ("fetch", "item", "report")
#: One of so many runs has failed, was cancelled, goes on.
_FAILED, _CANCELLED, _ACTIVE = 200, 1_000, 5_000
#: Of the large map one item in so many has failed for good, after a first attempt.
_FAILED_ITEMS: Final = 5_000

_IDS: Final = """
create temporary table seeds on commit drop as
select
    n,
    (
        lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15)
    )::uuid as id,
    at,
    case
        when n %% %(failed)s = 0 then 'failed' when n %% %(cancelled)s = 7 then 'cancelled'
        when n %% %(active)s = 11 then 'started' else 'completed'
    end as status
from generate_series(1, %(runs)s) as n,
lateral (select now() - interval '30 days' + n * interval '30 days' / %(runs)s as at) as moment
"""
_RUNS: Final = """
insert into workflow_runs (
    id, workflow_slug, version, version_id, status, input, output, error, remaining_steps,
    started_at, ended_at
)
select
    s.id, %(slug)s, %(version)s, %(version_id)s, s.status, jsonb_build_object('n', s.n),
    case when s.status = 'completed' then jsonb_build_object('report', s.n) end,
    case when s.status = 'failed' then jsonb_build_object(
        'code', 'step_failed', 'step_slug', 'item', 'task_index', 0, 'attempt', 3,
        'error_type', 'ConnectionError', 'error_message', 'host ' || s.n || ' refused',
        'traceback', ''
    ) end,
    case when s.status = 'completed' then 0 else 2 end,
    s.at, case when s.status <> 'started' then s.at + interval '3 s' end
from seeds s
"""
_STATES: Final = """
insert into workflow_step_states (
    run_id, step_slug, step_index, status, remaining_deps, remaining_tasks, initial_tasks,
    started_at, ended_at
)
select
    s.id, step.slug, step.index,
    case when s.status = 'completed' or step.index = 0 then 'completed'
        when step.index = 1 then s.status when s.status = 'started' then 'created'
        else 'cancelled' end,
    case when s.status = 'completed' or step.index < 2 then 0 else 1 end,
    case when s.status = 'completed' or step.index = 0 then 0 when step.index = 1 then 1 end,
    case when s.status = 'completed' or step.index < 2 then 1 end,
    case when s.status = 'completed' or step.index < 2 then s.at + step.index * interval '1 s' end,
    case when s.status = 'completed' or step.index = 0 or s.status <> 'started'
        then s.at + (step.index + 1) * interval '1 s' end
from seeds s, (values (0, 'fetch'), (1, 'item'), (2, 'report')) as step (index, slug)
"""
_TASKS: Final = """
insert into workflow_step_tasks (
    run_id, step_slug, task_index, status, attempts_count, worker, output, queued_at, started_at,
    ended_at
)
select
    t.run_id, t.step_slug, 0, case when t.status = 'started' then 'queued' else t.status end,
    1, 'bench:1', case when t.status = 'completed' then '1'::jsonb end,
    t.started_at, t.started_at + interval '10 ms', t.ended_at
from workflow_step_states t join seeds s on s.id = t.run_id where t.initial_tasks = 1
"""
_ATTEMPTS: Final = """
insert into workflow_task_attempts (
    run_id, step_slug, task_index, attempt, code, error_type, error_message, traceback, worker,
    started_at, ended_at
)
select s.id, 'item', 0, 3, 'step_failed', 'ConnectionError', 'host ' || s.n || ' refused', '',
    'bench:1', s.at + interval '1 s', s.at + interval '2 s'
from seeds s where s.status = 'failed'
"""
_LARGE_TASKS: Final = """
insert into workflow_step_tasks (
    run_id, step_slug, task_index, status, attempts_count, worker, item, output, error, queued_at,
    started_at, ended_at
)
select
    %(run)s, 'item', i, case when i %% %(failed)s = 17 then 'failed' else 'completed' end,
    case when i %% %(failed)s = 17 then 3 else 1 end, 'bench:' || i %% 8, to_jsonb(i),
    case when i %% %(failed)s <> 17 then to_jsonb(i) end,
    case when i %% %(failed)s = 17 then jsonb_build_object('error_type', 'ConnectionError') end,
    r.started_at, r.started_at + i * interval '1 ms',
    r.started_at + i * interval '1 ms' + (10 + i::bigint * 7919 %% 1013) * interval '1 ms'
from generate_series(0, %(items)s - 1) as i, workflow_runs r where r.id = %(run)s
"""
_LARGE_ATTEMPTS: Final = """
insert into workflow_task_attempts (
    run_id, step_slug, task_index, attempt, code, error_type, error_message, traceback, worker,
    started_at, ended_at, retry_at
)
select
    t.run_id, t.step_slug, t.task_index, a, 'step_failed', 'ConnectionError',
    'host ' || t.task_index || ' refused', repeat('at some place in a file' || chr(10), 40),
    'bench:1', t.started_at, t.ended_at, case when a < 3 then t.ended_at + interval '1 s' end
from workflow_step_tasks t, generate_series(1, 3) as a
where t.run_id = %(run)s and t.step_slug = 'item' and t.status = 'failed'
"""
_LARGE_STATES: Final = (
    """
update workflow_step_states s
set
    status = new.status, remaining_deps = new.deps, remaining_tasks = new.remaining,
    initial_tasks = new.tasks, started_at = coalesce(s.started_at, now()), ended_at = now()
from (values
    ('fetch', 'completed', 0, 0, 1), ('item', 'failed', 0, %(items)s / %(failed)s, %(items)s),
    ('report', 'cancelled', 1, null, null)
) as new (slug, status, deps, remaining, tasks)
where s.run_id = %(run)s and s.step_slug = new.slug
""",
    """
update workflow_step_tasks set status = 'completed', output = '[]', ended_at = now()
where run_id = %(run)s and step_slug = 'fetch'
""",
    """
update workflow_runs
set status = 'failed', ended_at = now(), error = jsonb_build_object(
    'code', 'step_failed', 'step_slug', 'item', 'task_index', 17, 'attempt', 3, 'error_type',
    'ConnectionError', 'error_message', 'host 17 refused', 'traceback', ''
)
where id = %(run)s
""",
)
_TABLES: Final = "workflow_runs, workflow_step_states, workflow_step_tasks, workflow_task_attempts"


@dataclass(frozen=True, slots=True)
class Month:
    """What was seeded: the run with the large map."""

    large: UUID


def seed_month(runs: int = RUNS, items: int = ITEMS) -> Month:
    """Fill the database, and let it know what it holds."""
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": SLUG,
            "steps": [
                {"slug": "fetch"},
                {"slug": "item", "type": "map", "depends_on": ["fetch"]},
                {"slug": "report", "depends_on": ["item"]},
            ],
        }
    )
    large = executor.start_flow(SLUG)
    values: dict[str, Any] = {
        "runs": runs,
        "failed": _FAILED,
        "cancelled": _CANCELLED,
        "active": _ACTIVE,
        "slug": SLUG,
        "version": large.version,
        "version_id": large.version_id,
    }
    of_large: dict[str, Any] = {"run": large.pk, "items": items, "failed": _FAILED_ITEMS}
    with transaction.atomic(), connection.cursor() as cursor:
        # The triggers refuse moves that were never made, and foreign keys take a minute.
        cursor.execute("set local session_replication_role = replica")
        for statement in (_IDS, "analyze seeds", _RUNS, _STATES, _TASKS, _ATTEMPTS):
            cursor.execute(statement, values)
        for statement in (*_LARGE_STATES, _LARGE_TASKS, _LARGE_ATTEMPTS):
            cursor.execute(statement, of_large)
    with connection.cursor() as cursor:
        cursor.execute(f"vacuum analyze {_TABLES}")
        with suppress(ProgrammingError):  # a role that may not leaves it to the server
            cursor.execute("checkpoint")
    return Month(large.pk)
