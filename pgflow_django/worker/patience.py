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

_LONGEST_PAUSE = 2.0


def patiently(call: Callable[[], T], *, using: str, seconds: float | None = None) -> T:
    """Call something that may be called twice; where the connection is lost, connect and try again.

    For as long as a lease by default: after that others have the work anyway. Not inside
    ``atomic()``, where what came before is lost with the connection.
    """
    give_up_at = time.monotonic() + (settings.LEASE_SECONDS if seconds is None else seconds)
    pause = 0.05
    while True:
        try:
            return call()
        except (OperationalError, InterfaceError, DatabaseNotReady) as error:
            connection = connections[using]
            is_over = time.monotonic() + pause > give_up_at
            if not _is_lost(error) or connection.in_atomic_block or is_over:
                raise
            if pause == 0.05:
                logger.warning("lost the database, trying again: %s", error)
            connection.close()
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, rather than the migrations."""
    lost = (OperationalError, InterfaceError)
    return isinstance(error, lost) or isinstance(error.__cause__, lost)
