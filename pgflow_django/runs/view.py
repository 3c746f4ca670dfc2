"""How a run and its steps stand: the one reading of it, which commands and pages show.

Service layer, beside ``status``. Three queries, however many steps a run has; of texts that nobody
bounds it reads the beginnings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models.fields.json import KT
from django.db.models.functions import JSONObject, Left

from pgflow_django.choices import TRIAL_VERSION, RunState, StepStatus, StepType, TaskStatus
from pgflow_django.exceptions import RunNotFound
from pgflow_django.models import WorkflowRun, WorkflowVersionStep
from pgflow_django.models.querysets import IS_GIVEN
from pgflow_django.runs.shown_errors import show_error
from pgflow_django.runs.state_rows import clock, read_states
from pgflow_django.runs.waiting import Waiting
from pgflow_django.runs.why.facts import Subject
from pgflow_django.runs.why.finding import Why, find_why
from pgflow_django.storage.moments import read_moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from pgflow_django.drawing.states import Status

#: Characters of the texts of a run's error that are read.
SHOWN_TEXT = 16_000
_RUN = ("workflow_slug", "version", "version_id", "owner_id", "status")
_TIMES = ("started_at", "ended_at")
_PLAN = ("step_slug", "step_type", "depends_on", "function", "max_attempts", "description")


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of a run: what the run's version says of it, and how it stands.

    ``failures`` counts the attempts that failed since the step was last begun, ``failed`` the tasks
    that did. ``attempt`` is the one that runs or comes next. A step is "retrying" while every task
    that is left waits for its next attempt: the first of them in ``wait`` seconds, at ``retry_at``.
    Where ``is_given``, a trial was given its output, and called no function of the site.
    ``is_queued`` is a single step whose task nobody has taken yet; ``worker`` who took it last.
    ``error`` is that of the last attempt to fail. ``started_at`` is when the first attempt began,
    ``seconds`` what has gone by from then to its end, or to now; for ``waited`` seconds before that
    it was ready, and waited for its start delay, or for a worker.
    """

    slug: str
    function: str
    is_map: bool = False
    depends_on: tuple[str, ...] = ()
    max_attempts: int = 1
    description: str = ""
    is_given: bool = False
    status: Status = "waiting"
    done: int = 0
    total: int | None = None
    failed: int = 0
    failures: int = 0
    attempt: int = 1
    is_queued: bool = False
    worker: str = ""
    error: str = ""
    retry_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    # These change while nothing happens, and so ``repr`` leaves them out.
    wait: float | None = field(default=None, repr=False)
    seconds: float | None = field(default=None, repr=False)
    waited: float | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RunView:
    """How a run stands, with its steps in the order of definition.

    ``error`` has the beginnings of the texts of a failed run's error. A run that is not whole is
    being deleted, in slices. ``is_trial``: it only tries a draft.
    """

    id: UUID
    workflow_slug: str
    status: str
    steps: tuple[StepView, ...]
    error: Mapping[str, Any]
    waiting: Waiting | None
    is_whole: bool
    ended_at: datetime | None
    seconds: float = field(repr=False)
    is_trial: bool = False
    #: Why a run that has not ended stands so, if that was asked for.
    why: Why = field(default_factory=Why, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return RunState(self.status).is_terminal

    @property
    def steps_done(self) -> int:
        """How many of its steps need nothing more."""
        return sum(step.status in {"completed", "skipped"} for step in self.steps)

    @property
    def tasks_done(self) -> int:
        """How many tasks have completed, of all steps."""
        return sum(step.done for step in self.steps)


def load(run_id: UUID, *, using: str, explain: bool = False) -> RunView:
    """How the run stands now, by the database's clock. Raises ``RunNotFound``.

    If ``explain``, there is also why a run that has not ended does: up to six queries more.
    """
    runs = WorkflowRun.objects.using(using).filter(id=run_id)
    run = (
        runs.annotate(now=clock(), beginning=cut_error())
        .values(*_RUN, *_TIMES, "now", "beginning")
        .first()
    )
    if run is None:
        raise RunNotFound(run_id)
    status, version_id, now = run["status"], run["version_id"], run["now"]
    plans = WorkflowVersionStep.objects.using(using).filter(version_id=version_id)
    states = {row["step_slug"]: row for row in read_states(run_id, using)}
    is_trial = run["version"] == TRIAL_VERSION
    given = set(plans.filter(IS_GIVEN).values_list("step_slug", flat=True)) if is_trial else ()
    steps = [
        _view(plan, states.get(plan["step_slug"]), now, is_given=plan["step_slug"] in given)
        for plan in plans.order_by("step_index").values(*_PLAN)
    ]
    why = Why()
    if explain and not RunState(status).is_terminal:
        flow, owner_id = run["workflow_slug"], run["owner_id"]
        why = find_why(Subject(run_id, flow, status, version_id, owner_id, using))
    return RunView(
        id=run_id,
        workflow_slug=run["workflow_slug"],
        status=status,
        steps=tuple(steps),
        error=show_error(run["beginning"]) if status == RunState.FAILED else {},
        waiting=why.waiting,
        why=why,
        is_whole=len(states) == len(steps),
        ended_at=run["ended_at"],
        seconds=((run["ended_at"] or now) - run["started_at"]).total_seconds(),
        is_trial=is_trial,
    )


def cut_error(length: int = SHOWN_TEXT) -> JSONObject:
    """The error of a run with the beginnings of its texts; nulls where it has none."""
    names = ("step_slug", "error_type", "error_message", "traceback")
    return JSONObject(**{name: Left(KT(f"error__{name}"), length) for name in names})


def _view(
    plan: Mapping[str, Any], state: Mapping[str, Any] | None, now: datetime, *, is_given: bool
) -> StepView:
    is_map = plan["step_type"] == StepType.MAP
    return StepView(
        slug=plan["step_slug"],
        function=plan["function"],
        is_map=is_map,
        depends_on=tuple(plan["depends_on"]),
        max_attempts=plan["max_attempts"],
        description=plan["description"],
        is_given=is_given,
        **({} if state is None else _standing(state, now, is_map=is_map)),
    )


def _standing(state: Mapping[str, Any], now: datetime, *, is_map: bool) -> dict[str, Any]:
    """How a step stands."""
    tries = state["tries"] or _NO_TRIES
    total, left = state["initial_tasks"], state["remaining_tasks"]
    ready_at, ended_at = state["started_at"], state["ended_at"]
    started_at = _find_start(state, tries)
    is_started = state["status"] == StepStatus.STARTED
    is_waiting = is_started and left is not None and 0 < left <= tries["waiting"]
    retry_at = read_moment(tries["next"]) if is_waiting else None
    task = {} if is_map else state["first_task"] or {}
    waited = ((started_at or ended_at or now) - ready_at).total_seconds() if ready_at else None
    is_queued = is_started and not is_waiting and task.get("s") == TaskStatus.QUEUED
    return {
        "status": "retrying" if is_waiting else _WORDS[state["status"]],
        "done": (total or 0) - left if left is not None else 0,
        "total": total,
        "failed": tries["failed"] if state["status"] == StepStatus.FAILED else 0,
        "failures": tries["failures"],
        "attempt": tries["last"] + (state["status"] in _RUNNING_ON or not tries["last"]),
        "is_queued": is_queued,
        "worker": task.get("w") or "",
        "error": _say_error(state["last_error"]),
        "retry_at": retry_at,
        "started_at": started_at,
        "ended_at": ended_at,
        "wait": max(0.0, (retry_at - now).total_seconds()) if retry_at else None,
        "seconds": ((ended_at or now) - started_at).total_seconds() if started_at else None,
        "waited": waited,
    }


def _say_error(error: Mapping[str, Any] | None) -> str:
    return "{error_type}: {error_message}".format(**show_error(error)) if error else ""


_NO_TRIES: Mapping[str, Any] = {
    **dict.fromkeys(("failures", "failed", "last", "waiting"), 0),
    **dict.fromkeys(("next", "began")),
}


def _find_start(state: Mapping[str, Any], tries: Mapping[str, Any]) -> datetime | None:
    """When the first attempt of a step began; ``None`` while it waits.

    Of a map's tasks the first is looked at, which is claimed first: there may be a million.
    """
    ready_at: datetime | None = state["started_at"]
    task = state["first_task"] or {}
    if ready_at is None:
        return None
    if state["initial_tasks"] == 0:  # a map over nothing
        return ready_at
    begun = [tries["began"], task["began"] if task.get("n") else None]
    moments = [read_moment(text) for text in begun if text]
    if not moments:
        return None
    return max(ready_at, min(moments))  # a task may have completed before a retry of the run


#: Statuses of a step whose last attempt to fail was followed by another one.
_RUNNING_ON = {StepStatus.STARTED, StepStatus.COMPLETED}

_WORDS: Mapping[str, Status] = {
    StepStatus.CREATED: "waiting",
    StepStatus.STARTED: "running",
    StepStatus.COMPLETED: "completed",
    StepStatus.FAILED: "failed",
    StepStatus.SKIPPED: "skipped",
    StepStatus.CANCELLED: "cancelled",
}
