"""What surrounds the call of a step function, and is afterwards as it was before.

The language, the time zone and all context variables are a copy's (``contextvars``); what remains
is the event loop of the thread, and its database connections. A connection that nobody else has a
claim to is replaced where its session was changed; a caller's is restored as far as that goes.

On the hot path: a step that touches none of it pays a few microseconds.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from pgflow_django import signals
from pgflow_django.exceptions import StepInterrupted, TransactionMisused
from pgflow_django.worker.connection_state import ConnectionState, Depth
from pgflow_django.worker.interrupting import is_interrupted
from pgflow_django.worker.processes import leave_if_forked


class Surroundings:
    """Of the attempts of one thread, one after another: ``begin``, ``check``, ``end``, ``leave``.

    ``is_borrowed``: the connections of this thread are a caller's.
    """

    def __init__(self, using: str, *, is_borrowed: bool) -> None:
        self.connection = connections[using]
        self._is_borrowed = is_borrowed
        self._states = [ConnectionState(one) for one in _opened()]
        self._created = _created.count
        self._depths: list[Depth] = []
        self._is_touched = False
        #: Databases in whose transactions the steps of this thread run.
        self.blocks = [one.connection.alias for one in self._states if one.depth.blocks]
        self._loop = asyncio._get_running_loop()  # noqa: SLF001 - asyncio exports it for loops
        self._policy: Any = getattr(asyncio.get_event_loop_policy(), "_local", None)
        self._policy_knew = _known_loop(self._policy)

    def begin(self, *, is_inside: bool) -> None:
        """To be called just before the step, ``is_inside`` a transaction. Sends nothing."""
        if self._created != _created.count:
            self._states += [ConnectionState(one) for one in self._new_ones()]
            self._created = _created.count
        # Until ``check`` has looked: a step that raises is looked after as if it had touched all.
        self._is_touched = True
        for state in self._states:
            state.begin()
        self._depths = [Depth(state.connection) for state in self._states] if is_inside else []

    def check(self) -> None:
        """Raise ``TransactionMisused`` where the step has returned, but what it wrote is lost."""
        if not self._depths:
            self._is_touched = False
            for state in self._states:  # a loop: ``any`` with a generator takes twice as long
                self._is_touched = state.is_touched() or self._is_touched
        if not self._is_touched and self._created == _created.count:
            return
        depths = self._depths or [state.depth for state in self._states]
        for depth in [*depths, *map(Depth.none, self._new_ones())]:
            if complaint := depth.complaint():
                raise TransactionMisused(f'{complaint} (database "{depth.connection.alias}")')

    def end(self) -> None:
        """To be called when the step has ended, however it did."""
        # Before all else: Django refuses queries where a loop runs.
        if asyncio._get_running_loop() is not self._loop:  # noqa: SLF001
            asyncio._set_running_loop(self._loop)  # noqa: SLF001
        if self._policy is not None and _known_loop(self._policy) != self._policy_knew:
            self._policy._loop, self._policy._set_called = self._policy_knew  # noqa: SLF001
        for state in self._states:
            state.end()
        for depth in self._depths:
            depth.unwind()

    def set_back(self) -> bool:
        """Set back what an atomic step has set, so that its completion can be written."""
        ours = (state for state in self._states if state.connection is self.connection)
        return all(state.set_back() for state in ours)

    def leave(self) -> None:
        """Put back what the step has changed; after its transaction has ended. Never raises."""
        if self._is_touched:
            for state in self._states:
                state.restore(is_borrowed=self._is_borrowed)
        if self._created != _created.count:
            for connection in self._new_ones():
                ConnectionState.unused(connection).restore(is_borrowed=False)

    def _new_ones(self) -> list[BaseDatabaseWrapper]:
        """Connections of this thread that were not there when it last looked."""
        known = {state.connection.alias for state in self._states}
        return [one for one in _opened() if one.alias not in known]


def call_apart(call: Callable[[], object], using: str) -> None:
    """Call something of a site's, a hook or a receiver, which leaves nothing behind here either."""
    pid = os.getpid()
    around = Surroundings(using, is_borrowed=True)
    around.begin(is_inside=around.connection.in_atomic_block)
    try:
        contextvars.copy_context().run(call)
    except StepInterrupted as error:
        if is_interrupted():
            raise
        raise RuntimeError("StepInterrupted is for those who interrupt steps") from error
    finally:
        leave_if_forked(pid)
        around.end()
        around.leave()


signals.keep_apart = call_apart


class _Created(threading.local):
    """How many connections this thread has opened: looking at each alias takes long."""

    count = 0


_created = _Created()


@receiver(connection_created, dispatch_uid="pgflow_django.worker.surroundings")
def _count(**_: Any) -> None:
    _created.count += 1


def _opened() -> list[BaseDatabaseWrapper]:
    return list(connections.all(initialized_only=True))


def _known_loop(policy: Any) -> tuple[Any, bool]:
    """What asyncio's policy knows of this thread: its loop, and whether one was set."""
    return getattr(policy, "_loop", None), getattr(policy, "_set_called", False)
