"""What there is to know of one run, as ``showrun`` prints it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.terminal import style_of
from pgflow_django.cli.words import (
    ago,
    clock,
    duration,
    name_starter,
    one_line,
    plain,
    plural,
    shorten,
)
from pgflow_django.models import WorkflowRunEvent, WorkflowStepState, WorkflowTaskAttempt
from pgflow_django.runs.redaction import redact
from pgflow_django.runs.status import describe_error
from pgflow_django.runs.view import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from pgflow_django.cli.terminal import Terminal
    from pgflow_django.models import WorkflowRun
    from pgflow_django.runs.view import StepView

#: Characters of input and output that are shown.
_SHOWN: Final = 300

_STEPS = (
    Column("STEP", is_flexible=True),
    Column("STATUS"),
    Column("TASKS", is_number=True),
    Column("FAILURES", is_number=True),
    Column("STARTED", from_width=80),
    Column("WAITED", is_number=True),
    Column("TOOK", is_number=True),
    Column("LAST ERROR", from_width=100, is_flexible=True),
)
_ATTEMPTS = (
    Column("WHEN"),
    Column("STEP", is_flexible=True),
    Column("ATTEMPT", is_number=True),
    Column("THEN", from_width=80),
    Column("WORKER", from_width=120),
    Column("ERROR", is_flexible=True),
)
_EVENTS = (
    Column("WHEN"),
    Column("LEVEL"),
    Column("STEP", from_width=80, is_flexible=True),
    Column("EVENT", is_flexible=True),
)
_LEVELS: Final = {"warning": "yellow", "error": "red", "debug": "dim"}


class Report:
    """One run with its steps, failed attempts and events, the last ``limit`` of both.

    What stands under keys that name secrets is hidden.
    """

    def __init__(self, run: WorkflowRun, *, limit: int, using: str) -> None:
        """Read everything."""
        self.run = run
        self.input, self.output = redact(run.input), redact(run.output)
        self.view = load(run.id, using=using, explain=True)
        self.attempts, self.attempts_left = _last(
            WorkflowTaskAttempt.objects.using(using).failed().filter(run_id=run.id), limit
        )
        self.events, self.events_left = _last(
            WorkflowRunEvent.objects.using(using).filter(run_id=run.id), limit
        )
        for event in self.events:
            event.data = redact(event.data)
        self._states = WorkflowStepState.objects.using(using).filter(run_id=run.id)

    def to_dict(self) -> dict[str, Any]:
        """All of it as a JSON object, in the words of the tables."""
        given = {step.slug for step in self.view.steps if step.is_given}
        failures = {step.slug: (step.failures, step.failed) for step in self.view.steps}
        steps = [
            {
                **_columns(state, skip=("run_id", "step_index")),
                "failed_attempts": failures[state.step_slug][0],
                "failed_tasks": failures[state.step_slug][1],
                "is_given": state.step_slug in given,
            }
            for state in self._states.order_by("step_index")
        ]
        return {
            **_columns(self.run, skip=("version_id", "owner_id")),
            "input": self.input,
            "output": self.output,
            "is_trial": self.view.is_trial,
            "waiting": asdict(self.view.waiting) if self.view.waiting else None,
            "steps": steps,
            "attempts": [_columns(attempt, skip=("id", "run_id")) for attempt in self.attempts],
            "events": [_columns(event, skip=("id", "run_id")) for event in self.events],
        }

    def render(self, terminal: Terminal, now: datetime) -> Iterator[RenderableType]:
        """All of it for a person."""
        view = self.view
        style = style_of(view.status)
        title = Text.assemble(
            (terminal.mark(view.status), style), f"  {view.workflow_slug}  ", (str(view.id), "bold")
        )
        yield title
        yield from self._facts(now)
        yield Text()
        yield build_table(terminal, _STEPS, [_step(terminal, step) for step in view.steps])
        yield from self._lists(terminal)
        if trace := (self.run.error or {}).get("traceback"):
            yield Text("\nTraceback of the step function", "bold")
            yield Text(plain(trace.rstrip()), "dim")

    def _facts(self, now: datetime) -> Iterator[Text]:
        run, view = self.run, self.view
        started = f"{clock(run.started_at)} ({ago(run.started_at, now)})"
        if by := name_starter(run.started_by, run.via):
            started += f" by {by}"
        yield fact("version", "trial of a draft" if view.is_trial else f"{run.version:,}")
        if run.key:
            yield fact("key", run.key)
        if run.parent_run_id:
            yield fact("parent", str(run.parent_run_id))
        yield fact("started", started)
        if run.ended_at:
            yield fact("ended", f"{clock(run.ended_at)}, after {duration(view.seconds)}")
        if view.waiting:
            yield fact("waiting", view.waiting.message, "yellow")
        yield fact("input", shorten(self.input, _SHOWN))
        if self.output is not None:
            yield fact("output", shorten(self.output, _SHOWN))
        if run.error:
            yield fact("error", describe_error(run.error), "red")

    def _lists(self, terminal: Terminal) -> Iterator[RenderableType]:
        if self.attempts:
            yield _heading("Failed attempts", self.attempts, self.attempts_left)
            yield build_table(terminal, _ATTEMPTS, [_attempt(row) for row in self.attempts])
        if self.events:
            yield _heading("Events", self.events, self.events_left)
            yield build_table(terminal, _EVENTS, [_event(row) for row in self.events])


def _last(rows: Any, limit: int) -> tuple[list[Any], bool]:
    """The last rows in the order of time, and whether there are others before them."""
    found = list(rows.order_by("-id")[: limit + 1])
    return found[:limit][::-1], len(found) > limit


def _columns(row: Any, skip: Sequence[str]) -> dict[str, Any]:
    names = [field.attname for field in row._meta.concrete_fields]  # noqa: SLF001
    return {name: getattr(row, name) for name in names if name not in skip}


def fact(name: str, value: str, style: str = "") -> Text:
    """Make a line of a report's head: a name and what it is."""
    return Text.assemble((f"  {name:<9}", "dim"), (one_line(value), style))


