"""What a lane exchanges with the database: what is done, for what is to be done next.

One round trip and one commit for both, as large as what it brings is worth.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from pgflow_django import engine
from pgflow_django.conf import settings
from pgflow_django.engine import Settled
from pgflow_django.worker.batch import Batch
from pgflow_django.worker.claimed import iterate
from pgflow_django.worker.inflow import Inflow
from pgflow_django.worker.outcome import Outcome
from pgflow_django.worker.patience import is_refusal
from pgflow_django.worker.settling import (
    REFUSED,
    failures_of,
    refuse_messages,
    results_of,
    settle_surely,
)

if TYPE_CHECKING:
    from uuid import UUID

logger = logging.getLogger("pgflow_django.worker")

T = TypeVar("T")

#: Seconds of work that one batch should hold.
BATCH_SECONDS: Final = 0.02
#: Tasks that a lane claims at first, not knowing yet how long they take.
_FIRST_BATCH = 10


class Owner(Protocol):
    """What an exchange asks of whom it works for: the pool."""

    using: str
    worker: int
    run: UUID | None
    is_stopping: bool
    has_failed: bool

    def note(self) -> int:
        """How often the bell has rung; for ``has_looked``."""
        ...

    def has_looked(self, noted: int) -> None:
        """Hear that the queues held nothing more when the bell had rung that often."""
        ...

    def announce_work(self) -> None:
        """Hear that there may be more than one lane can take."""
        ...

    def patiently(self, call: Callable[[], T]) -> T:
        """Call, and again where trouble passes."""
        ...


class Exchange(Batch):
    """A batch that is settled and followed by the next one."""

    pool: Owner

    def __init__(self, pool: Owner) -> None:
        super().__init__()
        self.pool = pool
        # Chosen here, not by the database: it is known even if the answer to a claim is lost.
        self.claim = secrets.randbits(62)
        self._is_unsure = False
        self._is_work_bound = False
        self._exchange_seconds = 0.0
        self._wanted = _FIRST_BATCH
        #: Whether the last batch did: then what it has made ready waits for its turn in the queues.
        self._took_long = False
        self._saw_empty_queue_at = 0.0
        #: How often the pool's bell had rung before the last look into the queues.
        self.noted = 0
        #: Whether what it ran last may have given it more to run, without a look into the queues.
        self._is_followed = False
        self.inflow = Inflow()

    def _exchange_surely(self) -> Settled | None:
        """As ``_exchange``; ``None`` where something was refused, and has ended by name."""
        try:
            return self.pool.patiently(self._exchange)
        except REFUSED as error:
            if not is_refusal(error):
                raise
            logger.warning("the database refused what a lane asked for: %s", error)
            if not (self._settle_done() or self._refuse_messages()):
                raise
        return None

    def _settle_done(self) -> int:
        """Settle without claiming; how much of it was refused."""
        pool = self.pool
        return settle_surely(self._take_done(), pool.patiently, using=pool.using)

    def _refuse_messages(self) -> int:
        pool = self.pool
        return refuse_messages(pool.worker, pool.patiently, using=pool.using, run=pool.run)

    def _note_inflow(self, settled: Settled) -> None:
        self.inflow.note_call(self._exchange_seconds, time.monotonic())
        if settled.groups and not self._is_followed:
            tasks = sum(len(group.tasks) for group in settled.groups)
            self.inflow.note_look(tasks, self._wanted)

    def _exchange(self) -> Settled:
        """Settle what is done and claim the next batch, in one round trip.

        Not while the supervisor settles something: that must be seen here, and not be handed back.
        """
        done = self._take_done(is_alone=True)
        parts: list[str | None] = [*results_of(done)] or [None]
        results = parts.pop()
        failures = failures_of(done)
        wanted = 0 if self.pool.is_stopping else self._wanted
        self.noted = self.pool.note()
        began = time.monotonic()
        try:
            if failures:
                engine.fail_tasks(failures, using=self.pool.using)
                self.pool.has_failed = True
            if self._is_unsure:
                self._clear_up(done)
            for part in parts:
                self._settle_and_claim(part, 0)
            if not results and not wanted:
                return Settled()
            poll = self._should_poll()
            settled = self._settle_and_claim(results, wanted, poll=poll)
        except BaseException:
            self._put_back(done)
            self._is_unsure = True
            raise
        self._exchange_seconds = time.monotonic() - began
        tasks = list(iterate(settled))
        with self.lock:
            self.pending.extend(tasks)
        if len(tasks) >= wanted:
            self.pool.announce_work()
        elif poll or not tasks:
            self._saw_empty_queue_at = time.monotonic()
            self.pool.has_looked(self.noted)
        return settled

    def _settle_and_claim(self, results: str | None, wanted: int, *, poll: bool = False) -> Settled:
        return engine.settle_and_claim(
            self.pool.worker,
            results,
            self.claim,
            wanted,
            using=self.pool.using,
            run=self.pool.run,
            poll=poll,
            feed=self.pool.run is not None or not self._took_long,
        )

    def _clear_up(self, done: list[Outcome]) -> None:
        """After a lost connection: settle again, which does no harm, and hand back the rest.

        Failures are sent before this: they would be handed back, and their attempts not be spent.
        A claim may have been made whose answer never came; nobody else would ever run its tasks,
        since the lease covers them as long as this process lives.
        """
        for results in results_of(done):
            self._settle_and_claim(results, 0)
        engine.release_claims([self.claim], using=self.pool.using)
        self._is_unsure = False

    def _should_poll(self) -> bool:
        """Whether to look into the queues even where completed steps gave work already.

        A look costs a third of a round trip: a lone chain need not pay for it at every step.
        """
        return time.monotonic() - self._saw_empty_queue_at > BATCH_SECONDS

    def _give_back(self) -> None:
        """Let others have what waits here: such results take as long to settle as steps to run."""
        with self.lock:
            rest = [task.ref for task in self.pending]
            self.pending.clear()
        if rest:
            self.pool.patiently(partial(engine.release_tasks, rest, using=self.pool.using))

    def _adapt(self, count: int, seconds: float) -> None:
        """Larger batches of short steps, single long ones."""
        # Where steps take half as long as what is between them, another lane can do the one while
        # this one does the other.
        self._is_work_bound = seconds > self._exchange_seconds / 2
        self._took_long = seconds > BATCH_SECONDS
        if self._took_long:
            self._wanted = max(1, int(count * BATCH_SECONDS / seconds))
        elif count >= self._wanted and seconds < BATCH_SECONDS / 2:
            self._wanted = min(self._wanted * 2, settings.MAX_BATCH)
