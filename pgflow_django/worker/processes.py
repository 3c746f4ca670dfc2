"""Keeps a process that a step function has forked from going on as its parent."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress


def leave_if_forked(pid: int) -> None:
    """End this process if it is another than ``pid``, where the step function was called.

    With the status that the step's ``sys.exit`` asked for, 1 for any other exception, else 0. At
    once: whatever else ran here (``atexit``, finalisers) would use, and end, what the parent has
    open.
    """
    if os.getpid() == pid:
        return
    error = sys.exception()
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        status = 1
        with suppress(BaseException):
            # Not by sys.stderr: behind it may be logging, whose locks let other greenlets go on
            # here, on connections that are the parent's.
            os.write(2, "".join(traceback.format_exception(error)).encode(errors="replace"))
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(status & 0xFF)
