"""Follows a run that this process executes, for a person to watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from django.db import InterfaceError, OperationalError, connections

from pgflow_django.cli.lines import LineDisplay
from pgflow_django.cli.live import LiveDisplay
from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.runs.view import RunView, load

if TYPE_CHECKING:
    from uuid import UUID

    from pgflow_django.cli.interrupts import Interrupts
    from pgflow_django.cli.terminal import Terminal

#: Seconds between two refreshes from a thread.
_TICK = 0.1
#: Looking at the run and drawing it may take this share of the time.
_SHARE = 0.1


class Display(Protocol):
    """Shows how a run goes on."""

    def start(self, view: RunView) -> None:
        """Show the run as it begins."""

    def update(self, view: RunView) -> None:
        """Show the run as it stands."""

    def note(self, text: str) -> None:
        """Say something about the run as a whole."""

    def tell(self, text: str) -> None:
        """Say something that is to be read, and stays to be read."""

    def stop(self, view: RunView | None) -> None:
        """Show the end, as far as it is known."""


class Silence:
    """Shows nothing."""

    def start(self, view: RunView) -> None:
        """Show nothing."""

    def update(self, view: RunView) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def tell(self, text: str) -> None:
        """Say nothing."""

    def stop(self, view: RunView | None) -> None:
        """Show nothing."""


def choose_display(terminal: Terminal, *, is_quiet: bool) -> Display:
    """A live table on a terminal that can move its cursor, else plain lines."""
    if is_quiet:
        return Silence()
    if terminal.is_tty and not terminal.console.is_dumb_terminal:
        return LiveDisplay(terminal)

    def write(line: str) -> None:
        terminal.stream.write(f"{line}\n")
        terminal.stream.flush()

    return LineDisplay(write)


class Progress:
    """Keeps a display up to date; the hooks of ``execute*`` are its methods.

    A database that does not answer for a moment is no reason to end the run: the display stays
    as it is until the next look.
    """

    def __init__(self, display: Display, interrupts: Interrupts, *, using: str) -> None:
        """``interrupts`` are checked at every tick."""
        self.run_id: UUID | None = None
        self.display = display
        self._interrupts = interrupts
        self._using = using
        self.is_shown = False
        self._next_look = 0.0

    def on_start(self, run_id: UUID) -> None:
        """Begin to show the run."""
        self.run_id = run_id
        self._look(self._start)

    def on_tick(self, _: UUID) -> None:
        """Raise ``KeyboardInterrupt`` after a signal, else refresh the display."""
        self._interrupts.check(self._say_cancelling)
        self.refresh()

    def refresh(self) -> None:
        """Look at the run, unless the last look was just now."""
        if time.monotonic() >= self._next_look:
            self._look(self.display.update if self.is_shown else self._start)

    def look(self) -> RunView | None:
        """How the run stands; ``None`` before its start, and where the database does not answer."""
        views: list[RunView] = []
        self._look(views.append)
        return views[0] if views else None

    def _start(self, view: RunView) -> None:
        self.is_shown = True
        self.display.start(view)

    def _say_cancelling(self) -> None:
        self.display.note("interrupted, cancelling the run …")
        self._look(self.display.update)

    def _look(self, show: Callable[[RunView], None]) -> None:
        if self.run_id is None:
            return
        begun = time.monotonic()
        try:
            view = load(self.run_id, using=self._using)
        except (OperationalError, InterfaceError, DatabaseNotReady):
            connection = connections[self._using]
            if connection.in_atomic_block:
                raise
            connection.close()
        else:
            show(view)
        now = time.monotonic()
        self._next_look = now + (now - begun) * (1 - _SHARE) / _SHARE


@contextmanager
def refreshing(progress: Progress, *, using: str) -> Iterator[None]:
    """Refresh from a thread, while the calling one is where it can't (``executor.retry_run``)."""
    is_over = threading.Event()

    def refresh() -> None:
        try:
            while not is_over.wait(_TICK):
                progress.refresh()
        finally:
            connections[using].close()

    thread = threading.Thread(target=refresh, name="pgflow-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
