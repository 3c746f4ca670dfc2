"""Where the loop of a child process waits for work: at its slot's pipe.

The loop of the first slot listens to the database as well, on the connection with which it claims:
until a lone message is claimed, that saves two of the processes that must wake one after another.
Only one does: all who listen wake for every message. The parent, which hears of it too, gives that
loop a moment before it wakes anybody itself.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError, connections
from psycopg import sql

from pgflow_django.celery_worker.board import PARKED, SENTRY, WORKING, Board
from pgflow_django.celery_worker.listener import WORK, number_of, take_notifications
from pgflow_django.worker.sessions import forget


class SlotBell:
    """The bell of a loop with one lane; ``leaves`` says whether that shall not wait any more."""

    def __init__(self, board: Board, slot: int, leaves: Callable[[], bool], *, using: str) -> None:
        self._board = board
        self._slot = slot
        self._leaves = leaves
        self._using = using
        self._is_closed = False
        self._listening: psycopg.Connection[Any] | None = None

    def note(self) -> int:
        """See ``Bell``."""
        return self._board.rung

    def park(self, noted: int) -> None:
        """See ``Bell``."""
        board, slot = self._board, self._slot
        if slot == SENTRY and board.is_asleep:
            self._listen()
        board.set_state(slot, PARKED)
        if not board.is_asleep:
            board.tell_parent()
        if board.rung == noted and not (self._is_closed or self._leaves()):
            self._wait()
        board.set_state(slot, WORKING)

    def ring(self) -> bool:
        """See ``Bell``."""
        return self._board.ring()

    def close(self) -> None:
        """See ``Bell``."""
        self._is_closed = True
        self._board.wake(self._slot)

    def _listen(self) -> None:
        """Listen on the connection that this thread has now, if that is its own."""
        connection = connections[self._using]
        raw = connection.connection
        if raw is self._listening and raw is not None:
            return
        self._listening = None
        self._board.has_sentry = False
        options = connection.settings_dict.get("OPTIONS") or {}
        if raw is None or options.get("pool") or not connection.get_autocommit():
            return
        with suppress(DatabaseError, InterfaceError, psycopg.Error):
            raw.execute(sql.SQL("listen {}").format(sql.Identifier(WORK)))
            # What comes while it does not wait is its parent's: forget it.
            raw.add_notify_handler(lambda _: None)
            forget(raw)  # or the next step would be taken for who has done that
            self._listening = raw
            self._board.has_sentry = True

    def _wait(self) -> None:
        board, slot = self._board, self._slot
        connection = self._listening
        if connection is None or connection.closed:
            board.wait(slot)
            return
        pipe = board.waits_at(slot)
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        poll.register(connection.fileno(), select.POLLIN)
        while True:
            if pipe in dict(poll.poll()):
                board.wait(slot)
                return
            try:
                heard = [*take_notifications(connection)]
            except psycopg.Error:  # a look finds out what to do about it
                return
            if numbers := [number_of(payload) for channel, payload in heard if channel == WORK]:
                board.hear(numbers)
                return
