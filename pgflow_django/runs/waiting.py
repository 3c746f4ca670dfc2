"""Why nothing moves in a run that has not ended, and what to do about it.

Service layer, below ``status``. Four queries at most, however large the run is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import Count, Exists, Func, Min, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.functions import JSONObject, Now

from pgflow_django.choices import RunState, StepStatus, TaskStatus
from pgflow_django.models import (
    WorkflowClaim,
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
    WorkflowVersionStep,
    WorkflowWorker,
)
from pgflow_django.runs.workers import WorkerView, list_workers
from pgflow_django.storage.moments import by_the_clock, read_moment
from pgflow_django.storage.trouble import worker_command

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a run waits for.

    ``reason`` is ``paused``, ``caller`` (the process that executes it), ``no_worker`` (for a
    queue), ``no_function`` (no worker of the queue has it), ``delayed`` (until ``until``) or
    ``busy`` (every worker that could run it is at something else).
    ``message`` says it to a person, with what to do. ``steps``, ``queues`` and ``functions`` are
    those concerned.
    """

    reason: str
    message: str
    steps: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    until: datetime | None = None

    @property
    def needs_help(self) -> bool:
        """Whether nothing will move until somebody does something."""
        return self.reason in {"paused", "no_worker", "no_function"}


def find_waiting(
    run_id: UUID, *, status: str, version_id: int, owner_id: int | None, using: str
) -> Waiting | None:
    """Why nothing moves in this run; ``None`` where something runs, or will in a moment."""
    if status == RunState.PAUSED:
        return Waiting("paused", "the run is paused: nothing of it is started until it goes on")
    if status != RunState.STARTED:
        return None
    states = list(_started_steps(run_id, using))
    idle = [state for state in states if not state["is_running"]]
    if not idle:
        return None
    is_moving = len(idle) < len(states)
    steps = _plans(version_id, [state["step_slug"] for state in idle], using)
    found = None if owner_id is not None else _unserved(steps)
    if found is None and not is_moving:
        found = _delayed(idle, steps)
        if found is None:
            found = _busy(steps, using) if owner_id is None else _caller(owner_id, using)
    return found


def _started_steps(run_id: UUID, using: str) -> Iterable[Row]:
    """Steps with tasks left: whether one of these runs, and how many wait for a retry."""
    here = {"run_id": OuterRef("run_id"), "step_slug": OuterRef("step_slug")}
    held = WorkflowClaim.objects.filter(worker_id__in=_alive().values("id")).values("id")
    running = WorkflowStepTask.objects.filter(**here, status=TaskStatus.STARTED, claim_id__in=held)
    retries = (
        WorkflowTaskAttempt.objects.failed()
        .filter(**here, ended_at__gte=OuterRef("started_at"))
        .filter(retry_at__gt=Now())
        .order_by()
        .values("run_id")
        .values(found=JSONObject(count=Count("*"), next=Min("retry_at")))
    )
    states = WorkflowStepState.objects.using(using).filter(run_id=run_id, status=StepStatus.STARTED)
    return (
        states.annotate(is_running=Exists(running), retries=Subquery(retries), now=Now())
        .order_by("step_index")
        .values("step_slug", "remaining_tasks", "started_at", "is_running", "retries", "now")
    )


def _plans(version_id: int, slugs: Sequence[str], using: str) -> list[Row]:
    """What the version says of steps, and whether workers serve their queue and function."""
    serving = _alive().filter(queues__contains=_array(OuterRef("queue")))
    able = serving.filter(
        Q(functions__isnull=True) | Q(functions__contains=_array(OuterRef("function")))
    )
    steps = WorkflowVersionStep.objects.using(using)
    return list(
        steps.filter(version_id=version_id, step_slug__in=slugs)
        .annotate(is_served=Exists(serving), is_able=Exists(able))
        .order_by("step_index")
        .values("step_slug", "queue", "function", "start_delay", "is_served", "is_able")
    )


def _alive() -> QuerySet[WorkflowWorker]:
    return WorkflowWorker.objects.filter(lease_until__gt=Now())


def _array(value: OuterRef) -> Func:
    return Func(value, template="array[%(expressions)s]", output_field=ArrayField(TextField()))


