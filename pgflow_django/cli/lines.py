"""Progress of a run as plain lines, one for each change, where nobody watches a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pgflow_django.cli.words import duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgflow_django.runs.view import RunView, StepView

#: A map step speaks when it has gained this share of its tasks, or after so many seconds; but
#: never sooner than after the first number of seconds.
_SHARE: Final = 0.1
_SOON, _LATE = 1.0, 30.0


class LineDisplay:
    """Writes what has changed since the last look."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """``write`` takes a line without its end."""
        self._write = write
        self._known: dict[str, StepView] = {}
        self._told: dict[str, tuple[int, float]] = {}

    def start(self, view: RunView) -> None:
        """Say which run it is."""
        count = plural(len(view.steps), "step")
        flow = f'{"trial of " if view.is_trial else ""}flow "{view.workflow_slug}"'
        self._write(f"run {view.id}: started, {flow}, {count}")
        self.update(view)

    def update(self, view: RunView) -> None:
        """Write a line for each change, in the order in which they happened."""
        changes: list[tuple[float, str]] = []
        for step in view.steps:
            before = self._known.get(step.slug)
            if before != step:
                changes += _changes(before, step)
                changes += self._counts(step)
                self._known[step.slug] = step
        for _, text in sorted(changes, key=lambda change: change[0]):
            self._write(text)

    def note(self, text: str) -> None:
        """Say something about the run as a whole."""
        self._write(f"run: {text}")

    def tell(self, text: str) -> None:
        """Say what is to be done about the run."""
        self.note(text)

    def stop(self, view: RunView | None) -> None:
        """Say how the run ended."""
        if view is None:
            return
        self.update(view)
        steps, tasks = plural(len(view.steps), "step"), plural(view.tasks_done, "task")
        end = f"{view.status} after {duration(view.seconds)}"
        if view.status == "completed":
            self._write(f"run {view.id}: {end}, {steps}, {tasks}")
        else:
            done = view.steps_done
            self._write(f"run {view.id}: {end}, {done:,} of {steps} and {tasks} had completed")

    def _counts(self, step: StepView) -> Iterator[tuple[float, str]]:
        """How far a map step is, now and then."""
        if step.status not in {"running", "retrying"} or not step.is_map or not step.total:
            return
        now = time.monotonic()
        done, at = self._told.setdefault(step.slug, (0, now - _SOON))
        if now - at < _SOON or step.done == done:
            return
        if step.done - done >= _SHARE * step.total or now - at >= _LATE:
            self._told[step.slug] = (step.done, now)
            yield _NOW, f"step {step.slug}: {step.done:,} of {step.total:,}"


#: After everything that has a time of its own.
_NOW: Final = float("inf")


def _changes(before: StepView | None, step: StepView) -> Iterator[tuple[float, str]]:
    """What happened to a step between two looks, each with its time."""
    name = f"step {step.slug}"
    if step.started_at and not (before and before.started_at):
        tasks = f", {plural(step.total, 'task')}" if step.is_map and step.total else ""
        yield step.started_at.timestamp(), f"{name}: started{tasks}"
    if step.failures > (before.failures if before else 0):
        yield _moment(step), f"{name}: {_failure(before, step)}"
    # It may have ended before, and have been taken up again since the last look.
    if step.ended_at and step.ended_at != (before.ended_at if before else None):
        yield _moment(step), f"{name}: {_end(step)}"


def _moment(step: StepView) -> float:
    return step.ended_at.timestamp() if step.ended_at else _NOW


def _failure(before: StepView | None, step: StepView) -> str:
    """The last attempt to fail, and how many others did since the last look."""
    others = step.failures - (before.failures if before else 0) - 1
    more = f" (and {plural(others, 'other')} meanwhile)" if others else ""
    error = one_line(step.error)
    if step.is_map:
        return f"an attempt failed: {error}{more}"
    number = step.attempt if step.status in {"failed", "cancelled"} else step.attempt - 1
    then = f"; next try in {duration(step.wait)}" if step.wait is not None else ""
    return f"attempt {number:,} of {step.max_attempts:,} failed: {error}{then}"


def _end(step: StepView) -> str:
    if step.status == "completed":
        count = ""
        if step.is_map:
            count = f", {plural(step.total, 'task')}" if step.total else ", nothing to do"
        return f"completed in {duration(step.seconds or 0)}{count}"
    if step.is_map and step.total:
        return f"{step.status}, {step.done:,} of {step.total:,} tasks had completed"
    return step.status
