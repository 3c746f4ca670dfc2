"""What a step function may ask for by taking a second parameter named ``context``."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pgflow_django import jsonvalue
from pgflow_django.models import WorkflowRun
from pgflow_django.worker.async_steps import in_thread_of_step
from pgflow_django.worker.step_log import StepLog

logger = logging.getLogger("pgflow_django.steps")

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


#: Seconds between two events that tell of a task's progress.
_PROGRESS_INTERVAL = 1.0


@dataclass(slots=True)
class StepContext:
    """Where and as what a step function runs, and its way to talk to the run.

    ``attempt`` counts from 1. ``deadline`` is on the clock of ``time.monotonic()``.
    """

    run_id: UUID
    workflow_slug: str
    step_slug: str
    task_index: int
    attempt: int
    max_attempts: int
    deadline: float
    _lines: StepLog = field(repr=False)
    _held_back: tuple[float, float] | None = field(default=None, init=False, repr=False)
    _told_at: float = field(default=float("-inf"), init=False, repr=False)

    def heartbeat(self) -> float:
        """Seconds left until the step's timeout. The lease is renewed by the process itself."""
        return self.deadline - time.monotonic()

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        """Write a line to the run's events and to the log, with run, step, task and attempt.

        ``level`` is debug, info, warning or error; ``fields`` are JSON values. What can't be stored
        is written as far as it can be. Lines are sent together, a second later at the latest, those
        of a step in a transaction at its end, also where that is rolled back.
        """
        if level not in _LEVELS:
            raise ValueError(f"level must be one of {', '.join(_LEVELS)}, not {level!r}")
        text = jsonvalue.storable_text(jsonvalue.text_of(message))
        self._log(text, level)
        self._lines.add("log", text, level, {"attempt": self.attempt, **fields})

    def _log(self, message: str, level: str) -> None:
        """Tell the process's log. What a handler of the site raises there is not the step's."""
        try:
            logger.log(
                _LEVELS[level],
                "%s.%s[%s] attempt %s: %s",
                self.workflow_slug,
                self.step_slug,
                self.task_index,
                self.attempt,
                message,
                extra={
                    "run_id": str(self.run_id),
                    "workflow_slug": self.workflow_slug,
                    "step_slug": self.step_slug,
                    "task_index": self.task_index,
                    "attempt": self.attempt,
                },
            )
        except Exception:  # noqa: BLE001 - nor can it be told to the log
            return

    def progress(self, done: float, total: float) -> None:
        """Tell how far this task is: ``done`` of ``total``, in any unit.

        Call it as often as you like: an event is written once a second at most, and for the last.
        """
        self._held_back = (done, total)
        if time.monotonic() - self._told_at >= _PROGRESS_INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Write what ``progress`` holds back, if anything. Done at the end of the attempt."""
        if self._held_back is None:
            return
        (done, total), self._held_back = self._held_back, None
        self._told_at = time.monotonic()
        message = f"{jsonvalue.text_of(done)} of {jsonvalue.text_of(total)}"
        self._lines.add("progress", message, "info", {"done": done, "total": total})

    def cancelled(self) -> bool:
        """Whether the run has ended meanwhile, so that going on is for nothing."""
        active = WorkflowRun.objects.using(self._lines.using).active().filter(id=self.run_id)
        return not in_thread_of_step(active.exists)
