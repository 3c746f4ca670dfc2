"""Ctrl-C and its relatives, turned into one exception at a moment when it does no harm."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

#: Ctrl-C; ``kill``, systemd and containers; a terminal that is closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds in which a signal should have been noticed; after that, the next one does not wait.
_PATIENCE = 1.0


class Interrupts:
    """While it is entered, the first signal raises ``KeyboardInterrupt``, and only the first.

    At once until ``postpone()``, then from ``check()``, which whoever is at work calls again and
    again. Signals that follow change nothing: what the first one has begun (cancelling a run, and
    saying so) is done to its end. Ctrl-\\ still ends the process on the spot.
    """

    def __init__(self, *, is_final: bool = False) -> None:
        """``is_final``: the process ends after a signal, and nobody else waits for another."""
        self._is_final = is_final
        self.signum: int | None = None
        self._since = 0.0
        self.is_raised = False
        self._is_postponed = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals, except those that the process ignores (``nohup``)."""
        if threading.current_thread() is threading.main_thread():
            for signum in _SIGNALS:
                if signal.getsignal(signum) not in {signal.SIG_IGN, None}:
                    self._before[signum] = signal.signal(signum, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the signals as they were, unless the process is about to end by one."""
        for signum, handler in self._before.items():
            is_over = self._is_final and self.is_raised
            signal.signal(signum, signal.SIG_IGN if is_over else handler)
        self._before.clear()

    def postpone(self) -> None:
        """From now on, wait for ``check()``."""
        self._is_postponed = True

    def check(self, tell: Callable[[], None]) -> None:
        """Raise if a signal has come; ``tell`` is called just before."""
        if self.signum is not None and not self.is_raised:
            tell()
            self._raise()

    def _receive(self, signum: int, _: FrameType | None) -> None:
        if self.is_raised:
            return
        if self.signum is None:
            self.signum = signum
            self._since = time.monotonic()
        # Nobody has checked for a while: the database does not answer, perhaps.
        is_overdue = time.monotonic() - self._since > _PATIENCE
        if not self._is_postponed or is_overdue:
            self._raise()

    def _raise(self) -> None:
        self.is_raised = True
        raise KeyboardInterrupt
