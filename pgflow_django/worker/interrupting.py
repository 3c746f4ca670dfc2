"""Stops the step function that another thread, or greenlet, is in the middle of."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Self

from pgflow_django.exceptions import StepInterrupted
from pgflow_django.worker.async_steps import running_for, under_gevent


class Target:
    """The thread that makes it, to be interrupted by others.

    A step may run another flow in its own thread: ``outer`` is what stops that step.
    """

    def __init__(self) -> None:
        self._thread_id = threading.get_ident()
        self._greenlet = _current_greenlet()
        #: Whether it was interrupted since it was last set to ``False``.
        self.is_struck = False
        self._outer: Target | None = None

    def __enter__(self) -> Self:
        self._outer, _innermost.target = _innermost.target, self
        return self

    def __exit__(self, *_: object) -> None:
        _innermost.target = self._outer

    @property
    def is_outer_struck(self) -> bool:
        """Whether what has interrupted this thread was meant for a step around this one."""
        outer = self._outer
        return outer is not None and (outer.is_struck or outer.is_outer_struck)

    def interrupt(self) -> None:
        """Raise ``StepInterrupted`` there, at the next bytecode that it runs.

        Python offers nothing stronger: code that is stuck in C is interrupted when it returns, and
        a greenlet when it waits for something.
        """
        self.is_struck = True
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


class _Innermost(threading.local):
    """The target of the step that this thread runs."""

    target: Target | None = None


_innermost = _Innermost()


def is_interrupted() -> bool:
    """Whether what is raised in this thread is an interruption, and no step's own."""
    target = _innermost.target
    return target is not None and (target.is_struck or target.is_outer_struck)


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
