"""Workers, their heartbeats, and what they are doing: what ``listworkers`` and the admin show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import F, Q, Value
from django.db.models.functions import Greatest, Now

from pgflow_django.choices import TaskStatus
from pgflow_django.conf import settings
from pgflow_django.models import WorkflowClaim, WorkflowRun, WorkflowStepTask, WorkflowWorker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

#: A lease that was ended at once is over since before this; drivers can't read "-infinity".
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: Tasks that are looked up in one query.
_CHUNK: Final = 1_000
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
    """What each worker holds. A claim names its last batch, also when nothing of it is left."""
    claims = WorkflowClaim.objects.using(using).filter(worker_id__in=workers)
    owners = {claim.id: claim for claim in claims}
    groups: dict[tuple[int, UUID, str], list[WorkflowStepTask]] = {}
    for task in _held_tasks(owners, using):
        claim = owners.get(task.claim_id or 0)
        if claim is not None:
            groups.setdefault((claim.worker_id, task.run_id, task.step_slug), []).append(task)
    runs = WorkflowRun.objects.using(using).filter(id__in={run for _, run, _ in groups})
    slugs = dict(runs.values_list("id", "workflow_slug"))
    found: dict[int, list[Work]] = {worker: [] for worker in workers}
    for (worker, run_id, step_slug), tasks in groups.items():
        first = min(tasks, key=lambda task: task.task_index)
        since = min(task.started_at for task in tasks if task.started_at)
        slug = slugs.get(run_id, "")
        found[worker].append(Work(run_id, slug, step_slug, first.task_index, len(tasks), since))
    return {worker: sorted(work, key=lambda one: one.since) for worker, work in found.items()}


def _held_tasks(claims: Mapping[int, WorkflowClaim], using: str) -> Iterator[WorkflowStepTask]:
    """The claims' tasks that are at work, found by their keys."""
    keys = [
        (part["run_id"], part["step_slug"], part["task_index"] + number)
        for claim in claims.values()
        for part in claim.tasks
        for number in range(part["count"])
    ]
    tasks = WorkflowStepTask.objects.using(using).filter(status=TaskStatus.STARTED)
    for begin in range(0, len(keys), _CHUNK):
        chunk = tasks.filter(pk__in=keys[begin : begin + _CHUNK], claim_id__in=list(claims))
        yield from chunk.defer("item", "output", "error")
