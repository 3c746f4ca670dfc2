"""One task of a run: every attempt at it, in each round of the run.

Service layer. Called within ``looking``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models.functions import Left

from pgflow_django.choices import TaskStatus
from pgflow_django.models import WorkflowStepTask, WorkflowTaskAttempt, WorkflowVersionStep
from pgflow_django.models.querysets import CUT_OFF
from pgflow_django.runs.shown_errors import show_error
from pgflow_django.runs.state_rows import clock
from pgflow_django.runs.view import SHOWN_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

#: Attempts that are shown, the newest.
MOST: Final = 50
_ENDED = {TaskStatus.COMPLETED, TaskStatus.SKIPPED}
_ATTEMPT = (
    *("step_slug", "round", "attempt", "code", "error_type", "worker"),
    *("started_at", "ended_at", "retry_at", "details"),
)
_PLAN = (
    *("step_type", "depends_on", "function", "max_attempts", "timeout", "params", "inputs"),
    "description",
)


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt: ``outcome`` is failed, cancelled (it was cut off), running or completed.

    ``waited`` are the seconds before it began, since the attempt before it ended or the task was
    queued; ``seconds`` what it took. Both are ``None`` where nothing is known of that.
    """

    round: int
    number: int
    outcome: str
    code: str = ""
    error_type: str = ""
    message: str = ""
    traceback: str = ""
    worker: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    retry_at: datetime | None = None
    waited: float | None = None
    seconds: float | None = None
    problems: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class TaskDetail:
    """A task, what its run's version says of its step (``plan``), and the attempts, newest first.

    ``is_cut``: there were more attempts.
    """

    step: str
    index: int
    status: str
    queued_at: datetime
    plan: Mapping[str, Any]
    attempts: Sequence[AttemptView]
    is_cut: bool = False

    @property
    def is_map(self) -> bool:
        """Whether the step has a task for each item."""
        return bool(self.plan["step_type"] == "map")


def load_task(
    run_id: UUID, version_id: int, round: int, step: str, index: int, *, using: str
) -> TaskDetail | None:
    """The task, ``None`` where there is no such one. Three queries."""
    tasks = WorkflowStepTask.objects.using(using)
    row = (
        tasks.filter(run_id=run_id, step_slug=step, task_index=index)
        .annotate(now=clock())
        .values("status", "attempts_count", "worker", "queued_at", "started_at", "ended_at", "now")
        .first()
    )
    plans = WorkflowVersionStep.objects.using(using)
    plan = plans.filter(version_id=version_id, step_slug=step).values(*_PLAN).first()
    if row is None or plan is None:
        return None
    rows = _load_attempts(run_id, step, index, using)
    attempts = _view_attempts(rows, row, round)
    return TaskDetail(
        step,
        index,
        row["status"],
        row["queued_at"],
        plan,
        attempts[-MOST:][::-1],
        is_cut=len(rows) > MOST,
    )


def _load_attempts(run_id: UUID, step: str, index: int, using: str) -> list[dict[str, Any]]:
    """The attempts that did not complete, in their order; one more than is shown."""
    attempts = WorkflowTaskAttempt.objects.using(using)
    found = attempts.filter(run_id=run_id, step_slug=step, task_index=index)
    found = found.annotate(
        message=Left("error_message", SHOWN_TEXT), trace=Left("traceback", SHOWN_TEXT)
    )
    return list(found.order_by("-id").values(*_ATTEMPT, "message", "trace")[: MOST + 1])[::-1]


def _view_attempts(
    rows: Sequence[Mapping[str, Any]], task: Mapping[str, Any], round: int
) -> list[AttemptView]:
    found = []
    before: Mapping[str, Any] | None = None
    for row in rows:
        since = _waits_since(before, task, row["round"], round)
        found.append(_view_failed(row, since))
        before = row
    if task["started_at"] and task["status"] in {TaskStatus.STARTED, *_ENDED}:
        until = task["ended_at"] or task["now"]
        found.append(
            AttemptView(
                round,
                task["attempts_count"],
                "completed" if task["status"] in _ENDED else "running",
                worker=task["worker"] or "",
                started_at=task["started_at"],
                ended_at=task["ended_at"],
                waited=_seconds(_waits_since(before, task, round, round), task["started_at"]),
                seconds=_seconds(task["started_at"], until),
            )
        )
    return found


def _view_failed(row: Mapping[str, Any], since: datetime | None) -> AttemptView:
    shown = show_error({**row, "error_message": row["message"], "traceback": row["trace"]})
    return AttemptView(
        row["round"],
        row["attempt"],
        "cancelled" if row["code"] == CUT_OFF else "failed",
        code=row["code"],
        error_type=shown["error_type"],
        message=shown["error_message"],
        traceback=shown["traceback"],
        worker=row["worker"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        retry_at=row["retry_at"],
        waited=_seconds(since, row["started_at"]),
        seconds=_seconds(row["started_at"], row["ended_at"]),
        problems=(row["details"] or {}).get("problems", ()),
    )


def _waits_since(
    before: Mapping[str, Any] | None, task: Mapping[str, Any], round: int, last_round: int
) -> datetime | None:
    """Since when an attempt had been waited for: the row knows of the last round only."""
    if before is not None and before["round"] == round:
        ended_at: datetime = before["ended_at"]
        return ended_at
    queued_at: datetime = task["queued_at"]
    return queued_at if round == last_round else None


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    if since is None or until is None:
        return None
    return max(0.0, (until - since).total_seconds())
