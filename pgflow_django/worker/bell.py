"""Where a lane with nothing to do waits, and how it is told of new work.

A lane notes how often the bell has rung, looks into the queues, and parks only if it has not rung
since: so no work is missed that comes between the look and the wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Bell(Protocol):
    """What ``HostedPool`` needs of a bell."""

    def note(self) -> int:
        """How often it has rung; to be noted before a look into the queues."""
        ...

    def park(self, noted: int) -> None:
        """Wait until it rings for this lane; not at all if it has rung since, or is closed."""
        ...

    def ring(self) -> bool:
        """Wake one lane that is parked; False where none is."""
        ...

    def close(self) -> None:
        """Wake every lane of this process, now and when it would park again."""
        ...


class ThreadBell:
    """A bell for the threads (or greenlets) of one process.

    ``when_parked`` is called by a lane that has parked, after it can be woken.
    """

    def __init__(self, when_parked: Callable[[], None]) -> None:
        self.when_parked = when_parked
        self._changed = threading.Condition()
        self._rung = 0
        self._wakes = 0
        self._parked = 0
        self._is_closed = False

    @property
    def parked(self) -> int:
        """How many lanes are parked and not woken yet."""
        return self._parked - self._wakes

    def note(self) -> int:
        """See ``Bell``."""
        return self._rung

    def park(self, noted: int) -> None:
        """See ``Bell``."""
        with self._changed:
            if self._rung != noted or self._is_closed:
                return
            self._parked += 1
        self.when_parked()
        with self._changed:
            self._changed.wait_for(lambda: self._wakes > 0 or self._is_closed)
            self._wakes = max(0, self._wakes - 1)
            self._parked -= 1

    def ring(self) -> bool:
        """See ``Bell``."""
        with self._changed:
            self._rung += 1
            if self.parked <= 0:
                return False
            self._wakes += 1
            self._changed.notify()
            return True

    def close(self) -> None:
        """See ``Bell``."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
