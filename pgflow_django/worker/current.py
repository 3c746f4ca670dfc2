"""Which attempt this thread is in the middle of: for logging, and for the parents of runs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from pgflow_django.worker.claimed import ClaimedTask

_current_task: ContextVar[ClaimedTask | None] = ContextVar("pgflow_current_task", default=None)


#: Marks what happens in this context from now on as part of an attempt, at the cost of no call.
mark_attempt = _current_task.set


def current_task() -> ClaimedTask | None:
    """The task whose step function calls this, if any."""
    return _current_task.get()


def current_run() -> UUID | None:
    """The run whose step function calls this, if any."""
    task = _current_task.get()
    return None if task is None else UUID(task.group.run_id)
