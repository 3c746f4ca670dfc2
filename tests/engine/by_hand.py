"""Statuses that tests set as a person would, and the ways in which a worker's tasks end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from pgflow_django import executor
from pgflow_django.models import WorkflowRun
from pgflow_django.worker.claimed import ClaimedTask
from tests.engine.database import query
from tests.engine.test_constraints import RUN_STATES, STEP_STATES
from tests.engine.workers import HandWorker, sweep


def pause(run: Any) -> None:
    assert executor.pause_run(run.id).did


def set_run(run: Any, status: str) -> None:
    query(f"update workflow_runs set {RUN_STATES[status]} where id = %s", run.id)


def set_step(run: Any, step: str, status: str) -> None:
    query(
        f"update workflow_step_states set {STEP_STATES[status]} "
        "where run_id = %s and step_slug = %s",
        run.id,
        step,
    )


def status(run_id: UUID) -> str:
    return WorkflowRun.objects.get(id=run_id).status


Ending = Callable[[HandWorker, list[ClaimedTask]], Any]

COMPLETING: dict[str, Ending] = {
    "one": lambda worker, tasks: worker.complete(*tasks[:1], output=[]),
    "many": lambda worker, tasks: worker.complete(*tasks, output=[]),
}
FAILING: dict[str, Ending] = {
    "failure": lambda worker, tasks: worker.fail(*tasks, permanent=True),
    "lost": lambda worker, tasks: (worker.die(), sweep()),
}
