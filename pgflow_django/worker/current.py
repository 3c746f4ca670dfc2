"""Which attempt this thread is in the middle of: for logging, and for the parents of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from pgflow_django.worker.claimed import ClaimedTask

_current_task: ContextVar[ClaimedTask | None] = ContextVar("pgflow_current_task", default=None)


@contextmanager
def inside_attempt(task: ClaimedTask) -> Iterator[None]:
    """Mark what happens within as part of this attempt."""
    token = _current_task.set(task)
    try:
        yield
    finally:
        _current_task.reset(token)


def current_task() -> ClaimedTask | None:
    """The task whose step function calls this, if any."""
    return _current_task.get()


def current_run() -> UUID | None:
    """The run whose step function calls this, if any."""
    task = _current_task.get()
    return None if task is None else UUID(task.group.run_id)
