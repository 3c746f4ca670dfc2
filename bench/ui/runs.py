"""A run to look at: 300 steps, one of them a map of 10,000 items, moved on by hand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from bench.ui.flows import make_document
from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowStepState, WorkflowStepTask

STEPS, ITEMS = 300, 10_000


class BenchRun:
    """A run that no worker touches; ``running`` are the steps of it that run, oldest first."""

    def __init__(self) -> None:
        """Start it."""
        steps: list[dict[str, Any]] = [
            {"slug": step["slug"], "depends_on": step.get("depends_on", [])}
            for step in make_document(STEPS - 1)["steps"]
        ]
        self.running: list[str] = []
        self._waiting = [step["slug"] for step in steps]
        steps.append({"slug": "items", "type": "map"})
        flow_builder.create_flow_from_spec({"workflow_slug": "bench_run", "steps": steps})
        self.id: UUID = executor.start_flow("bench_run", list(range(ITEMS))).pk
        self.begin(50)
        self.complete(self.running[:25])

    @property
    def path(self) -> str:
        """What the addresses of its pages begin with."""
        return f"/admin/pgflow_django/workflowrun/{self.id}/"

    @transaction.atomic
    def begin(self, count: int) -> None:
        """Let so many more steps run."""
        slugs, self._waiting = self._waiting[:count], self._waiting[count:]
        self.running += slugs
        self._of(WorkflowStepState, slugs).update(
            status="started", remaining_deps=0, initial_tasks=1, remaining_tasks=1, started_at=Now()
        )
        tasks = [WorkflowStepTask(run_id=self.id, step_slug=slug, task_index=0) for slug in slugs]
        WorkflowStepTask.objects.bulk_create(tasks, ignore_conflicts=True)
        self._of(WorkflowStepTask, slugs).update(
            status="started", attempts_count=1, claim_id=1, worker="bench@host", started_at=Now()
        )

    @transaction.atomic
    def complete(self, slugs: Collection[str]) -> None:
        """Let these steps, which run, complete."""
        self.running = [slug for slug in self.running if slug not in slugs]
        tasks = self._of(WorkflowStepTask, slugs)
        tasks.update(status="completed", claim_id=None, output={}, ended_at=Now())
        states = self._of(WorkflowStepState, slugs)
        states.update(status="completed", remaining_tasks=0, ended_at=Now())

    def _of(self, model: Any, slugs: Collection[str]) -> Any:
        return model.objects.filter(run_id=self.id, step_slug__in=slugs)
