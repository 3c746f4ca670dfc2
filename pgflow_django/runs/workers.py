"""Workers, their heartbeats, and what they are doing: what ``listworkers`` and the admin show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest, Now

from pgflow_django.conf import settings
from pgflow_django.models import WorkflowWorker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

#: A lease that was ended at once is over since before this; drivers can't read "-infinity".
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: A claim names its last batch, also when nothing of it is left: each of its parts is looked up by
#: the tasks' key.
_WORK: Final = """
    select c.worker_id, part.run_id, r.workflow_slug, part.step_slug,
        min(held.first), sum(held.tasks)::integer, min(held.since)
    from workflow_claims c
    cross join lateral jsonb_to_recordset(c.tasks)
        as part (run_id uuid, step_slug text, task_index integer, count integer)
    cross join lateral (
        select min(t.task_index) as first, count(*) as tasks, min(t.started_at) as since
        from workflow_step_tasks t
        where
            t.run_id = part.run_id and t.step_slug = part.step_slug
            and t.task_index >= part.task_index and t.task_index < part.task_index + part.count
            and t.claim_id = c.id and t.status = 'started'
    ) as held
    cross join lateral (  -- by its key, even where the planner takes the table for small
        select r.workflow_slug from workflow_runs r where r.id = part.run_id limit 1
    ) as r
    where c.worker_id = any(%s) and held.tasks > 0
    group by c.worker_id, part.run_id, r.workflow_slug, part.step_slug
    order by min(held.since), part.run_id, part.step_slug
"""
_COLUMNS: Final = ("id", "node", "kind", "hostname", "pid", "queues", "functions", "started_at")


@dataclass(frozen=True, slots=True)
class Work:
    """Tasks of one step that a worker holds; ``task_index`` is the first, ``since`` its start."""

    run_id: UUID
    workflow_slug: str
    step_slug: str
    task_index: int
    tasks: int
    since: datetime


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker. ``functions`` is ``None`` where it can run any; ``silent`` seconds since it spoke.

    ``is_alive`` says whether its lease holds: if not, others take over what it held.
    """

    id: int
    node: str
    kind: str
    hostname: str
    pid: int
    queues: Sequence[str]
    functions: Sequence[str] | None
    started_at: datetime
    silent: float
    is_alive: bool
    now: datetime
    doing: Sequence[Work]


def list_workers(*, using: str) -> list[WorkerView]:
    """Every worker that is registered, those of a node together."""
    rows = (
        WorkflowWorker.objects.using(using)
        .annotate(
            now=Now(),
            is_alive=Q(lease_until__gt=Now()),
            lease=Greatest(F("lease_until"), Value(_LONG_AGO)),
        )
        .order_by("node", "hostname", "id")
        .values(*_COLUMNS, "now", "is_alive", "lease")
    )
    workers = list(rows)
    doing = _find_work([worker["id"] for worker in workers], using)
    return [
        WorkerView(
            silent=_silence(worker, worker.pop("lease")), doing=doing[worker["id"]], **worker
        )
        for worker in workers
    ]


def _silence(worker: Mapping[str, Any], lease: datetime) -> float:
    """Seconds since it registered or renewed its lease, if that is as long as ours."""
    spoke: datetime = max(lease - timedelta(seconds=settings.LEASE_SECONDS), worker["started_at"])
    now: datetime = worker["now"]
    return max(0.0, (now - spoke).total_seconds())


def _find_work(workers: Sequence[int], using: str) -> dict[int, list[Work]]:
    """What each worker holds, the oldest first."""
    found: dict[int, list[Work]] = {worker: [] for worker in workers}
    with connections[using].cursor() as cursor:
        cursor.execute(_WORK, [list(workers)])
        for worker, *columns in cursor.fetchall():
            found[worker].append(Work(*columns))
    return found
