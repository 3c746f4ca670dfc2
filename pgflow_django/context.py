"""What a step function may ask for by taking a second parameter named ``context``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pgflow_django.choices import RunStatus
from pgflow_django.models import WorkflowRun, WorkflowRunEvent

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
    using: str = field(repr=False)
    _held_back: tuple[float, float] | None = field(default=None, init=False, repr=False)
    _told_at: float = field(default=float("-inf"), init=False, repr=False)

    def heartbeat(self) -> float:
        """Seconds left until the step's timeout. The lease is renewed by the process itself."""
        return self.deadline - time.monotonic()

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        """Write a line to the run's events and to the log, with run, step, task and attempt.

        ``level`` is debug, info, warning or error; ``fields`` are JSON values.
        """
        if level not in _LEVELS:
            raise ValueError(f"level must be one of {', '.join(_LEVELS)}, not {level!r}")
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
        self._record("log", message, level, {"attempt": self.attempt, **fields})

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
        self._record("progress", f"{done} of {total}", "info", {"done": done, "total": total})

    def cancelled(self) -> bool:
        """Whether the run has ended meanwhile, so that going on is for nothing."""
        runs = WorkflowRun.objects.using(self.using).filter(
            id=self.run_id, status__in=[RunStatus.STARTED, RunStatus.PAUSED]
        )
        with _outside_of_the_loop():
            return not runs.exists()

    def _record(self, kind: str, message: str, level: str, data: dict[str, Any]) -> None:
        with _outside_of_the_loop():
            WorkflowRunEvent.objects.using(self.using).create(
                run_id=self.run_id,
                kind=kind,
                level=level,
                step_slug=self.step_slug,
                task_index=self.task_index,
                message=message,
                data=data,
            )


@contextmanager
def _outside_of_the_loop() -> Iterator[None]:
    """Let an async step use the connection of its thread.

    Django refuses queries where an event loop runs, since others would wait for them. The loop of
    an async step is its own; and another connection would not see the step's transaction.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - asyncio exports both for loops like ours
    asyncio._set_running_loop(None)  # noqa: SLF001
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)  # noqa: SLF001
