"""Whether a workload gave what it must, and left nothing behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connections

from pgflow_django.models import (
    WorkflowClaim,
    WorkflowRun,
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
)


class WrongResult(Exception):
    """A workload gave a wrong result: its figures are worth nothing."""


def check(outputs: Mapping[UUID, Any], tasks: int, using: str) -> None:
    """Raise ``WrongResult`` unless these runs gave these outputs, with so many tasks in all."""
    runs = WorkflowRun.objects.using(using).filter(id__in=outputs)
    for run_id, status, output in runs.values_list("id", "status", "output"):
        if status != "completed" or output != outputs[run_id]:
            raise WrongResult(f"run {run_id}: {status}, {str(output)[:200]}")
    _expect(runs.count(), len(outputs), "runs")
    done = WorkflowStepTask.objects.using(using).filter(run_id__in=outputs, status="completed")
    _expect(done.filter(attempts_count=1).count(), tasks, "tasks completed at the first attempt")
    states = WorkflowStepState.objects.using(using).filter(run_id__in=outputs)
    _expect(states.exclude(status="completed").count(), 0, "steps that are not completed")
    _expect(states.exclude(remaining_tasks=0, remaining_deps=0).count(), 0, "wrong counters")
    check_nothing_is_left(using)


def check_nothing_is_left(using: str) -> None:
    """Raise ``WrongResult`` where a message, a claim or a failed attempt is left."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "select coalesce(sum(queue_length), 0) from pgmq.metrics_all() "
            r"where queue_name like 'pgflow\_%'"
        )
        _expect(cursor.fetchone()[0], 0, "messages left in the queues")
    _expect(WorkflowClaim.objects.using(using).count(), 0, "claims left")
    _expect(WorkflowTaskAttempt.objects.using(using).count(), 0, "failed attempts")


def _expect(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise WrongResult(f"{found} {what}, expected {expected}")
