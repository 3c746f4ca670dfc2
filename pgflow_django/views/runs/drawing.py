"""How a run stands, read for its page: a fixed number of queries, however many steps it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from pgflow_django.choices import RunState, StepStatus, StepType, TaskStatus
from pgflow_django.drawing.canvas import find_layout, render_canvas
from pgflow_django.drawing.graph import Node
from pgflow_django.drawing.states import Status, StepState
from pgflow_django.drawing.svg import DrawOptions
from pgflow_django.models import (
    WorkflowRun,
    WorkflowRunEvent,
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
    WorkflowVersionStep,
)
from pgflow_django.runs.waiting import Waiting, find_waiting
from pgflow_django.views.editor.scene import Look, find_state_labels
from pgflow_django.views.pieces import class_of, format_duration, name_run_status, name_statuses
from pgflow_django.views.stored import load_cut, load_error

#: Failed attempts and events that a run's page shows, the newest ones.
SHOWN_ATTEMPTS, SHOWN_EVENTS = 50, 50


@dataclass(slots=True)
class StepFacts:
    """A step of the run: what was planned, and how it stands."""

    slug: str
    function: str
    is_map: bool
    depends_on: tuple[str, ...]
    max_attempts: int
    status: Status = "waiting"
    done: int = 0
    total: int | None = None
    lost: int = 0
    failures: int = 0
    attempt: int = 0
    retry_at: datetime | None = None
    worker: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str = ""

    @property
    def duration(self) -> str:
        """How long it took, once it has ended."""
        if self.started_at is None or self.ended_at is None or self.status == "skipped":
            return ""
        return format_duration(self.ended_at - self.started_at)

    @property
    def word(self) -> str:
        """The word for its status."""
        return name_statuses()[self.status]

    @property
    def tasks(self) -> str:
        """Finished and all tasks of a map step."""
        if not self.is_map or self.total is None:
            return ""
        return _("%(done)s of %(total)s") % {"done": self.done, "total": self.total}

    @property
    def note(self) -> str:
        """Which attempt it is on, where it is not the first."""
        if self.is_map or self.attempt < 2:
            return ""
        return _("attempt %(attempt)s of %(most)s") % {
            "attempt": self.attempt,
            "most": self.max_attempts,
        }

    def as_state(self) -> StepState:
        """The step as a drawing shows it."""
        return StepState(
            self.status,
            done=self.done,
            total=self.total,
            failed=self.lost,
            duration=self.duration,
            note=self.note,
        )


@dataclass
class RunFacts:
    """A run with everything that its page shows of it, except for its input and output."""

    run: WorkflowRun
    steps: dict[str, StepFacts] = field(default_factory=dict)
    attempts: list[WorkflowTaskAttempt] = field(default_factory=list)
    events: list[WorkflowRunEvent] = field(default_factory=list)
    waiting: Waiting | None = None
    error: dict[str, Any] = field(default_factory=dict)
    """Its error, empty where it has none, and the beginnings of its texts."""
    #: Not where it is being deleted, in slices.
    is_whole: bool = True

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return RunState(self.run.status).is_terminal

    @property
    def is_retryable(self) -> bool:
        """Whether it can be taken up again, by workers."""
        has_failed = self.run.status in {RunState.FAILED, RunState.CANCELLED}
        return has_failed and self.is_whole and not self.run.has_caller_functions

    @property
    def word(self) -> str:
        """The word for its status."""
        return name_run_status(self.run.status)

    @property
    def css(self) -> str:
        """The class that colours its status."""
        return class_of(self.run.status)

    @property
    def done(self) -> int:
        """How many steps need nothing more."""
        return sum(step.status in {"completed", "skipped"} for step in self.steps.values())

    @property
    def share(self) -> int:
        """The steps that are done in percent, parts of map steps included."""
        if not self.steps:
            return 100 if self.has_ended else 0
        parts = sum(
            1.0
            if step.status in {"completed", "skipped"}
            else step.done / step.total
            if step.total
            else 0.0
            for step in self.steps.values()
        )
        return int(100 * parts / len(self.steps))

    @property
    def tasks(self) -> tuple[int, int]:
        """Finished and all tasks of the map steps."""
        maps = [step for step in self.steps.values() if step.is_map and step.total]
        return sum(step.done for step in maps), sum(step.total or 0 for step in maps)

    @property
    def duration(self) -> str:
        """From its start to its end, or to now."""
        end = self.run.ended_at or timezone.now()
        return format_duration(max(end - self.run.started_at, timedelta(0)))

    @cached_property
    def mark(self) -> str:
        """A short text that is another one whenever the page would look different."""
        parts: list[Any] = [self.run.status, self.error, self.run.ended_at]
        parts += [
            tuple(getattr(step, name) for name in step.__slots__) for step in self.steps.values()
        ]
        parts += [attempt.pk for attempt in self.attempts] + [event.pk for event in self.events]
        parts.append(self.waiting.message if self.waiting else "")
        return sha256(repr(parts).encode()).hexdigest()[:24]

    def render(self, look: Look) -> SafeString:
        """Return the drawing with the states: an ``<svg>``, every text in it escaped."""
        nodes = tuple(
            Node(
                step.slug,
                step.depends_on,
                kind="map" if step.is_map else "single",
                subtitle=step.function,
            )
            for step in self.steps.values()
        )
        drawing = render_canvas(
            find_layout(nodes, direction=look.direction, viewport=look.viewport),
            _("Steps of %(flow)s. Arrow keys move between steps, Enter opens one.")
            % {"flow": self.run.workflow_slug},
            states={slug: step.as_state() for slug, step in self.steps.items()},
            options=DrawOptions(find_state_labels()),
            attributes={"aria-roledescription": _("flow diagram")},
        )
        return mark_safe(drawing)  # noqa: S308 - svg.py has escaped every text


def load_run(run: WorkflowRun) -> RunFacts:
    """Read the steps, the newest failed attempts and events of a run, and what it waits for."""
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    facts = RunFacts(run, error=load_error(run) if run.status == RunState.FAILED else {})
    plans = WorkflowVersionStep.objects.using(using).filter(version_id=run.version_id)
    for plan in plans.order_by("step_index"):
        facts.steps[plan.step_slug] = StepFacts(
            plan.step_slug,
            plan.function,
            plan.step_type == StepType.MAP,
            tuple(plan.depends_on),
            plan.max_attempts,
        )
    _add_states(facts, using)
    _add_tasks(facts, using)
    _add_failures(facts, using)
    facts.waiting = find_waiting(
        run.pk,
        status=run.status,
        version_id=run.version_id,
        owner_id=run.owner_id,
        using=using,
    )
    return facts


def _add_states(facts: RunFacts, using: str) -> None:
    words: Mapping[str, Status] = {
        StepStatus.CREATED: "waiting",
        StepStatus.STARTED: "running",
        StepStatus.COMPLETED: "completed",
        StepStatus.FAILED: "failed",
        StepStatus.SKIPPED: "skipped",
        StepStatus.CANCELLED: "cancelled",
    }
    states = list(WorkflowStepState.objects.using(using).filter(run_id=facts.run.pk))
    facts.is_whole = len(states) == len(facts.steps)
    for state in states:
        step = facts.steps.get(state.step_slug)
        if step is None:
            continue
        step.status = words[state.status]
        step.started_at, step.ended_at = state.started_at, state.ended_at
        step.total = state.initial_tasks
        if state.initial_tasks is not None and state.remaining_tasks is not None:
            step.done = state.initial_tasks - state.remaining_tasks


def _add_tasks(facts: RunFacts, using: str) -> None:
    """Single steps have one task, which says who runs it and which attempt it is."""
    single = [slug for slug, step in facts.steps.items() if not step.is_map]
    tasks = WorkflowStepTask.objects.using(using).filter(
        run_id=facts.run.pk, step_slug__in=single, task_index=0
    )
    names = ("step_slug", "status", "attempts_count", "worker")
    for slug, status, attempts, worker in tasks.values_list(*names):
        step = facts.steps[slug]
        step.attempt = attempts
        step.worker = worker or ""
        if step.status == "running" and status == TaskStatus.QUEUED:
            step.status = "waiting"


def _add_failures(facts: RunFacts, using: str) -> None:
    failed = WorkflowTaskAttempt.objects.using(using).filter(run_id=facts.run.pk)
    now = timezone.now()
    counts = (
        failed.order_by()
        .values("step_slug")
        .annotate(
            count=Count("id"),
            lost=Count("task_index", distinct=True, filter=Q(retry_at__isnull=True)),
            retry_at=Max("retry_at", filter=Q(retry_at__gt=now)),
        )
    )
    for row in counts:
        step = facts.steps.get(row["step_slug"])
        if step is None:
            continue
        step.failures = row["count"]
        step.lost = min(row["lost"], step.total or 0) if step.status == "failed" else 0
        step.retry_at = row["retry_at"] if not facts.has_ended else None
        if step.retry_at and step.status in {"waiting", "running"}:
            step.status = "retrying"
            step.attempt = min(step.attempt + 1, step.max_attempts)
    newest_first = failed.order_by("-id")[:SHOWN_ATTEMPTS]
    facts.attempts = load_cut(newest_first, "error_message", "traceback")
    newest: dict[str, str] = {}
    for attempt in facts.attempts:
        newest.setdefault(attempt.step_slug, f"{attempt.error_type}: {attempt.error_message}")
    for slug, message in newest.items():
        if slug in facts.steps and facts.steps[slug].status in {"failed", "retrying"}:
            facts.steps[slug].error = message
    events = WorkflowRunEvent.objects.using(using).filter(run_id=facts.run.pk).defer("data")
    facts.events = load_cut(events.order_by("-id")[:SHOWN_EVENTS], "message")
