"""How a run and its steps stand: what the live table, ``showrun`` and diagrams show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import (
    Case,
    Count,
    DateTimeField,
    Func,
    Max,
    Min,
    OuterRef,
    Q,
    Subquery,
    When,
)
from django.db.models.functions import JSONObject, Left
from django.utils.dateparse import parse_datetime

from pgflow_django.choices import RunState, StepStatus, TaskStatus
from pgflow_django.exceptions import RunNotFound
from pgflow_django.models import (
    WorkflowRun,
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
    WorkflowVersionStep,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from pgflow_django.drawing.svg import Status

#: Characters of an error message that a line may need.
_ERROR_LENGTH = 500
_RUN_FIELDS = ("workflow_slug", "version_id", "status", "started_at", "ended_at", "error")
_STATE_FIELDS = (
    "step_slug",
    "status",
    "initial_tasks",
    "remaining_tasks",
    "started_at",
    "ended_at",
)


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What a run's version says of a step."""

    slug: str
    kind: str
    depends_on: Sequence[str]
    function: str
    max_attempts: int


@dataclass(frozen=True, slots=True)
class StepView:
    """How a step of a run stands. ``failures`` counts attempts that failed, ``failed`` tasks.

    ``attempt`` is the one that runs or comes next; ``wait`` the seconds until then, while every
    task that is left waits for its next attempt. ``error`` is that of the last attempt to fail.
    """

    plan: StepPlan
    status: Status
    done: int = 0
    total: int | None = None
    failed: int = 0
    failures: int = 0
    attempt: int = 1
    wait: float | None = None
    error: str = ""
    seconds: float | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def slug(self) -> str:
        """The step's slug."""
        return self.plan.slug

    @property
    def is_map(self) -> bool:
        """Whether it may have many tasks."""
        return self.plan.kind == "map"


@dataclass(frozen=True, slots=True)
class RunView:
    """How a run stands, with its steps in the order of definition."""

    id: UUID
    workflow_slug: str
    status: str
    seconds: float
    steps: Sequence[StepView]
    error: dict[str, Any] | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return RunState(self.status).is_terminal

    def count(self, *statuses: Status) -> int:
        """How many of its steps have one of these statuses."""
        return sum(step.status in statuses for step in self.steps)

    @property
    def plans(self) -> Sequence[StepPlan]:
        """The steps as the run's version has them."""
        return [step.plan for step in self.steps]

    @property
    def tasks_done(self) -> int:
        """How many tasks have completed, of all steps."""
        return sum(step.done for step in self.steps)


def load_plans(run_id: UUID, *, using: str) -> dict[str, StepPlan]:
    """The steps of the version that a run is pinned to; none where there is no such run."""
    version = WorkflowRun.objects.filter(id=run_id).values("version_id")[:1]
    rows = WorkflowVersionStep.objects.using(using).filter(version_id=Subquery(version))
    return {
        row.step_slug: StepPlan(
            row.step_slug, row.step_type, tuple(row.depends_on), row.function, row.max_attempts
        )
        for row in rows.order_by("step_index")
    }


def load_view(run_id: UUID, plans: Mapping[str, StepPlan], *, using: str) -> RunView:
    """How the run stands now, by the database's clock. Raises ``RunNotFound``."""
    runs = WorkflowRun.objects.using(using).filter(id=run_id)
    run = runs.annotate(now=_now()).values(*_RUN_FIELDS, "now").first()
    if run is None:
        raise RunNotFound(f"there is no run {run_id}", run_id=run_id)
    states = WorkflowStepState.objects.using(using).filter(run_id=run_id).order_by("step_index")
    rows = states.annotate(
        tries=Subquery(_count_attempts()),
        last_error=Subquery(_last_error()),
        # No other steps have any, so nobody else's tasks are looked at.
        failed=Case(When(status=StepStatus.FAILED, then=Subquery(_count_failed_tasks()))),
    ).values(*_STATE_FIELDS, "tries", "last_error", "failed")
    now = run["now"]
    return RunView(
        id=run_id,
        workflow_slug=run["workflow_slug"],
        status=run["status"],
        seconds=((run["ended_at"] or now) - run["started_at"]).total_seconds(),
        steps=[_view(plans[row["step_slug"]], row, now) for row in rows],
        error=run["error"],
    )


def _now() -> Func:
    return Func(function="clock_timestamp", output_field=DateTimeField())


def _failed_attempts() -> QuerySet[Any]:
    """Attempts that failed since the step started: what came before a retry counts no more."""
    return WorkflowTaskAttempt.objects.filter(
        run_id=OuterRef("run_id"),
        step_slug=OuterRef("step_slug"),
        ended_at__gte=OuterRef("started_at"),
    )


def _count_attempts() -> QuerySet[Any]:
    later = Q(retry_at__gt=_now())
    found = JSONObject(
        failures=Count("*"),
        last=Max("attempt"),
        waiting=Count("id", filter=later),
        next=Min("retry_at", filter=later),
    )
    return _failed_attempts().order_by().values("run_id").values(found=found)


def _last_error() -> QuerySet[Any]:
    found = JSONObject(type="error_type", message=Left("error_message", _ERROR_LENGTH))
    return _failed_attempts().order_by("-id").values(found=found)[:1]


def _count_failed_tasks() -> QuerySet[Any]:
    tasks = WorkflowStepTask.objects.filter(
        run_id=OuterRef("run_id"), step_slug=OuterRef("step_slug"), status=TaskStatus.FAILED
    )
    return tasks.order_by().values("run_id").values(found=Count("*"))


def _view(plan: StepPlan, row: Mapping[str, Any], now: datetime) -> StepView:
    tries = row["tries"] or {"failures": 0, "last": 0, "waiting": 0, "next": None}
    total, left = row["initial_tasks"], row["remaining_tasks"]
    started_at, ended_at = row["started_at"], row["ended_at"]
    is_waiting = (
        row["status"] == StepStatus.STARTED and left is not None and 0 < left <= tries["waiting"]
    )
    next_at = parse_datetime(tries["next"]) if is_waiting and tries["next"] else None
    return StepView(
        plan=plan,
        status="retrying" if is_waiting else _WORDS[row["status"]],
        done=(total or 0) - (left or 0) if left is not None else 0,
        total=total,
        failed=row["failed"] or 0,
        failures=tries["failures"],
        attempt=tries["last"] + (row["status"] in _RUNNING_ON or not tries["last"]),
        error="{type}: {message}".format(**row["last_error"]) if row["last_error"] else "",
        wait=max(0.0, (next_at - now).total_seconds()) if next_at else None,
        seconds=((ended_at or now) - started_at).total_seconds() if started_at else None,
        started_at=started_at,
        ended_at=ended_at,
    )


#: Statuses of a step whose last attempt to fail was followed by another one.
_RUNNING_ON = {StepStatus.STARTED, StepStatus.COMPLETED}

_WORDS: dict[str, Status] = {
    StepStatus.CREATED: "waiting",
    StepStatus.STARTED: "running",
    StepStatus.COMPLETED: "completed",
    StepStatus.FAILED: "failed",
    StepStatus.SKIPPED: "skipped",
    StepStatus.CANCELLED: "cancelled",
}
