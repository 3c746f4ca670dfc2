"""The rows of a run's steps, as pages read them.

Service layer, below ``view``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, DateTimeField, Func, Max, Min, OuterRef, Q, Subquery
from django.db.models.functions import JSONObject, Left

from pgflow_django.models import (
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
)

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet

#: Characters of a step's last error message that are read.
_ERROR_LENGTH: Final = 500
_MORE = ("tries", "last_error", "first_task")
_STATE = ("step_slug", "status", "initial_tasks", "remaining_tasks", "started_at", "ended_at")


def clock() -> Func:
    """The moment at which a statement gets there, by the database's clock."""
    return Func(function="clock_timestamp", output_field=DateTimeField())


_TASK = JSONObject(s="status", w="worker", n="attempts_count", began="started_at")


def read_states(run_id: UUID, using: str) -> list[dict[str, Any]]:
    """How the steps of a run stand, in one query and in their order.

    Beside their columns: ``tries`` (of the attempts that failed), ``last_error``, ``first_task``.
    """
    states = WorkflowStepState.objects.using(using).filter(run_id=run_id)
    rows = states.annotate(
        tries=Subquery(_count_attempts()),
        last_error=Subquery(_last_error()),
        first_task=Subquery(_first_task()),
    ).order_by("step_index")
    return list(rows.values(*_STATE, *_MORE))


def _failed_attempts() -> QuerySet[WorkflowTaskAttempt]:
    """Attempts that failed since the step started: what came before a retry counts no more."""
    return WorkflowTaskAttempt.objects.failed().filter(
        run_id=OuterRef("run_id"),
        step_slug=OuterRef("step_slug"),
        ended_at__gte=OuterRef("started_at"),
    )


def _count_attempts() -> QuerySet[Any, Any]:
    later = Q(retry_at__gt=clock())
    found = JSONObject(
        failures=Count("*"),
        # Counted here, not in the tasks, of which there may be a million.
        failed=Count("id", filter=Q(retry_at=None)),
        last=Max("attempt"),
        began=Min("started_at"),
        waiting=Count("id", filter=later),
        next=Min("retry_at", filter=later),
    )
    return _failed_attempts().order_by().values("run_id").values(found=found)


def _last_error() -> QuerySet[Any, Any]:
    found = JSONObject(
        step_slug="step_slug",
        error_type="error_type",
        error_message=Left("error_message", _ERROR_LENGTH),
    )
    return _failed_attempts().order_by("-id").values(found=found)[:1]


def _first_task() -> QuerySet[Any, Any]:
    tasks = WorkflowStepTask.objects.filter(
        run_id=OuterRef("run_id"), step_slug=OuterRef("step_slug"), task_index=0
    )
    return tasks.values(found=_TASK)
