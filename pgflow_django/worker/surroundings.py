"""What surrounds the call of a step function, and is afterwards as it was before.

The language, the time zone and all context variables are a copy's (``contextvars``); what remains
is the event loop of the thread, and its database connections. A connection that nobody else has a
claim to is replaced where its session was changed; a caller's is mended as far as that goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django.exceptions import TransactionMisused
from pgflow_django.worker.connection_state import ConnectionState, Depth

logger = logging.getLogger("pgflow_django.steps")


class Surroundings:
    """Of one attempt: entered before anything of it, left after its transaction has ended.

    ``is_borrowed``: the connections of this thread are a caller's.
    """

    def __init__(self, *, is_borrowed: bool) -> None:
        self._is_borrowed = is_borrowed

    def __enter__(self) -> Self:
        """Note how all stands. Sends nothing."""
        self._loop = _EventLoop()
        self._states = {one.alias: ConnectionState(one) for one in _opened()}
        return self

    def __exit__(self, *_: object) -> None:
        """Put back what the step has changed. Never raises."""
        for connection in _opened():
            state = self._states.get(connection.alias)
            if state is None:
                ConnectionState.unused(connection).restore(is_borrowed=False)
            else:
                state.restore(is_borrowed=self._is_borrowed)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around the call itself, inside the transaction of the attempt, if it has one.

        Raises ``TransactionMisused`` where the step has returned, but what it wrote can't be kept.
        """
        depths = {alias: Depth(state.connection) for alias, state in self._states.items()}
        for state in self._states.values():
            state.watch()
        try:
            yield
            for connection in _opened():
                depth = depths.get(connection.alias) or Depth.none(connection)
                if complaint := depth.complaint():
                    raise TransactionMisused(f'{complaint} (database "{connection.alias}")')
        finally:
            self._loop.restore()  # before all else: Django refuses queries where one runs
            for state in self._states.values():
                state.unwatch()
            for depth in depths.values():
                depth.unwind()


def _opened() -> list[BaseDatabaseWrapper]:
    return list(connections.all(initialized_only=True))


class _EventLoop:
    """The event loop of this thread: the one that is set, and the one that runs."""

    def __init__(self) -> None:
        self._running = asyncio._get_running_loop()  # noqa: SLF001 - asyncio exports both
        self._local = getattr(asyncio.get_event_loop_policy(), "_local", None)
        self._set = dict(vars(self._local)) if self._local is not None else {}

    def restore(self) -> None:
        asyncio._set_running_loop(self._running)  # noqa: SLF001
        if self._local is not None and vars(self._local) != self._set:
            vars(self._local).clear()
            vars(self._local).update(self._set)
