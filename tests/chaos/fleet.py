"""Two workers that are killed and replaced."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from tests.celery.processes import Worker, is_alive, worker

LEASE = 2.0
STEPS = ("-I", "tests.celery.steps,tests.chaos.steps")


class Fleet:
    """Workers of two children each; whoever dies is replaced."""

    def __init__(self, folder: Path, stack: ExitStack, **options: Any) -> None:
        self._folder = folder
        self._stack = stack
        self._options = options
        self._numbers = count(1)
        self.workers: list[Worker] = []

    def add(self, **options: Any) -> Worker:
        """One more worker."""
        name = f"worker{next(self._numbers)}"
        settings = {"LEASE_SECONDS": LEASE, **self._options, **options}
        added = self._stack.enter_context(worker(self._folder, *STEPS, name=name, **settings))
        self.workers.append(added)
        return added

    def kill_child(self, dice: random.Random) -> str:
        """SIGKILL to one child of one worker; what was done."""
        children = [
            child
            for each in self.workers
            for child in each.offspring(recursive=False)
            if is_alive(child)
        ]
        if not children:
            return "kill -9 of no child"
        with suppress(ProcessLookupError):
            os.kill(dice.choice(children).pid, signal.SIGKILL)
        return "kill -9 of a child"

    def kill_parent(self, dice: random.Random) -> str:
        """SIGKILL to one worker, or to all of its processes; another one takes its place."""
        victim = dice.choice(self.workers)
        self.workers.remove(victim)
        is_whole = dice.random() < 0.5
        (victim.kill_all if is_whole else victim.kill)()
        self.add()
        return "kill -9 of a parent and its children" if is_whole else "kill -9 of a parent"


@contextmanager
def fleet(folder: Path, *, size: int = 2, **options: Any) -> Iterator[Fleet]:
    """Workers that are up and know their queues."""
    with ExitStack() as stack:
        ours = Fleet(folder, stack, **options)
        for _ in range(size):
            ours.add()
        for each in list(ours.workers):
            each.wait_ready(2)
        yield ours
