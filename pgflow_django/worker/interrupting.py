"""Stops the step function that another thread, or greenlet, is in the middle of."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

from pgflow_django.worker.async_steps import running_for, under_gevent
from pgflow_django.worker.outcome import StepInterrupted


class Target:
    """The thread that makes it, to be interrupted by others."""

    def __init__(self) -> None:
        self._thread_id = threading.get_ident()
        self._greenlet = _current_greenlet()

    def interrupt(self) -> None:
        """Raise ``StepInterrupted`` there, at the next bytecode that it runs.

        Python offers nothing stronger: code that is stuck in C is interrupted when it returns, and
        a greenlet when it waits for something.
        """
        if self._greenlet is None:
            self._interrupt_thread()
        else:
            import gevent

            gevent.kill(self._greenlet, StepInterrupted)

    def _interrupt_thread(self) -> None:
        coroutine = running_for(self._thread_id)
        # First the step's own thread: else it may hear of the cancellation alone.
        raise_in_thread(self._thread_id)
        if coroutine is not None and not coroutine.cancel():
            raise_in_thread(coroutine.thread_id)  # it waits for nothing
        if coroutine is not None:
            coroutine.wake_step()


def raise_in_thread(thread_id: int) -> None:
    """Raise ``StepInterrupted`` in the thread of this identity, if it lives."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(StepInterrupted)
    )


def _current_greenlet() -> Any:
    """The greenlet that runs, where gevent stands for threads: all are one thread then."""
    if not under_gevent():
        return None
    import gevent

    return gevent.getcurrent()
