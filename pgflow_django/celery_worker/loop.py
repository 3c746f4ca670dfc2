"""The claiming loop, as a process of the pool runs it until it is told to leave."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from billiard.util import set_pdeathsig
from django.db import connections

from pgflow_django import engine
from pgflow_django.celery_worker.board import GATHERING, OFF, WORKING, Board
from pgflow_django.celery_worker.slot_bell import SlotBell
from pgflow_django.exceptions import LeaseLost
from pgflow_django.registry import registry
from pgflow_django.runs.executing import Functions
from pgflow_django.worker.bell import Bell
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.hosted import Host, HostedPool
from pgflow_django.worker.keepalive import harden
from pgflow_django.worker.patience import Outage, is_lost, patiently
from pgflow_django.worker.registration import register

logger = logging.getLogger("pgflow_django.worker")

#: Seconds after its timeout that a step function gets to be stopped inside the child.
GRACE = 1.0
#: Seconds after the end of an outage during which further connections may find out about it.
_AFTERMATH = 15.0
#: Seconds to try to unregister where the database is out of reach.
_GOODBYE = 5.0


class Loop(Host):
    """Claims and runs until it is told to leave: registered as a worker of its node."""

    def __init__(self, *, using: str, node: str, queues: Sequence[str] | None) -> None:
        self.using = using
        self.node = node
        self.queues = queues
        self.worker = 0
        self.lanes = 1
        self.outage = Outage()

    def bell(self) -> Bell:
        """What its lanes wait for; a new one each time it is asked."""
        raise NotImplementedError

    def registered(self, worker: int) -> None:
        """Hear under which id it claims, 0 for none."""
        self.worker = worker

    def run(self) -> bool:
        """Work until told to leave, and unregister; False where something else has ended it.

        Whoever dispatched it puts another in its place. Raises only what a signal raises in the
        main thread of a child.
        """
        try:
            self._run()
        except Exception as error:
            if self.leaves() and is_lost(error):
                logger.warning("left without a word to the database, which is out of reach")
                return True
            logger.exception("a claiming loop broke: another takes its place")
            return False
        return True

    def _run(self) -> None:
        while not self.leaves():
            self.registered(self._register())
            try:
                self._work()
            except LeaseLost as error:
                logger.warning("registering anew: %s", error)
            finally:
                goodbye = partial(engine.remove_worker, self.worker, using=self.using)
                patiently(goodbye, using=self.using, seconds=_GOODBYE, outage=self.outage)
                self.registered(0)
                connections[self.using].close()

    def _work(self) -> None:
        pool = HostedPool(
            using=self.using,
            worker=self.worker,
            resolve=Functions(),
            bell=self.bell(),
            host=self,
            outage=self.outage,
            lanes=self.lanes,
        )
        try:
            pool.serve()
        except BaseException as error:
            # A signal that the step has asked for (an alarm), or that somebody else has sent.
            is_struck = isinstance(error, SystemExit | KeyboardInterrupt) and not self.leaves()
            pool.close(interrupt=True, blame=error if is_struck else None)
            raise
        pool.close()

    def _register(self) -> int:
        harden(self.using)
        functions = registry.names()
        return patiently(
            partial(register, "celery", self.queues, functions, using=self.using, node=self.node),
            using=self.using,
            seconds=math.inf,
            outage=self.outage,
            gives_up=self.leaves,
        )


def die_with_parent(number: int) -> None:
    """Get this signal when the parent ends, where the system can do that."""
    with suppress(OSError):
        set_pdeathsig(number)


class SlotLoop(Loop):
    """A loop in a child process: one lane, that its parent sees on the board."""

    def __init__(
        self, board: Board, slot: int, *, using: str, node: str, queues: Sequence[str] | None
    ) -> None:
        super().__init__(using=using, node=node, queues=queues)
        self.board = board
        self.slot = slot
        self.parent = os.getppid()
        self.was_told_to_leave = False
        self.outage = SharedOutage(board)

    def bell(self) -> Bell:
        """See ``Loop``."""
        return SlotBell(self.board, self.slot, self.leaves, using=self.using)

    def registered(self, worker: int) -> None:
        """See ``Loop``."""
        super().registered(worker)
        self.board.set_owner(self.slot, os.getpid(), worker)

    def run(self) -> bool:
        """See ``Loop``."""
        if self.board.state(self.slot) != OFF:
            logger.debug("slot %s has a loop already", self.slot)
            return True
        self.board.set_owner(self.slot, os.getpid(), 0)
        self.board.set_state(self.slot, WORKING)
        before = signal.signal(signal.SIGTERM, self._terminated)
        # Celery has its children killed when the thread ends that has forked them: with its parent,
        # or, at a warm shutdown, before it. A loop leaves in order instead.
        die_with_parent(signal.SIGTERM)
        try:
            return super().run()
        finally:
            die_with_parent(signal.SIGKILL)
            signal.signal(signal.SIGTERM, before)
            self.board.clear(self.slot)
            self.board.tell_parent()
            if os.getppid() != self.parent:
                os._exit(0)

    def _terminated(self, *_: Any) -> None:
        """Leave in order: a supervisor such as systemd may signal children with their parent."""
        self.was_told_to_leave = True
        self.board.wake(self.slot)

    def leaves(self) -> bool:
        """See ``Host``: told by the parent, by a signal, or without a parent."""
        return (
            self.board.shall_leave(self.slot)
            or self.was_told_to_leave
            or os.getppid() != self.parent
        )

    def found_plenty(self) -> None:
        """See ``Host``."""
        self.board.plenty_at = time.monotonic()

    def has_looked(self, noted: int) -> None:
        """See ``Host``."""
        self.board.has_looked(self.slot, noted)

    def due_in(self, seconds: float) -> None:
        """See ``Host``."""
        due_at = time.monotonic() + seconds
        if due_at < self.board.due_at:
            self.board.due_at = due_at
            self.board.tell_parent()

    def gathers(self, is_so: bool) -> None:
        """See ``Host``."""
        self.board.set_state(self.slot, GATHERING if is_so else WORKING)

    def task_begins(self, task: ClaimedTask, now: float) -> None:
        """See ``Host``."""
        self.board.task_begins(self.slot, task, now, now + task.group.timeout + GRACE)

    def task_ends(self) -> None:
        """See ``Host``."""
        self.board.task_ends(self.slot)


class OutageMemory(Protocol):
    """What a worker's log has said of an outage, in memory that all who use it share."""

    is_out: bool
    back_at: float


class SharedOutage(Outage):
    """Of all the processes and threads of a worker one tells.

    A connection may hear of an outage only after others are back: that is the same one.
    """

    def __init__(self, memory: OutageMemory) -> None:
        super().__init__()
        self._memory = memory

    def begin(self, error: BaseException) -> None:
        """See ``Outage``."""
        if self.since is not None or time.monotonic() - self._memory.back_at > _AFTERMATH:
            super().begin(error)

    def tell(self, message: str, value: object) -> None:
        """See ``Outage``."""
        is_out = self.since is not None
        if self._memory.is_out != is_out:
            self._memory.is_out = is_out
            if not is_out:
                self._memory.back_at = time.monotonic()
            super().tell(message, value)
