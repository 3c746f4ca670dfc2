"""A lane: one thread that claims tasks, runs them one after another and settles them.

What it has claimed and finished lies open for its supervisor, which settles and hands back what
would otherwise wait behind a long step.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from django.db import connections

from pgflow_django import engine
from pgflow_django.conf import settings
from pgflow_django.engine import Settled
from pgflow_django.exceptions import StepTimeout
from pgflow_django.worker.batch import Batch, Taken
from pgflow_django.worker.claimed import ClaimedTask, iterate
from pgflow_django.worker.connection_state import drop
from pgflow_django.worker.inflow import Inflow
from pgflow_django.worker.interrupting import Target
from pgflow_django.worker.invoke import Attempt
from pgflow_django.worker.outcome import Outcome, StepInterrupted, describe_failure
from pgflow_django.worker.patience import is_refusal
from pgflow_django.worker.settling import (
    LARGE,
    REFUSED,
    failures_of,
    refuse_messages,
    results_of,
    settle_surely,
)
from pgflow_django.worker.surroundings import Surroundings

if TYPE_CHECKING:
    from pgflow_django.worker.lending import Loan
    from pgflow_django.worker.pool import Pool

logger = logging.getLogger("pgflow_django.worker")

#: Seconds of work that one batch should hold.
_BATCH_SECONDS = 0.02
#: Tasks that a lane claims at first, not knowing yet how long they take.
_FIRST_BATCH = 10


class Lane(Batch):
    """One thread's loop, with its batch; the supervisor reaches in under the batch's lock."""

    def __init__(self, pool: Pool, number: int, loan: Loan | None = None) -> None:
        super().__init__()
        self.pool = pool
        self._loan = loan
        # Chosen here, not by the database: it is known even if the answer to a claim is lost.
        self.claim = secrets.randbits(62)
        self._is_unsure = False
        self.current: ClaimedTask | None = None
        self.current_since = 0.0
        self.is_interrupted = False
        self.is_idle = False
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
        self._target: Target | None = None
        self._around: Surroundings | None = None
        self._attempted: Attempt | None = None
        self.thread = threading.Thread(target=self._run, name=f"pgflow-lane-{number}", daemon=True)

    def _run(self) -> None:
        self._target = Target()
        if self._loan is not None:
            self._loan.take()
        try:
            self._loop()
            self.pool.patiently(partial(engine.release_claims, [self.claim], using=self.pool.using))
        except BaseException as error:  # noqa: BLE001 - the calling thread raises it
            self.pool.lane_broke(error)
        finally:
            if self._loan is not None:
                self._loan.give_back()
            connections.close_all()
            self.pool.lane_ended(self)

    def _loop(self) -> None:
        may_rest = False
        while True:
            if may_rest:
                self.pool.rest(self)
            settled = self._exchange_surely()
            if settled is None:
                may_rest = False
                continue
            self._note_inflow(settled)
            self._is_followed = any(group.next for group in settled.groups)
            # Not where it has just been woken: there is something to do.
            may_rest = bool(settled.groups) and not self._is_followed
            if not settled.groups:
                if not self.pool.wait_for_work(self):
                    return
            else:
                self._work_off()

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
        return time.monotonic() - self._saw_empty_queue_at > _BATCH_SECONDS

    def _work_off(self) -> None:
        started = time.monotonic()
        count = 0
        while (task := self._next_task()) is not None:
            outcome = self._attempt(task)
            count += 1
            self._keep(outcome)
            if self._done_size > LARGE:
                self._settle_done()
                if time.monotonic() - started > _BATCH_SECONDS:
                    self._give_back()
        self._adapt(count, time.monotonic() - started)

    def _give_back(self) -> None:
        """Let others have what waits here: such results take as long to settle as steps to run."""
        with self.lock:
            rest = [task.ref for task in self.pending]
            self.pending.clear()
        if rest:
            self.pool.patiently(partial(engine.release_tasks, rest, using=self.pool.using))

    def _next_task(self) -> ClaimedTask | None:
        with self.lock:
            if not self.pending or self.pool.is_stopping:
                self.current = None
                return None
            self.current = self.pending.popleft()
            self.current_since = time.monotonic()
            self.is_interrupted = False
            self.pool.task_begins(self.current, self.current_since)
            return self.current

    def _attempt(self, task: ClaimedTask) -> Outcome | None:
        """Run the task; ``None`` when the supervisor has interrupted and settled it."""
        try:
            if self._around is None:
                is_borrowed = self._loan is not None
                self._around = Surroundings(self.pool.using, is_borrowed=is_borrowed)
            self._attempted = Attempt(task, self._around, using=self.pool.using)
            outcome: Outcome | None = self._attempted.run(self.pool.resolve)
            with self.lock:
                self.current = None
                is_interrupted = self.is_interrupted
            if is_interrupted:
                # The exception is on its way into this thread: let it arrive here, not later.
                # (Unless the function has swallowed it.)
                for _ in range(100):
                    time.sleep(0.001)
                return None
        except StepInterrupted:
            # It may have been in the middle of a query.
            for connection in connections.all(initialized_only=True):
                drop(connection)
            return None
        return outcome

    def _keep(self, outcome: Outcome | None) -> None:
        with self.lock:
            self.current = None
            self.pool.task_ends()
            if outcome is None or outcome.settled:
                return
            self.done.append(outcome)
            self._done_size += len(outcome.output or "")

    def _adapt(self, count: int, seconds: float) -> None:
        """Larger batches of short steps, single long ones."""
        self._is_work_bound = seconds > self._exchange_seconds
        self._took_long = seconds > _BATCH_SECONDS
        if self._took_long:
            self._wanted = max(1, int(count * _BATCH_SECONDS / seconds))
        elif count >= self._wanted and seconds < _BATCH_SECONDS / 2:
            self._wanted = min(self._wanted * 2, settings.MAX_BATCH)

    # From here on: called by the supervisor, from its own thread.

    @property
    def is_at_rest(self) -> bool:
        """Whether it sleeps, or is stuck in a function that was given up (and reported)."""
        is_stuck = self.is_interrupted and self.current is not None
        return self.is_idle or (is_stuck and not self._is_in_hand)

    def is_held_up(self, now: float) -> bool:
        """Whether step functions, not the database, are what this lane spends its time on."""
        return self.current is not None and (
            self._is_work_bound or now - self.current_since > _BATCH_SECONDS
        )

    def send_lines(self) -> None:
        """Write what the step that runs has told of itself."""
        attempt = self._attempted
        if attempt is not None and attempt.lines is not None and self.current is not None:
            attempt.lines.send_if_due()

    def interrupt(self) -> ClaimedTask | None:
        """Stop the function that runs, if any, as far as a thread can be stopped; its task."""
        with self.lock:
            if self.current is None or self.is_interrupted:
                return None
            self._interrupt()
            return self.current

    def _interrupt(self) -> None:
        self.is_interrupted = True
        if self._target is not None:
            self._target.interrupt()

    def interrupt_overdue(self, now: float) -> Outcome | None:
        """Stop a function that runs for longer than its step's timeout, as far as a thread can
        be stopped; its failure, as taken by ``take_waiting``.
        """
        with self.lock:
            task = self.current
            if task is None or self.is_interrupted:
                return None
            if now - self.current_since < task.group.timeout:
                return None
            self._interrupt()
            self._is_in_hand = True
        timeout = task.group.timeout
        error = StepTimeout(
            f'step "{task.group.step_slug}" ran longer than its timeout of {timeout} s'
        )
        return Outcome(task, failure=describe_failure(task, error, code="step_timeout"))

    def take_waiting(self, now: float) -> Taken:
        """Outcomes and tasks that wait behind a step that takes long; then ``let_go``."""
        with self.lock:
            if self.current is None or now - self.current_since < 1.5 * _BATCH_SECONDS:
                return [], []
            return self._give_up_waiting()

    def take_all(self) -> Taken:
        """Everything but the task that runs; then ``let_go``."""
        with self.lock:
            return self._give_up_waiting()
