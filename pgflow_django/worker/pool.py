"""A pool of lanes in this process, and the supervisor that the calling thread is meanwhile.

The supervisor renews the lease, stops step functions at their timeout, frees what waits behind a
long step, adds lanes while there is more to do than the lanes at work can take, and brings the
connection back when it is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from pgflow_django import engine
from pgflow_django.conf import settings
from pgflow_django.storage.pooling import pool_size
from pgflow_django.worker.batch import Taken
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.invoke import Resolve
from pgflow_django.worker.lane import Lane
from pgflow_django.worker.lending import Loan
from pgflow_django.worker.outcome import Outcome, describe_failure
from pgflow_django.worker.patience import patiently
from pgflow_django.worker.settling import failures_of, settle_surely

logger = logging.getLogger("pgflow_django.worker")

T = TypeVar("T")

#: Seconds between two rounds of the supervisor.
_TICK = 0.02
#: Seconds that interrupted lanes get to end.
_GRACE = 2.0


class Pool:
    """Lanes that work for one worker id: on one run, or on the queues of that worker."""

    def __init__(
        self, *, using: str, worker: int, resolve: Resolve, run: UUID | None = None
    ) -> None:
        self.using = using
        self.worker = worker
        self.run = run
        self.resolve = resolve
        #: Lanes that there may be, stuck ones included: each has a connection, as the supervisor.
        self._room = pool_size(using) - 1
        self.is_stopping = False
        self._changed = threading.Condition()
        self._lanes: list[Lane] = []
        self._started = 0
        self._announced = 0
        self._rests = 0
        self._broken: BaseException | None = None
        self._loan: Loan | None = None
        self._is_done = False
        self._is_finished: Callable[[float | None], bool] = lambda _: False
        #: Whether failures were sent since somebody has asked when they are due again.
        self.has_failed = False
        self._renewed_at = self._looked_at = time.monotonic()

    # What the calling thread does.

    def work_until(
        self,
        is_finished: Callable[[float | None], bool],
        *,
        look: Callable[[], bool] | None = None,
        deadline: float | None = None,
        poll_interval: float | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> bool:
        """Work until ``is_finished``; False when the deadline (``time.monotonic()``) came first.

        ``is_finished`` is asked when all lanes are idle, by the last of them, with what is due next
        (see ``next_due``), and counts where all of them still are when it has answered. ``look`` is
        asked every ``poll_interval`` seconds, whatever goes on. The first lane borrows the calling
        thread's connection. Raises what stopped a lane, and ``KeyboardInterrupt``; whatever
        happens, call ``close``.
        """
        interval = settings.POLL_INTERVAL if poll_interval is None else poll_interval
        next_look = time.monotonic() + interval
        self._is_finished = is_finished
        self._loan = Loan(self.using)
        self._add_lane(self._loan)
        while True:
            with self._changed:
                if not self._has_news():
                    self._changed.wait(interval if self.is_idle() else _TICK)
            if self._broken is not None:
                raise self._broken
            now = time.monotonic()
            if look is not None and now >= next_look:
                next_look = now + interval
                self._is_done = self._is_done or self.patiently(look)
            if self._is_done:
                return True
            if deadline is not None and now >= deadline:
                return False
            self._supervise(now)
            if on_tick is not None:
                on_tick()

    def close(self, *, interrupt: bool = False, blame: BaseException | None = None) -> None:
        """Stop all lanes: what runs may end, or is interrupted; what waits is handed back.

        ``blame`` is what the steps that run have brought upon their process: their attempts fail
        for it, since tried again free of charge they would do the same for ever.

        A function that cannot be interrupted is left behind in its (daemon) thread; its result
        will be refused.
        """
        self.is_stopping = True
        if interrupt:
            for lane in list(self._lanes):
                task = lane.interrupt()
                if task is not None and blame is not None:
                    failure = describe_failure(task, blame, code="worker_lost")
                    self._settle(lane, ([Outcome(task, failure=failure)], []))
        for lane in list(self._lanes):
            self._settle(lane, lane.take_all())
        give_up_at = time.monotonic() + _GRACE
        while any(
            time.monotonic() < give_up_at or not (interrupt or lane.is_interrupted)
            for lane in list(self._lanes)
        ):
            with self._changed:
                self._changed.notify_all()
                self._changed.wait(_TICK)
            self._stop_overdue(time.monotonic())
            self._renew_lease(time.monotonic())
        if self._loan is not None:
            self._loan.end()

    def is_idle(self) -> bool:
        """Whether no lane has anything to do (stuck ones, given up, don't count)."""
        return bool(self._lanes) and all(lane.is_at_rest for lane in self._lanes)

    def _has_news(self) -> bool:
        return self._is_done or self._broken is not None

    @property
    def max_lanes(self) -> int:
        """How many lanes there may be."""
        limit: int = settings.THREADS
        return limit

    def _supervise(self, now: float) -> None:
        lanes = list(self._lanes)
        self._stop_overdue(now)
        for lane in lanes:
            self._settle(lane, lane.take_waiting(now))
            lane.send_lines()
        self._renew_lease(now)
        if self._wants_another_lane(lanes, now):
            self._announced = 0
            self._looked_at = now
            self._add_lane()

    def _stop_overdue(self, now: float) -> None:
        for lane in list(self._lanes):
            outcome = lane.interrupt_overdue(now)
            if outcome is not None:
                self._settle(lane, ([outcome], []))

    def _wants_another_lane(self, lanes: list[Lane], now: float) -> bool:
        """Whether all lanes are held up while there is more to do, or nobody looks for it.

        Where steps are so short that the database is the limit, a further lane would only wait
        for the locks of the others.
        """
        if any(lane.is_idle for lane in lanes):
            self._looked_at = now
        if not all(lane.is_held_up(now) for lane in lanes):
            return False
        working = sum(not lane.is_interrupted for lane in lanes)
        return (
            working < self.max_lanes
            and len(lanes) < self._room
            and (self._announced > 0 or now - self._looked_at >= settings.POLL_INTERVAL)
        )

    def _settle(self, lane: Lane, taken: Taken) -> None:
        """Settle and hand back what the lane could not, which waits for that."""
        done, released = taken
        if not (done or released):
            return
        try:
            if done:
                settle_surely(done, self.patiently, using=self.using)
                self.has_failed |= bool(failures_of(done))
                done = []
            if released:
                self.patiently(partial(engine.release_tasks, released, using=self.using))
        finally:
            lane.let_go(done)
        self.announce_work()

    def _renew_lease(self, now: float) -> None:
        """Extend the lease a few times in its length, and take back what others have lost."""
        if now - self._renewed_at < settings.LEASE_SECONDS / 3:
            return
        self._renewed_at = now
        self.patiently(partial(engine.renew_leases, [self.worker], using=self.using))
        self.patiently(partial(engine.sweep, using=self.using))

    def _add_lane(self, loan: Loan | None = None) -> None:
        lane = Lane(self, self._started, loan)
        self._started += 1
        self._lanes.append(lane)
        lane.thread.start()

    # What lanes call, each from its own thread.

    def note(self) -> int:
        """What ``HostedPool`` needs to know of the time before a look into the queues."""
        return 0

    def has_looked(self, noted: int) -> None:
        """Hear that nothing is left in the queues of what had come when ``note`` gave that."""

    def rest(self, lane: Lane) -> None:
        """Let work gather before the lane looks into the queues, where that pays."""

    def task_begins(self, task: ClaimedTask, now: float) -> None:
        """Hear that a step function is about to be called; ``now`` is ``time.monotonic()``."""

    def task_ends(self) -> None:
        """Hear that it has ended."""

    def wait_for_work(self, lane: Lane) -> bool:
        """Sleep until there may be work; False when the lane shall end."""
        with self._changed:
            seen, before = self._announced, self._rests
        due = None if self.is_stopping else self.next_due()
        with self._changed:
            if self.is_stopping:
                return False
            if self._announced != seen:
                return True
            lane.is_idle = due != 0.0
            has_company = self._rests != before
            self._rests += 1
            rests = self._rests
            is_idle = self.is_idle()
        if is_idle and has_company:
            due = self.next_due()  # who came to rest meanwhile may have left something
        is_finished = is_idle and self.patiently(partial(self._is_finished, due))
        with self._changed:
            # Not where somebody has worked since the question: he may have left something.
            if is_finished and self.is_idle() and (rests, seen) == (self._rests, self._announced):
                self._is_done = True
            self._changed.notify_all()
            # What is due now could not be claimed: others hold it, or it waits to be alone.
            wait = (
                settings.POLL_INTERVAL if due is None else min(due or _TICK, settings.POLL_INTERVAL)
            )
            self._changed.wait_for(lambda: self.is_stopping or self._announced != seen, wait)
            lane.is_idle = False
            return not self.is_stopping

    def next_due(self) -> float | None:
        """Seconds until the next message that it could take is due; ``None``: there is none."""
        return self.patiently(
            lambda: engine.next_visible(self.worker, using=self.using, run=self.run)
        )

    def announce_work(self) -> None:
        """Tell sleeping lanes, and the supervisor, that there may be more to claim."""
        with self._changed:
            self._announced += 1
            self._changed.notify_all()

    def lane_broke(self, error: BaseException) -> None:
        """Hand the error to the calling thread."""
        self._broken = self._broken or error

    def lane_ended(self, lane: Lane) -> None:
        """Forget a lane."""
        with self._changed:
            self._lanes.remove(lane)
            self._changed.notify_all()

    def patiently(self, call: Callable[[], T]) -> T:
        """Call the engine, and again where the connection is lost."""
        return patiently(call, using=self.using)
