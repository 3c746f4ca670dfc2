"""A lane: one thread that claims tasks, runs them one after another and settles them.

What it has claimed and finished lies open for its supervisor, which settles and hands back what
would otherwise wait behind a long step.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from django.db import connections

from pgflow_django import engine
from pgflow_django.exceptions import StepInterrupted
from pgflow_django.worker.batch import Taken
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.connection_state import drop
from pgflow_django.worker.exchange import BATCH_SECONDS, Exchange, Owner
from pgflow_django.worker.interrupting import Target
from pgflow_django.worker.invoke import Attempt, Resolve
from pgflow_django.worker.outcome import Outcome, describe_failure, timed_out
from pgflow_django.worker.settling import LARGE
from pgflow_django.worker.surroundings import Surroundings

if TYPE_CHECKING:
    from pgflow_django.worker.lending import Loan


class LaneOwner(Owner, Protocol):
    """What a lane asks of its pool beside that."""

    resolve: Resolve

    def rest(self, lane: Lane) -> None:
        """Hear that a lane has nothing that must follow at once."""
        ...

    def wait_for_work(self, lane: Lane) -> bool:
        """Sleep until there may be work; whether the lane goes on."""
        ...

    def task_begins(self, task: ClaimedTask, now: float) -> None:
        """Hear that a step function is about to be called."""
        ...

    def task_ends(self) -> None:
        """Hear that it has ended."""
        ...

    def lane_broke(self, error: BaseException) -> None:
        """Hear what has ended a lane that should have gone on."""
        ...

    def lane_ended(self, lane: Lane) -> None:
        """Hear that a lane is gone."""
        ...


class Lane(Exchange):
    """One thread's loop, with its batch; the supervisor reaches in under the batch's lock."""

    pool: LaneOwner

    def __init__(self, pool: LaneOwner, number: int, loan: Loan | None = None) -> None:
        super().__init__(pool)
        self._loan = loan
        self.current: ClaimedTask | None = None
        self.current_since = 0.0
        self.is_interrupted = False
        self.is_idle = False
        self._target: Target | None = None
        self._around: Surroundings | None = None
        self._attempted: Attempt | None = None
        self.thread = threading.Thread(target=self._run, name=f"pgflow-lane-{number}", daemon=True)

    def _run(self) -> None:
        self._target = Target()
        if self._loan is not None:
            self._loan.take()
        try:
            with self._target:
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
                self._execute()

    def _execute(self) -> None:
        started = time.monotonic()
        count = 0
        while (task := self._next_task()) is not None:
            outcome = self._attempt(task)
            count += 1
            self._keep(outcome)
            if self._done_size > LARGE:
                self._settle_done()
                if time.monotonic() - started > BATCH_SECONDS:
                    self._give_back()
        self._adapt(count, time.monotonic() - started)

    def _next_task(self) -> ClaimedTask | None:
        with self.lock:
            if not self.pending or self.pool.is_stopping:
                self.current = None
                return None
            self.current = self.pending.popleft()
            self.current_since = time.monotonic()
            self.is_interrupted = False
            if self._target is not None:
                self._target.is_struck = False
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
        except StepInterrupted as error:
            # It may have been in the middle of a query.
            for connection in connections.all(initialized_only=True):
                drop(connection)
            if self.is_interrupted:
                return None
            return Outcome(task, failure=describe_failure(task, error))  # it raised it itself
        return outcome

    def _keep(self, outcome: Outcome | None) -> None:
        with self.lock:
            self.current = None
            self.pool.task_ends()
            if outcome is None or outcome.settled:
                return
            self.done.append(outcome)
            self._done_size += len(outcome.output or "")

    # From here on: called by the supervisor, from its own thread.

    @property
    def is_at_rest(self) -> bool:
        """Whether it sleeps, or is stuck in a function that was given up (and reported)."""
        is_stuck = self.is_interrupted and self.current is not None
        return self.is_idle or (is_stuck and not self._is_in_hand)

    def is_held_up(self, now: float) -> bool:
        """Whether step functions, not the database, are what this lane spends its time on."""
        return self.current is not None and (
            self._is_work_bound or now - self.current_since > BATCH_SECONDS
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
        return timed_out(task)

    def take_waiting(self, now: float) -> Taken:
        """Outcomes and tasks that wait behind a step that takes long; then ``let_go``."""
        with self.lock:
            if self.current is None or now - self.current_since < 1.5 * BATCH_SECONDS:
                return [], []
            return self._give_up_waiting()

    def take_all(self) -> Taken:
        """Everything but the task that runs; then ``let_go``."""
        with self.lock:
            return self._give_up_waiting()