def _unserved(steps: Sequence[Row]) -> Waiting | None:
    nobody = [step for step in steps if not step["is_served"]]
    unable = [step for step in steps if not step["is_able"]]
    missing = nobody or unable
    if not missing:
        return None
    slugs, queues, functions = (
        tuple(dict.fromkeys(step[name] for step in missing))
        for name in ("step_slug", "queue", "function")
    )
    command = worker_command(queues)
    if nobody:
        message = (
            f"no live worker serves {_list('queue', queues)}, where {_list('step', slugs)} "
            f"{'wait' if len(slugs) > 1 else 'waits'}. Start one: {command}"
        )
        return Waiting("no_worker", message, slugs, queues)
    message = (
        f"no live worker of {_list('queue', queues)} has {_list('function', functions)} "
        f"({_list('step', slugs)}). Is its code deployed there? A worker started anew has what it "
        f"imports: {command}"
    )
    return Waiting("no_function", message, slugs, queues, functions)


def _busy(steps: Sequence[Row], using: str) -> Waiting | None:
    """Where each worker that could run one of these steps has other tasks."""
    able = [
        worker
        for worker in list_workers(using=using)
        if worker.is_alive and any(_can_run(worker, step) for step in steps)
    ]
    if not able or not all(worker.doing for worker in able):
        return None
    slugs, queues = (
        tuple(dict.fromkeys(step[name] for step in steps)) for name in ("step_slug", "queue")
    )
    is_one = len(able) == 1
    who = "the only worker" if is_one else f"all {len(able):,} workers"
    wait = "wait for their turn" if len(slugs) > 1 else "waits for its turn"
    message = (
        f"{who} of {_list('queue', queues)} {'is' if is_one else 'are'} busy: "
        f"{_list('step', slugs)} {wait}"
    )
    return Waiting("busy", message, slugs, queues)


def _can_run(worker: WorkerView, step: Row) -> bool:
    has_function = worker.functions is None or step["function"] in worker.functions
    return step["queue"] in worker.queues and has_function


def _delayed(idle: Sequence[Row], steps: Sequence[Row]) -> Waiting | None:
    """Where all that is left of these steps is due later: until when."""
    delays = {step["step_slug"]: step["start_delay"] for step in steps}
    moments = []
    for state in idle:
        moment = _due(state, delays.get(state["step_slug"], 0))
        if moment is None:
            return None
        moments.append(moment)
    until, now = min(moments), idle[0]["now"]
    slugs = tuple(state["step_slug"] for state in idle)
    seconds = (until - now).total_seconds()
    message = (
        f"{_list('step', slugs)} {'are' if len(slugs) > 1 else 'is'} due in {seconds:,.1f} s, at "
        f"{by_the_clock(until):%Y-%m-%d %H:%M:%S}: a retry, or a delayed start"
    )
    return Waiting("delayed", message, slugs, until=until)


def _due(state: Row, start_delay: int) -> datetime | None:
    """When the next task of a step is due; ``None`` for now."""
    starts: datetime = state["started_at"] + timedelta(seconds=start_delay)
    if starts > state["now"]:
        return starts
    retries = state["retries"]
    if retries and retries["count"] >= state["remaining_tasks"]:
        return read_moment(retries["next"])
    return None


def _caller(owner_id: int, using: str) -> Waiting:
    owner = WorkflowWorker.objects.using(using).filter(id=owner_id).annotate(
        is_alive=Q(lease_until__gt=Now())
    ).values("hostname", "pid", "is_alive").first()  # fmt: skip
    if owner is not None and owner["is_alive"]:
        who = f"{owner['hostname']}, pid {owner['pid']}"
        return Waiting("caller", f"it belongs to the process that executes it ({who})")
    return Waiting(
        "caller",
        "the process that executed it is gone: the next worker, drain() or runflow ends the run "
        "as failed (caller_lost), and retry_run takes it up again",
    )


def _list(word: str, names: Sequence[str], most: int = 3) -> str:
    """``step "a"``; ``steps "a", "b"``; the first few of many."""
    listed = ", ".join(f'"{name}"' for name in names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{word}{'s' if len(names) > 1 else ''} {listed}{more}"
