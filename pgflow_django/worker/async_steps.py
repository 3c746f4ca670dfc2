"""Runs the coroutines of async step functions.

Each in an event loop of its own, by asgiref, which brings what the coroutine asks of the ORM back
into the step's thread: to the connection on which its attempt is settled.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from asgiref.sync import AsyncToSync

from pgflow_django.exceptions import PermanentFailure
from pgflow_django.worker.processes import leave_if_forked

T = TypeVar("T")

#: Seconds in which a loop that is not stuck says so.
_PROMPT = 0.05


class Running:
    """A coroutine on its way, to be stopped by another thread."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()
        self.thread_id = threading.get_ident()
        self.executor = getattr(AsyncToSync.executors, "current", None)

    def cancel(self) -> bool:
        """Cancel it; whether its loop is there to hear of it, and not stuck in its own code."""
        has_heard = threading.Event()

        def cancel() -> None:
            has_heard.set()
            if self.task is not None:
                self.task.cancel()

        with suppress(RuntimeError):  # it has ended
            self.loop.call_soon_threadsafe(cancel)
        return has_heard.wait(_PROMPT) or self.loop.is_closed()

    def wake_step(self) -> None:
        """Have the step's thread, which waits for it in a lock, run some bytecode."""
        if self.executor is not None:
            with suppress(RuntimeError):
                self.executor.submit(int)


_running: dict[int, Running] = {}


def running_for(thread_id: int) -> Running | None:
    """The coroutine that the step in this thread waits for, if any."""
    return _running.get(thread_id)


def run(coroutine: Any) -> Any:
    """Give what a coroutine gives, or raise what it raises. To be called in the step's thread."""
    if under_gevent():
        coroutine.close()
        raise PermanentFailure(
            "async step functions don't run under gevent, whose greenlets would share one event "
            "loop: use another pool for this queue, or write the function with def"
        )
    thread_id, pid = threading.get_ident(), os.getpid()

    async def main() -> Any:
        running = _running[thread_id] = Running()
        try:
            return await coroutine
        finally:
            leave_if_forked(pid)
            # One that was interrupted may end after the next of its thread has begun.
            if _running.get(thread_id) is running:
                del _running[thread_id]

    return AsyncToSync(main, force_new_loop=True)()


def in_thread_of_step(call: Callable[[], T]) -> T:
    """Call something that uses the database: for a coroutine, in the thread of its step."""
    executor = getattr(AsyncToSync.executors, "current", None)
    if executor is None or asyncio._get_running_loop() is None:  # noqa: SLF001 - asyncio exports it
        return call()
    value: T = executor.submit(call).result()
    return value


def under_gevent() -> bool:
    """Whether gevent stands for threads: all greenlets are one thread then, with one event loop."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")
