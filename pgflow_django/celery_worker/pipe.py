"""A pipe by which one thread or process wakes another."""

from __future__ import annotations

import os
from contextlib import suppress


class Pipe:
    """Readable once somebody has woken whoever waits at it; many wakes in a row are one.

    ``waits``: to read is to wait for a wake. Made before a fork, both sides have it.
    """

    def __init__(self, *, waits: bool = False) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, waits)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """What is readable then."""
        return self._reader

    def wake(self) -> None:
        """Wake whoever waits, now or next; a pipe that is full does so anyway."""
        with suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def read(self) -> None:
        """Take the wakes that have come."""
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
