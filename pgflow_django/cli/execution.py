"""A run that a command executes: its progress, signals, a diagram, the words at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import OperationalError, connections

from pgflow_django.cli.base import BadUsage, StoppedBySignal
from pgflow_django.cli.diagram import draw_run
from pgflow_django.cli.flows import suggest_functions
from pgflow_django.cli.following import start_and_follow
from pgflow_django.cli.interrupts import Interrupts
from pgflow_django.cli.progress import Progress, choose_display, refreshing
from pgflow_django.cli.runs import name_run
from pgflow_django.cli.words import plural
from pgflow_django.conf import settings
from pgflow_django.exceptions import (
    PgflowError,
    RunCancelled,
    RunFailed,
    RunTimedOut,
    StepFunctionMissing,
)

if TYPE_CHECKING:
    from uuid import UUID

    from pgflow_django.cli.base import PgflowCommand
    from pgflow_django.cli.files import OutputFile
    from pgflow_django.cli.targets import Target
    from pgflow_django.runs.view import RunView

T = TypeVar("T")
#: Errors that leave a run which can be taken up again.
_WITH_RUN = (RunFailed, RunTimedOut, RunCancelled, StoppedBySignal)


class Execution:
    """One run that a command executes and waits for."""

    def __init__(self, command: PgflowCommand, drawing: OutputFile | None = None) -> None:
        """``drawing`` gets the flow with its final states, whatever they are."""
        self._command = command
        self._drawing = drawing
        is_quiet = command.is_json or not command.options.get("verbosity", 1)
        self._display = choose_display(command.err, is_quiet=is_quiet)
        self._interrupts = Interrupts(is_final=command.is_process)
        self._progress = Progress(self._display, self._interrupts, using=command.using)
        self._is_ours = True

    def execute(self, target: Target, value: Any, timeout: float | None) -> dict[str, Any]:
        """Run it in this process; its output.

        Raises what ``executor.execute_dynamic`` raises, and ``StoppedBySignal`` after a signal;
        with advice as notes.
        """
        return self._run(partial(target.execute, value, timeout, using=self._command.using))

    def follow(self, target: Target, value: Any, timeout: float | None) -> dict[str, Any]:
        """Let workers run it, and follow it to its end; otherwise as ``execute``."""
        self._is_ours = False
        return self._run(
            partial(
                start_and_follow,
                partial(target.start, value, using=self._command.using),
                timeout=timeout,
                using=self._command.using,
                tell=self._display.tell,
            )
        )

    def _run(self, execute: Callable[..., T]) -> T:
        progress = self._progress
        with self._guard():
            if not connections[self._command.using].in_atomic_block:
                self._interrupts.postpone()
            return execute(on_start=progress.on_start, on_tick=progress.on_tick)

    def resume(self, run_id: UUID, execute: Callable[[], T]) -> T:
        """Give what ``execute()`` gives, which takes up a run that is there already."""
        self._progress.run_id = run_id
        with self._guard(), refreshing(self._progress, using=self._command.using):
            answer = execute()
            self._progress.refresh()
            return answer

    @contextmanager
    def _guard(self) -> Iterator[None]:
        with self._interrupts:
            try:
                # Our stdout is for the output: what step functions print goes the other way.
                with redirect_stdout(sys.stderr):
                    yield
            except (KeyboardInterrupt, PgflowError, OperationalError) as error:
                explained = self._explain(error)
                if explained is error:
                    raise
                raise explained from error
            finally:
                self._finish()

    def _finish(self) -> None:
        view = self._progress.look()
        if self._progress.is_shown:
            self._display.stop(view)
        if self._drawing is None or view is None:
            return
        try:
            self._drawing.write(draw_run(view))
        except BadUsage as error:  # no reason to lose the output
            self._command.stderr.write(error.message)
        else:
            self._command.say(f"Diagram: {self._drawing.path}")

    def _explain(self, error: BaseException) -> BaseException:
        """The error to raise: with advice on how to go on."""
        run_id, view = self._progress.run_id, self._progress.look()
        if self._interrupts.is_raised:
            message = self._describe_interruption(run_id, view)
            error = StoppedBySignal(message, self._interrupts.signum or 0, run_id)
        elif isinstance(error, StepFunctionMissing):
            for note in suggest_functions(error):
                error.add_note(note)
        if run_id is not None and isinstance(error, _WITH_RUN):
            command = self._command.command
            error.add_note(f"What happened: {command('showrun', run_id)}")
            if view is None or view.status != "completed":
                where = ["--here"] if self._is_ours else []
                error.add_note(f"Take it up again: {command('retryrun', run_id, *where)}")
        return error

    def _describe_interruption(self, run_id: UUID | None, view: RunView | None) -> str:
        if run_id is None:
            return "before the run started."
        if view is None or not view.has_ended:
            end = "It goes on."
            if self._is_ours:
                end = f"It will fail as lost (caller_lost) after {settings.LEASE_SECONDS:g} s."
            return (
                f"but the database does not answer, so run {run_id} could not be cancelled. {end}"
            )
        done, total = view.steps_done, len(view.steps)
        if view.status != "cancelled":
            return f"{name_run(view)} had {view.status} by then."
        return f"{name_run(view)} is cancelled; {done:,} of {plural(total, 'step')} had completed."
