"""Calls that a lost connection does not stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections

from pgflow_django.conf import settings
from pgflow_django.exceptions import DatabaseNotReady

logger = logging.getLogger("pgflow_django.worker")

T = TypeVar("T")

LONGEST_PAUSE = 2.0
_FIRST_PAUSE = 0.05


class Outage:
    """Tells of a lost database once, however many calls it stops, and when it is back."""

    def __init__(self) -> None:
        self.since: float | None = None

    def begin(self, error: BaseException) -> None:
        """Note that a call has failed."""
        if self.since is None:
            self.since = time.monotonic()
            self.tell("lost the database, trying again: %s", error)

    def end(self) -> None:
        """Note that a call has succeeded."""
        if self.since is not None:
            since, self.since = self.since, None
            self.tell("the database is back after %.1f s", time.monotonic() - since)

    def tell(self, message: str, value: object) -> None:
        """Write a line to the log."""
        logger.warning(message, value)


def patiently(
    call: Callable[[], T],
    *,
    using: str,
    seconds: float | None = None,
    outage: Outage | None = None,
    gives_up: Callable[[], bool] = lambda: False,
) -> T:
    """Call something that may be called twice; where the connection is lost, connect and try again.

    For as long as a lease by default: after that others have the work anyway. ``seconds`` may be
    ``math.inf``, and ``gives_up`` ends it at any time. Calls that share an ``outage`` tell of it
    once. Not inside ``atomic()``, where what came before is lost with the connection.
    """
    give_up_at = time.monotonic() + (settings.LEASE_SECONDS if seconds is None else seconds)
    pause = _FIRST_PAUSE
    told = outage or Outage()
    while True:
        try:
            value = call()
        except (OperationalError, InterfaceError, DatabaseNotReady) as error:
            connection = connections[using]
            is_over = time.monotonic() + pause > give_up_at or gives_up()
            if not is_lost(error) or connection.in_atomic_block or is_over:
                raise
            told.begin(error)
            connection.close()
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            if outage is not None:
                outage.end()
            return value


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, rather than the migrations."""
    lost = (OperationalError, InterfaceError)
    return isinstance(error, lost) or isinstance(error.__cause__, lost)
