"""Flows, runs in every state and workers, with large numbers wherever a page shows one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn
from uuid import UUID

from django.db import connections, router
from django.utils import timezone

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.exceptions import RunFailed
from pgflow_django.models import Workflow, WorkflowRun, WorkflowWorker
from pgflow_django.registry import registry
from tests.engine.database import clean

#: A number that is written otherwise where numbers are localised.
LARGE = 1_234_567
#: What tables number their rows with, as far as pages show it.
_NUMBERED = (
    "workflow_versions",
    "workflow_revisions",
    "workflow_task_attempts",
    "workflow_run_events",
    "workflow_workers",
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 1000, "maximum": LARGE, "default": 2500},
        "share": {"type": "number", "default": 1234.5},
        "day": {"type": "string", "format": "date", "default": "2026-11-27"},
        "size": {"type": "string", "enum": ["1000", "2000"]},
    },
}


def site_list(input: Any) -> list[int]:
    """Give numbers."""
    return [1000, 2500, LARGE]


def site_double(input: Any) -> int:
    """Double one number."""
    return int(input["item"]) * 2


def site_fail(input: Any) -> NoReturn:
    """Fail."""
    raise ValueError("nothing works today")


def register() -> None:
    """Let this process know the step functions."""
    for function in (site_list, site_double, site_fail):
        if function.__name__ not in registry:
            registry.register(function)


def make_flow(slug: str, function: str = "site_list", **options: Any) -> str:
    """Store a flow of a list and a map over it, with large numbers."""
    more = options.pop("step", {})
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": slug,
            "timeout": 3600,
            "base_delay": 3600,
            "max_attempts": 1,
            **options,
            "steps": [
                {"slug": "first", "uses": function, "timeout": 7200, "base_delay": 1800, **more},
                {"slug": "each", "uses": "site_double", "type": "map", "depends_on": ["first"]},
            ],
        }
    )
    return slug


def make(*, again: bool = False) -> dict[str, UUID]:
    """Make all of it, instead of what is there if ``again``; the runs by what they are in."""
    register()
    if again:
        clean()
    _count_on()
    make_flow("numbers", input_schema=_SCHEMA, description="Numbers")
    Workflow.objects.filter(pk="numbers").update(version=1234)
    executor.execute_dynamic("numbers", {"count": LARGE, "share": 1234.5})
    runs = {"completed": WorkflowRun.objects.get().pk, **_make_runs()}
    _make_drafts()
    WorkflowWorker.objects.create(
        kind="celery",
        node="one@site",
        hostname="site",
        pid=LARGE,
        queues=["default"],
        lease_until=timezone.now() + timedelta(hours=1),
    )
    return runs


def _make_runs() -> dict[str, UUID]:
    make_flow("broken", "site_fail")
    make_flow("retrying", "site_fail", max_attempts=1000)
    make_flow("delayed", step={"start_delay": 3600})
    runs = {}
    try:
        executor.execute_dynamic("broken", {})
    except RunFailed as error:
        runs["failed"] = UUID(str(error.run_id))
    runs["retrying"] = executor.start_flow("retrying", {}).pk
    executor.drain(timeout=0.5)
    runs["delayed"] = executor.start_flow("delayed", {"count": LARGE}).pk
    for state in ("queued", "cancelled", "paused"):
        runs[state] = executor.start_flow("numbers", {"count": LARGE}, key=f"key {state}").pk
    executor.cancel_run(runs["cancelled"])
    WorkflowRun.objects.filter(pk=runs["paused"]).update(status="paused")
    return runs


def _make_drafts() -> None:
    draft = drafts.load("numbers")
    for words in ("Some numbers", "More numbers"):
        edited = drafts.edit(
            "numbers", draft.version, "set_flow", {"description": words}, user="ann"
        )
        draft = edited.draft
    run_sql("update workflow_revisions set seq = seq + 1500, parent = parent + 1500")
    run_sql("update workflow_drafts set head = head + 1500, version = version + 1500")
    drafts.create("drawn", {"timeout": 3600, "steps": [{"slug": "site_list"}]}, user="ann")


def _count_on() -> None:
    for table in _NUMBERED:
        run_sql(f"select setval(pg_get_serial_sequence('{table}', 'id'), {LARGE})")


def run_sql(sql: str) -> None:
    """Run SQL where the flows are."""
    with connections[router.db_for_write(Workflow)].cursor() as cursor:
        cursor.execute(sql)
