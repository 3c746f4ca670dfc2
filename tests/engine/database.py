"""Looks into the database, and the few changes that tests make behind the engine's back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import pgtrigger
from django.db import connection, transaction

#: Children first.
TABLES = (
    "workflow_agent_tokens",
    "workflow_presences",
    "workflow_revisions",
    "workflow_drafts",
    "workflow_claims",
    "workflow_workers",
    "workflow_task_attempts",
    "workflow_run_events",
    "workflow_step_tasks",
    "workflow_step_states",
    "workflow_runs",
    "workflow_step_dependencies_def",
    "workflow_steps",
    "workflow_version_steps",
    "workflow_versions",
    "workflows",
)


def query(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Run SQL and give its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchall() if cursor.description else []


def value(sql: str, *params: Any) -> Any:
    """The one value that SQL selects."""
    return query(sql, *params)[0][0]


def queues() -> list[str]:
    """The tables of all our pgmq queues."""
    return [f"pgmq.q_{name}" for (name,) in query("select queue_name from pgmq.meta order by 1")]


def messages(run_id: UUID | str | None = None) -> list[dict[str, Any]]:
    """What lies in all queues, of one run or of all."""
    found: list[dict[str, Any]] = []
    for queue in queues():
        for msg_id, vt, message in query(
            f"select msg_id, vt, message::text::json from {queue} "
            "where %s::text is null or message->>'run_id' = %s order by msg_id",
            run_id and str(run_id),
            run_id and str(run_id),
        ):
            found.append({"queue": queue, "msg_id": msg_id, "vt": vt, **message})
    return found


def clean(*, but: Collection[str] = ()) -> None:
    """Leave nothing of a test behind, but for what is in the tables ``but``.

    Deleting is many times cheaper here than TRUNCATE.
    """
    kept = {"pgflow_default", "pgflow_in_process"}
    names = {name for (name,) in query("select queue_name from pgmq.meta")}
    tables = (*TABLES, *(f"pgmq.q_{name}" for name in sorted(names & kept)))
    emptied = [table for table in tables if table not in but]
    with transaction.atomic(), pgtrigger.ignore():
        query("; ".join(f"delete from {table}" for table in emptied))  # in one round trip
        for name in names - kept:
            query("select pgmq.drop_queue(%s)", name)


def step_statuses(run_id: UUID | str) -> dict[str, str]:
    """``{step slug: status}`` of a run."""
    return dict(
        query("select step_slug, status from workflow_step_states where run_id = %s", run_id)
    )


def task_statuses(run_id: UUID | str, step_slug: str) -> list[str]:
    """The statuses of a step's tasks, in task order."""
    rows = query(
        "select status from workflow_step_tasks where run_id = %s and step_slug = %s "
        "order by task_index",
        run_id,
        step_slug,
    )
    return [status for (status,) in rows]


def attempts_counts(run_id: UUID | str, step_slug: str) -> list[int]:
    """How many attempts each task of a step has spent, in task order."""
    rows = query(
        "select attempts_count from workflow_step_tasks where run_id = %s and step_slug = %s "
        "order by task_index",
        run_id,
        step_slug,
    )
    return [count for (count,) in rows]


def end_leases() -> None:
    """Let the leases of all workers be over, as if their processes had died a while ago."""
    query("update workflow_workers set lease_until = clock_timestamp() - interval '1 second'")