def _heading(title: str, rows: Sequence[Any], is_cut: bool) -> Text:
    count = f" (the last {len(rows):,}; --limit shows more)" if is_cut else ""
    return Text.assemble((f"\n{title}", "bold"), (count, "dim"))


def _step(terminal: Terminal, step: StepView) -> list[Text | str]:
    tasks = ""
    if step.total is not None:
        tasks = f"{step.done:,}/{step.total:,}"
    status = Text(terminal.mark(step.status), style_of(step.status))
    if step.failed and step.is_map:
        status.append(f" ({plural(step.failed, 'task')})")
    if step.is_given:
        status.append(" (given)", "dim")
    return [
        step.slug,
        status,
        tasks,
        f"{step.failures:,}" if step.failures else "",
        clock(step.started_at)[11:] if step.started_at else "",
        duration(step.waited) if step.waited is not None else "",
        duration(step.seconds) if step.seconds is not None else "",
        Text(one_line(step.error), "red"),
    ]


def _attempt(row: WorkflowTaskAttempt) -> list[Text | str]:
    then = f"next try {clock(row.retry_at)[11:]}" if row.retry_at else "the last one"
    task = f"[{row.task_index}]" if row.task_index else ""
    return [
        clock(row.ended_at)[11:],
        f"{row.step_slug}{task}",
        f"{row.attempt:,}",
        Text(then, "dim"),
        Text(row.worker, "dim"),
        Text(one_line(f"{row.error_type}: {row.error_message}"), "red"),
    ]


def _event(row: WorkflowRunEvent) -> list[Text | str]:
    task = f"[{row.task_index}]" if row.task_index else ""
    return [
        clock(row.at)[11:],
        Text(row.level, _LEVELS.get(row.level, "")),
        f"{row.step_slug or ''}{task}",
        one_line(f"{row.kind}: {row.message}"),
    ]
