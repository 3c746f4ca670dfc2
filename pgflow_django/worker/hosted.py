"""A pool of lanes inside a process that somebody else owns: a Celery worker's.

Its host renews the lease and sweeps. Parked lanes wait for the host's bell and poll nothing; the
supervisor sleeps meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from pgflow_django.worker.bell import Bell
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.invoke import Resolve
from pgflow_django.worker.keepalive import harden
from pgflow_django.worker.lane import Lane
from pgflow_django.worker.patience import Outage, patiently
from pgflow_django.worker.pool import Pool

T = TypeVar("T")

#: Seconds between two rounds of the supervisor while lanes work.
_TICK = 0.02
#: Seconds to try to settle and hand back where the database is out of reach.
_GOODBYE = 5.0
#: Seconds between two questions of one pool for when the next delayed message is due.
_DUE_INTERVAL = 0.5


class Host:
    """What a hosted pool tells the process that it works in; each does nothing by default."""

    def leaves(self) -> bool:
        """Whether the pool shall end what it runs, and claim no more."""
        return False

    def found_plenty(self) -> None:
        """Hear that there is more to do, and nobody is parked who could do it."""

    def due_in(self, seconds: float) -> None:
        """Hear that a delayed message is due then."""

    def has_looked(self, noted: int) -> None:
        """Hear that what had come when the bell had rung so often is taken."""

    def gathers(self, is_so: bool) -> None:
        """Hear whether a lane lets tasks gather, and so looks into the queues again and again."""

    def task_begins(self, task: ClaimedTask, now: float) -> None:
        """Hear that a step function is about to be called; ``now`` is ``time.monotonic()``."""

    def task_ends(self) -> None:
        """Hear that it has ended."""


class HostedPool(Pool):
    """Lanes for one worker id, up to ``lanes`` of them, that park at a bell."""

    def __init__(
        self,
        *,
        using: str,
        worker: int,
        resolve: Resolve,
        bell: Bell,
        host: Host,
        outage: Outage,
        lanes: int = 1,
    ) -> None:
        super().__init__(using=using, worker=worker, resolve=resolve)
        self._bell = bell
        self._host = host
        self._outage = outage
        self._lanes_at_most = lanes
        self._is_dozing = False
        self._asked_at = 0.0
        self._left_at = 0.0

    def serve(self) -> None:
        """Work until the host tells to leave; raises what stopped a lane. Then call ``close``."""
        self._add_lane()
        while True:
            with self._changed:
                if not self._has_news():
                    self._is_dozing = self.is_idle()
                    self._changed.wait(None if self._is_dozing else _TICK)
                    self._is_dozing = False
            if self._broken is not None:
                raise self._broken
            if self._host.leaves():
                return
            self._supervise(time.monotonic())

    def close(self, *, interrupt: bool = False, blame: BaseException | None = None) -> None:
        """See ``Pool``."""
        self.is_stopping = True
        self._bell.close()
        super().close(interrupt=interrupt, blame=blame)

    @property
    def max_lanes(self) -> int:
        """See ``Pool``."""
        return self._lanes_at_most

    def _has_news(self) -> bool:
        return self._broken is not None or self._host.leaves()

    def _renew_lease(self, now: float) -> None:
        """Leave it to the host."""

    # What lanes call.

    def note(self) -> int:
        """See ``Pool``."""
        return self._bell.note()

    def has_looked(self, noted: int) -> None:
        """See ``Pool``."""
        self._host.has_looked(noted)

    def rest(self, lane: Lane) -> None:
        """See ``Pool``: where runs start one by one, but hundreds a second."""
        seconds = lane.inflow.rest()
        self._host.gathers(seconds > 0)
        if seconds:
            time.sleep(seconds)

    def task_begins(self, task: ClaimedTask, now: float) -> None:
        """See ``Pool``."""
        self._host.task_begins(task, now)
        if self._is_dozing:
            with self._changed:
                self._changed.notify_all()

    def task_ends(self) -> None:
        """See ``Pool``."""
        self._host.task_ends()

    def wait_for_work(self, lane: Lane) -> bool:
        """See ``Pool``."""
        if not self._may_go_on():
            return False
        self._tell_what_is_due()
        lane.is_idle = True
        self._bell.park(lane.noted)
        with self._changed:  # or the supervisor dozes off, and sees no timeout
            lane.is_idle = False
        if self._may_go_on():
            return True
        self._bell.ring()  # it may have been woken for a message: that is another's now
        return False

    def announce_work(self) -> None:
        """See ``Pool``."""
        super().announce_work()
        if not self._bell.ring():
            self._host.found_plenty()

    def patiently(self, call: Callable[[], T]) -> T:
        """Call the engine, and again where the connection is lost, until told to leave."""
        harden(self.using)
        return patiently(
            call,
            using=self.using,
            seconds=math.inf,
            outage=self._outage,
            gives_up=self._gives_up,
        )

    def _gives_up(self) -> bool:
        """Whether it was told to leave, and has tried for long enough to do so in order."""
        if not self._host.leaves():
            return False
        self._left_at = self._left_at or time.monotonic()
        return time.monotonic() - self._left_at > _GOODBYE

    def _may_go_on(self) -> bool:
        if self._host.leaves():
            with self._changed:
                self._changed.notify_all()
            return False
        return not self.is_stopping

    def _tell_what_is_due(self) -> None:
        """Before it parks: the host wakes somebody when the next delayed message is due."""
        now = time.monotonic()
        if now - self._asked_at < _DUE_INTERVAL and not self.has_failed:
            return
        self._asked_at = now
        self.has_failed = False
        due = self.next_due()
        if due is not None:
            self._host.due_in(due)
