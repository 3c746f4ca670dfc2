"""Progress of a run as a table that is drawn anew in place, on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.text import Text

from pgflow_django.cli.terminal import Terminal, style_of
from pgflow_django.cli.words import duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgflow_django.runs.view import RunView, StepView

_WORD, _TIME = 9, 10
_GAP: Final = "  "
#: Terminals narrower than this lose the words of statuses: their signs remain.
_NARROW: Final = 60
_MAX_NAME, _MAX_BAR = 40, 30
#: Lines that are not steps: the run's two, and one for the cursor.
_OTHER_LINES: Final = 3

#: Which steps are shown where not all fit.
_RANKS: Final = {
    "failed": 0,
    "running": 1,
    "retrying": 1,
    "waiting": 2,
    "completed": 3,
    "cancelled": 4,
    "skipped": 4,
}


class LiveDisplay:
    """The table, from the start of the run to its end, when its last state stays on the screen.

    Meanwhile what step functions print appears above it.
    """

    def __init__(self, terminal: Terminal) -> None:
        """``terminal`` is one."""
        self._terminal = terminal
        self._beat = 0
        self._note = ""
        self._live = Live(console=terminal.console, auto_refresh=False, vertical_overflow="crop")

    def start(self, view: RunView) -> None:
        """Begin to draw."""
        self._live.start()
        self.update(view)

    def update(self, view: RunView) -> None:
        """Draw the run as it stands."""
        self._beat += 1
        table = Table(self._terminal, view, self._beat, self._note)
        self._live.update(table.render(), refresh=True)

    def note(self, text: str) -> None:
        """Say something about the run as a whole, from the next drawing on."""
        self._note = text

    def tell(self, text: str) -> None:
        """Say something above the table, where it stays."""
        self._live.console.print(Text(text, "yellow"))

    def stop(self, view: RunView | None) -> None:
        """Draw the end, and give the terminal back."""
        self._beat = 0
        self._note = ""
        if self._live.is_started:
            if view is not None:
                self._live.update(Table(self._terminal, view).render())
            self._live.stop()


@dataclass(slots=True)
class Table:
    """One drawing of a run."""

    terminal: Terminal
    view: RunView
    beat: int = 0
    note: str = ""
    shown: Sequence[StepView] = ()
    width: int = 0
    name_width: int = 0

    def __post_init__(self) -> None:
        """Choose what fits."""
        # The last column stays free: some terminals wrap a line that fills it.
        self.width = self.terminal.width - 1
        self.shown = choose(self.view.steps, self.terminal.console.height - _OTHER_LINES)
        names = [self.view.workflow_slug, *(f"  {step.slug}" for step in self.shown)]
        room = self.width // 2 if self.width < _NARROW else self.width * 2 // 5
        self.name_width = min(max(map(len, names)), _MAX_NAME, max(room, 8))

    def render(self) -> Text:
        """All lines."""
        lines = [self._id(), self._run(), *map(self._step, self.shown)]
        if hidden := len(self.view.steps) - len(self.shown):
            lines.append(Text(f"    and {plural(hidden, 'more step')}", "dim"))
        for line in lines:
            line.rstrip()
            line.truncate(self.width, overflow="ellipsis" if self.terminal.is_unicode else "crop")
        return Text("\n").join(lines)

    def _id(self) -> Text:
        return Text(f"run {self.view.id}{' (trial)' if self.view.is_trial else ''}", "dim")

    def _run(self) -> Text:
        view = self.view
        status = "running" if view.status == "started" else view.status
        line = self._begin("", view.workflow_slug, status, view.seconds, "bold")
        done, total = view.steps_done, len(view.steps)
        if self.note:
            return line.append(self.note, "yellow")
        if not view.has_ended:
            return self._bar(line, done, total, 0, f"{done:,}/{total:,} steps")
        steps = plural(total, "step") if done == total else f"{done:,} of {plural(total, 'step')}"
        return line.append(f"{steps}, {plural(view.tasks_done, 'task')}")

    def _step(self, step: StepView) -> Text:
        line = self._begin("  ", step.slug, step.status, step.seconds, "")
        if step.is_map and step.total:
            counts = f"{step.done:,}/{step.total:,}"
            if step.failed:
                counts += f", {step.failed:,} failed"
            elif step.failures:
                counts += f", {plural(step.failures, 'retry', 'retries')}"
            return self._bar(line, step.done, step.total, step.failed, counts)
        return line.append(_remark(step), style_of(step.status))

    def _begin(
        self, indent: str, name: str, status: str, seconds: float | None, style: str
    ) -> Text:
        """Sign, name, status and time, in columns that all rows share."""
        colour = style_of(status)
        title = Text(f"{indent}{self.terminal.sign(status, self.beat)} ", colour)
        cell = Text(name, "dim" if status == "waiting" else style)
        cell.truncate(self.name_width - len(indent), overflow="ellipsis", pad=True)
        title.append_text(cell).append(_GAP)
        if self.width >= _NARROW:
            title.append(f"{status:<{_WORD}}{_GAP}", colour)
        time = "" if seconds is None else duration(seconds)
        return title.append(f"{time:>{_TIME}}{_GAP}")

    def _bar(self, line: Text, done: int, total: int, failed: int, counts: str) -> Text:
        """A bar and what it counts; the counts alone where there is no room for both."""
        room = min(self.width - line.cell_len - len(counts) - 1, _MAX_BAR)
        if room >= 8:
            full = room * done // total
            lost = min(room - full, max(1, room * failed // total)) if failed else 0
            sign = "━" if self.terminal.is_unicode else "#"
            rest = "─" if self.terminal.is_unicode else "-"
            line.append(sign * full, "green").append(sign * lost, "red")
            line.append(rest * (room - full - lost), "bright_black").append(" ")
        return line.append(counts)


def _remark(step: StepView) -> str:
    """What there is to say of a step beside its status: its attempts and the last error."""
    if step.is_map and step.total == 0:
        return "nothing to do"
    if not step.failures:
        return ""
    number = f"attempt {step.attempt:,} of {step.max_attempts:,}"
    if step.status == "completed":
        return number
    error = one_line(step.error)
    if step.status == "failed":
        return f"{number}: {error}"
    wait = f" in {duration(step.wait)}" if step.wait is not None else ""
    return f"{number}{wait}, after {error}"


def choose(steps: Sequence[StepView], room: int) -> Sequence[StepView]:
    """As many steps as there is room for, in their order: first those where something happens."""
    if len(steps) <= room:
        return steps
    ranked = sorted(range(len(steps)), key=lambda index: _urgency(steps[index], index))
    chosen = set(ranked[: max(room - 1, 1)])
    return [step for index, step in enumerate(steps) if index in chosen]


def _urgency(step: StepView, index: int) -> tuple[int, float]:
    """Failed, running, the next to wait, the last to complete."""
    rank = _RANKS[step.status]
    return rank, -step.ended_at.timestamp() if step.ended_at else index
