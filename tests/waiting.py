"""Waiting for conditions, with a deadline, instead of sleeping for a guess."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which a test gives up: far more than anything here takes, even on a busy machine.
PATIENCE = 30.0


def wait_until(condition: Callable[[], T], what: str = "", *, patience: float = PATIENCE) -> T:
    """Ask until ``condition()`` is true, and give its value; fails at the deadline."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain for {what or condition}")
        pause.wait(0.005)
    return value


def wait_for(event: threading.Event, what: str = "", *, patience: float = PATIENCE) -> None:
    """Wait for an event that must come; fails at the deadline."""
    if not event.wait(patience):
        raise AssertionError(f"waited {patience:g} s in vain for {what or 'an event'}")
