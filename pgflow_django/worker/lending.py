"""The calling thread's database connection, lent to a lane and taken back.

A lane that had to connect anew would spend more time on that, and on having PostgreSQL plan every
statement again, than a small flow takes to run.
"""

from __future__ import annotations

import threading
from typing import Any

from django.db import connections

from pgflow_django.worker.connection_state import drop, is_idle
from pgflow_django.worker.sessions import forget


class Loan:
    """One open connection on its way to another thread and back.

    What travels is the driver's connection: each thread keeps Django's object around it, and
    connects anew should it need one meanwhile. Made by the calling thread.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._gate = threading.Lock()
        self._is_out = False
        self._is_lost = False
        self._lent = self._let_go()

    def take(self) -> None:
        """Make it the connection of the thread that calls this."""
        self._is_out = True
        forget(self._lent[0])
        self._put_in(self._lent)

    def give_back(self) -> None:
        """End its use in the thread that has taken it."""
        ours = connections[self._using]
        raw: Any = ours.connection
        if ours.in_atomic_block or (raw is not None and not is_idle(raw)):
            drop(ours)  # its owner connects anew
        with self._gate:
            if not self._is_lost:
                self._lent = self._let_go()
                self._is_out = False

    def end(self) -> None:
        """Take it back, in the thread that has lent it. A lane that can't be stopped keeps it."""
        with self._gate:
            self._is_lost = self._is_out
        if not self._is_lost and self._lent[0] is not None:
            connections[self._using].close()
            self._put_in(self._lent)

    def _let_go(self) -> tuple[Any, bool]:
        ours = connections[self._using]
        lent = ours.connection, ours.autocommit
        ours.connection = None
        return lent

    def _put_in(self, lent: tuple[Any, bool]) -> None:
        ours = connections[self._using]
        ours.connection, ours.autocommit = lent
