"""Which run this thread is in the middle of, so that runs started by a step know their parent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

_current_run: ContextVar[UUID | None] = ContextVar("pgflow_current_run", default=None)


@contextmanager
def inside_run(run_id: UUID) -> Iterator[None]:
    """Mark what happens within as part of the run."""
    token = _current_run.set(run_id)
    try:
        yield
    finally:
        _current_run.reset(token)


def current_run() -> UUID | None:
    """The run whose step function calls this, if any."""
    return _current_run.get()
