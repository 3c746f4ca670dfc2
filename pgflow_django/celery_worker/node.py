"""The worker as the database sees it: its row, its leases, its queues, whether it sleeps."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Final

from django.db import connections

from pgflow_django import engine
from pgflow_django.celery_worker.crew import Crew
from pgflow_django.celery_worker.listener import QUEUES, WORK, Listener, number_of
from pgflow_django.conf import settings
from pgflow_django.registry import registry
from pgflow_django.worker.keepalive import harden
from pgflow_django.worker.registration import register

logger = logging.getLogger("pgflow_django.worker")

#: Seconds between two looks of an idle worker into its queues, for what nobody has told: with
#: renewing and sweeping less than one query a second.
_IDLE_LOOK = 2.5
#: The same, at first, where notifications don't come.
_FIRST_POLL = 0.05
#: Seconds between a wake for a delayed message and the question for the next one.
_NEXT_DUE = 0.05
#: Seconds for which all loops are busy before the database need not tell of messages any more.
_BUSY = 0.1
#: Seconds that a message waits for a loop that gathers, before a parked one is woken.
_PATIENCE = 0.03
#: Seconds that a parked loop gets to hear itself of what its parent has heard of.
_HEAD_START = 0.002
#: Seconds without any loop after which a worker says that it serves nothing.
_MUTE: Final = 5.0
#: Seconds between two readings of the list of queues.
_QUEUES_INTERVAL = 30.0


class Node:
    """What the parent process says to the database, and asks of it, in the name of all."""

    def __init__(
        self, crew: Crew, listener: Listener, *, using: str, name: str, queues: Sequence[str] | None
    ) -> None:
        self.crew = crew
        self.listener = listener
        self.using = using
        self.name = name
        self.fixed_queues = queues
        self.worker: int | None = None
        self._queues: list[str] = []
        self._renewed_at = self._read_queues_at = -math.inf
        self._look_at = self._busy_since = self._ring_at = self._doubt_at = math.inf
        self._news = 0
        self._unheard: set[int] = set()
        self._has_more_news = False
        self._poll = _FIRST_POLL
        #: Since when no loop works, and whether the database knows that.
        self._idle_since = math.inf
        self._is_mute = False

    def tend(self, heard: set[str], *, has_news: bool) -> None:
        """Do what is due; raises what Django raises where the database is out of reach.

        ``heard`` are the channels of what the listener heard; ``has_news``: a loop has parked, or
        wants to be seen for another reason.
        """
        now = time.monotonic()
        if self.worker is None:
            self._register()
        if self.listener.connect():
            self._look_at = now
        if now - self._renewed_at > settings.LEASE_SECONDS / 3:
            self._renew(now)
        self._tell_whether_it_serves(now)
        if self.fixed_queues is None and (
            QUEUES in heard or now - self._read_queues_at > _QUEUES_INTERVAL
        ):
            self._read_queues(now)
        self._test_listener(now)
        if self.listener.works:
            self._tend_sleep(now)
        elif has_news:
            self._poll = _FIRST_POLL
            self._look_at = min(self._look_at, now + self._poll)
        self._ring_late(now)
        self._look(now)

    def hear(self) -> set[str]:
        """The channels that have something new; for new messages somebody is woken at once.

        Unless somebody will look within milliseconds anyway: one who lets tasks gather, or one who
        listens to the database itself.
        """
        heard = self.listener.hear()
        if numbers := {number_of(payload) for channel, payload in heard if channel == WORK}:
            self._take_note(numbers)
        return {channel for channel, _ in heard}

    @property
    def is_patient(self) -> bool:
        """Whether it waits for a loop at work to look, and need not hear of more meanwhile."""
        return self._ring_at < math.inf

    def _take_note(self, numbers: set[int]) -> None:
        """Decide who is to look for the messages of these notifications."""
        crew = self.crew
        if self.is_patient:
            self._has_more_news = True
        elif crew.is_parked() and crew.will_look():
            self._news = crew.note_news()
            self._ring_at = time.monotonic() + _PATIENCE
        elif crew.has_sentry():
            self._unheard |= numbers
            self._doubt_at = min(self._doubt_at, time.monotonic() + _HEAD_START)
        elif all(map(crew.has_heard, numbers)):
            self._note_business(is_parked=crew.is_parked())
        else:
            self._ring()

    def _ring_late(self, now: float) -> None:
        if now >= self._doubt_at:
            self._doubt_at = math.inf
            unheard, self._unheard = self._unheard, set()
            if not all(map(self.crew.has_heard, unheard)):
                self._ring()
        if now < self._ring_at:
            return
        self._ring_at = math.inf
        has_more, self._has_more_news = self._has_more_news, False
        if not self.crew.has_looked(self._news):
            self._ring()
        elif has_more:
            self._take_note({0})

    def next_at(self) -> float:
        """When ``tend`` has something to do next, as far as is known."""
        at: float = min(
            self._look_at,
            self._ring_at,
            self._doubt_at,
            self.crew.due_at,
            self._renewed_at + settings.LEASE_SECONDS / 3,
            math.inf if self._is_mute else self._idle_since + _MUTE,
        )
        if self._busy_since < math.inf:
            at = min(at, self._busy_since + _BUSY)
        return at

    def leave(self) -> None:
        """Unregister."""
        if self.worker is not None:
            engine.remove_worker(self.worker, using=self.using)
            self.worker = None

    def _register(self) -> None:
        harden(self.using)
        engine.sweep(using=self.using)
        self.worker = register(
            "celery", self.fixed_queues, registry.names(), using=self.using, node=self.name
        )
        self._is_mute = False
        self.crew.is_asleep = False
        self._renewed_at = time.monotonic()
        self._read_queues_at = -math.inf

    def _renew(self, now: float) -> None:
        workers = [*self.crew.workers()]
        valid = engine.renew_leases([self.worker or 0, *workers], using=self.using)
        self._renewed_at = now
        if self.worker not in valid:
            logger.warning("worker %s had lost its lease: registering anew", self.name)
            self.worker = None
            self._register()
            while self.crew.ring():  # those that are parked have lost theirs, too
                pass
        engine.sweep(using=self.using)

    def _tell_whether_it_serves(self, now: float) -> None:
        """Serve no queue, as far as others can see, while none of the loops works."""
        if self.crew.workers():
            self._idle_since = math.inf
            if self._is_mute:
                self._is_mute = False
                engine.set_queues(self.worker or 0, self._served(), using=self.using)
                logger.warning("worker %s serves its queues again", self.name)
            return
        self._idle_since = min(self._idle_since, now)
        if not self._is_mute and now - self._idle_since > _MUTE:
            self._is_mute = True
            engine.set_queues(self.worker or 0, [], using=self.using)
            logger.error(
                "worker %s serves nothing: none of its loops works. Either Celery tasks take all "
                "of its processes, or the loops break; then their errors stand above",
                self.name,
            )

    def _served(self) -> Sequence[str]:
        return self._queues if self.fixed_queues is None else self.fixed_queues

    def _read_queues(self, now: float) -> None:
        self._read_queues_at = now
        queues = engine.list_queues(using=self.using)
        if queues != self._queues:
            own = [] if self._is_mute else [self.worker or 0]
            for worker in [*own, *self.crew.workers()]:
                engine.set_queues(worker, queues, using=self.using)
            self._queues = queues
            self._ring()

    def _test_listener(self, now: float) -> None:
        if self.listener.test(now) is False:
            logger.warning(
                "LISTEN does not reach this worker (a transaction pooler?): polling instead"
            )
            self._poll = _FIRST_POLL

    def _ring(self) -> None:
        self._note_business(is_parked=self.crew.ring())

    def _note_business(self, *, is_parked: bool) -> None:
        if is_parked or not self.crew.is_asleep:
            self._busy_since = math.inf
        elif self._busy_since == math.inf:
            self._busy_since = time.monotonic()

    def _tend_sleep(self, now: float) -> None:
        """Have the database tell of messages while somebody is parked, and not while all work."""
        crew = self.crew
        if crew.is_parked():
            self._busy_since = math.inf
            if not crew.is_asleep:
                self._announce(is_asleep=True)
                # What came before the database knew has told nobody.
                crew.ring()
        elif crew.is_asleep and now - self._busy_since >= _BUSY:
            self._announce(is_asleep=False)
            self._busy_since = math.inf

    def _announce(self, *, is_asleep: bool) -> None:
        engine.announce_sleep(self.worker or 0, is_asleep, using=self.using)
        self.crew.is_asleep = is_asleep

    def _look(self, now: float) -> None:
        """Wake somebody for what nobody has told of: delayed messages, and missed ones."""
        if now >= self.crew.due_at:
            self.crew.due_at = math.inf
            self._ring()
            self._look_at = now + _NEXT_DUE
        elif now >= self._look_at:
            if not self.crew.is_parked():
                self._look_at = now + _IDLE_LOOK
                return
            due = engine.next_visible(self.worker or 0, using=self.using)
            self._look_at = now + self._pause(found=due == 0)
            if due == 0:
                self._ring()
            elif due is not None:
                self.crew.due_at = min(self.crew.due_at, time.monotonic() + due)

    def _pause(self, *, found: bool) -> float:
        if self.listener.works:
            return _IDLE_LOOK
        self._poll = _FIRST_POLL if found else min(self._poll * 2, _IDLE_LOOK)
        return self._poll

    def close(self) -> None:
        """Close this thread's connections."""
        self.listener.close()
        connections[self.using].close()
