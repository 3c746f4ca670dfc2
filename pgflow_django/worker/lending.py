"""The calling thread's database connection, lent to a lane and taken back.

A lane that had to connect anew would spend more time on that, and on having PostgreSQL plan every
statement again, than a small flow takes to run.
"""

from __future__ import annotations

from django.db import connections


class Loan:
    """One connection on its way to another thread and back.

    Made by the calling thread, which gets another connection should it need one meanwhile.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._lent = connections[using]
        self._lent.inc_thread_sharing()
        del connections[using]
        self._is_out = False

    def take(self) -> None:
        """Make it the connection of the thread that calls this."""
        self._is_out = True
        connections[self._using] = self._lent

    def give_back(self) -> None:
        """End its use in the thread that has taken it."""
        del connections[self._using]
        self._is_out = False

    def end(self) -> None:
        """Take it back, in the thread that has lent it.

        A lane that could not be stopped keeps it, and the thread keeps the other one.
        """
        if self._is_out:
            return
        connections[self._using].close()
        connections[self._using] = self._lent
        self._lent.dec_thread_sharing()
