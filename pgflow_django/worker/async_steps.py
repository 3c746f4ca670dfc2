"""Runs the coroutines of async step functions.

Each in an event loop of its own, by asgiref, which brings what the coroutine asks of the ORM back
into the step's thread: to the connection on which its attempt is settled.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
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
#: Seconds that the tasks which a step has left get to end, once they are cancelled.
_GRACE = 0.5


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
        _let_exit(threading.current_thread())
        try:
            return await coroutine
        finally:
            leave_if_forked(pid)
            await _leave(running.loop)

    try:
        return AsyncToSync(main, force_new_loop=True)()
    finally:
        _running.pop(thread_id, None)  # here: one that was interrupted may go on for long


async def _leave(loop: Any) -> None:
    """Cancel what a coroutine has left running, and have nobody wait for what goes on."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, staying = await asyncio.wait(left, timeout=_GRACE)
        for one in staying:
            asyncio.tasks._unregister_task(one)  # noqa: SLF001 - for who runs loops, say its docs
            one._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001
    threads, loop._default_executor = loop._default_executor, None  # noqa: SLF001
    if threads is not None:
        threads.shutdown(wait=False, cancel_futures=True)
        for thread in threads._threads:  # noqa: SLF001
            _let_exit(thread)


def _let_exit(thread: threading.Thread) -> None:
    """Have the process not wait for a thread of an executor when it exits, if it is a daemon."""
    queues: Any = concurrent.futures.thread._threads_queues  # noqa: SLF001
    queues.pop(thread, None)


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
