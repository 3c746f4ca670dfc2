"""Tells what a signal has raised from what a step function raises itself.

In the main thread Ctrl-C raises in the middle of a step: that is meant for its caller.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: What a handler has raised last.
_raised: BaseException | None = None


@contextmanager
def noting_signals() -> Iterator[None]:
    """Note what handlers raise; afterwards they are what they were, whatever a step has set."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, partial(_note, handler))
    try:
        yield
    finally:
        global _raised  # noqa: PLW0603 - signals are the process's
        _raised = None
        for number, handler in handlers.items():
            if handler is not None:  # not one that C code has set
                signal.signal(number, handler)


def _note(handler: Callable[[int, FrameType | None], Any], number: int, frame: Any) -> None:
    global _raised  # noqa: PLW0603
    try:
        handler(number, frame)
    except BaseException as error:
        _raised = error
        raise


def raise_if_signalled(error: BaseException) -> None:
    """Raise the error again if it came from a signal."""
    if error is _raised and _raised is not None:
        raise error
