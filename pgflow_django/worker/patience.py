"""Calls that neither a lost connection nor a moment's trouble of the database stops."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connections

from pgflow_django.conf import settings
from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.storage.sqlstates import Remedy, remedy_of

logger = logging.getLogger("pgflow_django.worker")

T = TypeVar("T")

LONGEST_PAUSE = 2.0
_FIRST_PAUSE = 0.05
#: How often something is tried that may be at fault itself.
_DOUBTFUL_TRIES = 5
#: Remedies that time brings.
PASSING = frozenset({Remedy.RECONNECT, Remedy.TRY_AGAIN, Remedy.WAIT})


class Outage:
    """Tells of a lost database once, however many calls it stops, and when it is back."""

    def __init__(self) -> None:
        self.since: float | None = None

    def begin(self, error: BaseException) -> None:
        """Note that a call has failed."""
        if self.since is None:
            self.since = time.monotonic()
            if remedy_of(error) in {Remedy.RECONNECT, None}:
                self.tell("lost the database, trying again: %s", error)
            else:
                self.tell("the database can't do it now, trying again: %s", error)

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
    """Call something that may be called twice, again where the database's trouble passes.

    For as long as a lease by default: after that others have the work anyway. ``seconds`` may be
    ``math.inf``, and ``gives_up`` ends it at any time. Calls that share an ``outage`` tell of it
    once. Not inside ``atomic()``, where what came before is lost with the connection.

    Raises what does not pass: see ``is_refusal``.
    """
    give_up_at = time.monotonic() + (settings.LEASE_SECONDS if seconds is None else seconds)
    pause = _FIRST_PAUSE
    doubts = 0
    while True:
        try:
            value = call()
        except (DatabaseError, InterfaceError, DatabaseNotReady) as error:
            remedy = remedy_of(error)
            doubts += remedy is Remedy.DOUBT
            may_pass = remedy in PASSING or (remedy is Remedy.DOUBT and doubts < _DOUBTFUL_TRIES)
            is_over = time.monotonic() + pause > give_up_at or gives_up()
            if not may_pass or connections[using].in_atomic_block or is_over:
                raise
            outage = outage or Outage()
            outage.begin(error)
            if remedy is Remedy.RECONNECT:
                connections[using].close()
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            if outage is not None:
                outage.end()
            return value


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, rather than the migrations."""
    return remedy_of(error) is Remedy.RECONNECT


def is_refusal(error: BaseException) -> bool:
    """Whether the database would refuse the same again, because of what it was given."""
    return remedy_of(error) in {Remedy.NONE, Remedy.DOUBT}
