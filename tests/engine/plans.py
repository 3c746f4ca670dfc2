"""What the server says of how it would get at the rows of queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.engine.database import query

#: Tables that grow with every run.
GROWING = (
    "workflow_runs",
    "workflow_step_states",
    "workflow_step_tasks",
    "workflow_task_attempts",
    "workflow_run_events",
)


def find_plans(act: Callable[[], object]) -> dict[str, str]:
    """The plans of all queries about growing tables that ``act`` makes, as text by their SQL."""
    plans: dict[str, str] = {}

    def explain(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        is_query = sql.lstrip().lower().startswith(("select", "with"))
        if is_query and any(table in sql for table in GROWING):
            with context["connection"].connection.cursor() as cursor:
                cursor.execute(f"explain {sql}", params)
                plans[sql] = "\n".join(row[0] for row in cursor.fetchall())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        act()
    return plans


def analyse() -> None:
    """Let the planner know the tables as they are now: also that they are empty, before a test."""
    query(f"analyze {', '.join(GROWING)}")
