"""What reasons of a run that has not ended are made of: its steps, and what workers do for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from pgflow_django.runs.why.standing import Standing
from pgflow_django.runs.workers import Work, WorkerView


@dataclass(frozen=True, slots=True)
class Subject:
    """The run that is asked about; ``error`` is the beginning of its error, if it failed."""

    run_id: UUID
    flow: str
    status: str
    version_id: int
    owner_id: int | None
    using: str
    has_caller_functions: bool = False
    error: Mapping[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """A run's steps, and all workers with what they are doing."""

    subject: Subject
    steps: Sequence[Standing]
    workers: Sequence[WorkerView]

    @cached_property
    def now(self) -> datetime:
        """The database's clock."""
        return self.steps[0].now

    @cached_property
    def started(self) -> list[Standing]:
        """The steps with tasks left that may be taken."""
        return [step for step in self.steps if step.is_started]

    @cached_property
    def alive(self) -> list[WorkerView]:
        """The workers whose leases hold."""
        return [worker for worker in self.workers if worker.is_alive]

    @cached_property
    def running(self) -> dict[str, list[tuple[WorkerView, Work]]]:
        """What live workers hold, by step."""
        return self._list_held(is_alive=True)

    @cached_property
    def lost(self) -> dict[str, list[tuple[WorkerView, Work]]]:
        """What workers hold whose leases are over, by step."""
        return self._list_held(is_alive=False)

    def _list_held(self, *, is_alive: bool) -> dict[str, list[tuple[WorkerView, Work]]]:
        found: dict[str, list[tuple[WorkerView, Work]]] = {}
        for worker in self.workers:
            for work in worker.doing if worker.is_alive == is_alive else ():
                if work.run_id == self.subject.run_id:
                    found.setdefault(work.step_slug, []).append((worker, work))
        return found

    def count_due(self, step: Standing) -> int:
        """How many of its tasks wait for nothing but a worker."""
        held = (*self.running.get(step.slug, ()), *self.lost.get(step.slug, ()))
        return step.count_due(sum(work.tasks for _, work in held))

    def list_able(self, step: Standing) -> list[WorkerView]:
        """The live workers that could run it."""
        return [worker for worker in self.alive if can_run(worker, step)]


def can_run(worker: WorkerView, step: Standing) -> bool:
    """Whether a worker serves a step's queue, and has its function."""
    has_function = worker.functions is None or step.function in worker.functions
    return step.queue in worker.queues and has_function
