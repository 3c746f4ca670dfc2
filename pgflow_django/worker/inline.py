"""Runs tasks one at a time in the calling thread, on the caller's own connection.

For callers inside ``transaction.atomic()`` or a ``TestCase``: other connections would not see what
they have not committed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar
from uuid import UUID

from django.db import connections, transaction

from pgflow_django import engine
from pgflow_django.engine import Settled
from pgflow_django.exceptions import StepInterrupted
from pgflow_django.worker.claimed import ClaimedTask, iterate
from pgflow_django.worker.connection_state import drop
from pgflow_django.worker.interrupting import Target
from pgflow_django.worker.invoke import Attempt, Resolve
from pgflow_django.worker.outcome import Outcome, describe_failure, timed_out
from pgflow_django.worker.patience import is_refusal
from pgflow_django.worker.sessions import forget
from pgflow_django.worker.settling import REFUSED, refuse_messages, settle_surely
from pgflow_django.worker.signalled import noting_signals
from pgflow_django.worker.surroundings import Surroundings

T = TypeVar("T")


def work_inline(
    *,
    using: str,
    worker: int,
    resolve: Resolve,
    run: UUID | None = None,
    deadline: float | None = None,
    on_tick: Callable[[], None] | None = None,
) -> tuple[bool, int]:
    """Work until nothing is left to do.

    Gives whether that came before the deadline (``time.monotonic()``), and the number of attempts.
    At the deadline the step of a ``run`` is stopped, for its caller to cancel the run; others end.
    """
    forget(connections[using].connection)
    with noting_signals():
        return _work(using, worker, resolve, run, deadline, on_tick)


def _work(
    using: str,
    worker: int,
    resolve: Resolve,
    run: UUID | None,
    deadline: float | None,
    on_tick: Callable[[], None] | None,
) -> tuple[bool, int]:
    count = 0
    claim = secrets.randbits(62)
    settled = Settled()
    while True:
        if not settled.groups:
            settled = _claim(worker, claim, run, using)
        if not settled.groups and not _wait(using, worker, run, deadline):
            return deadline is None or time.monotonic() < deadline, count
        for task in iterate(settled):
            if deadline is not None and time.monotonic() >= deadline:
                engine.release_tasks([task.ref], using=using)
                return False, count
            outcome = _run_limited(task, resolve, using, None if run is None else deadline)
            count += 1
            if outcome is None:
                return False, count
            settled = _settle(outcome, worker, run, using)
            if on_tick is not None:
                on_tick()


def _claim(worker: int, claim: int, run: UUID | None, using: str) -> Settled:
    while True:
        try:
            with _savepoint(using):
                return engine.settle_and_claim(worker, None, claim, 1, using=using, run=run)
        except REFUSED as error:
            call = partial(_in_savepoint, using)
            if not (is_refusal(error) and refuse_messages(worker, call, using=using, run=run)):
                raise


def _settle(outcome: Outcome, worker: int, run: UUID | None, using: str) -> Settled:
    """Settle it, and claim what is next where the same round trip can do that."""
    claim = outcome.task.claim
    if outcome.failure is not None:
        engine.fail_tasks([outcome.failure], using=using)
        return Settled()
    if outcome.settled:
        return Settled()
    try:
        with _savepoint(using):
            results = f"[{outcome.result}]"
            return engine.settle_and_claim(worker, results, claim, 1, using=using, run=run)
    except REFUSED as error:
        if not is_refusal(error):
            raise
    settle_surely([outcome], partial(_in_savepoint, using), using=using)
    return Settled()


def _in_savepoint(using: str, call: Callable[[], T]) -> T:
    with _savepoint(using):
        return call()


def _savepoint(using: str) -> AbstractContextManager[None]:
    """What keeps a refusal from breaking the caller's transaction."""
    return transaction.atomic(using) if connections[using].in_atomic_block else nullcontext()


def _wait(using: str, worker: int, run: UUID | None, deadline: float | None) -> bool:
    """Wait for a task that is due later; False when there is none, or not before the deadline."""
    due = engine.next_visible(worker, using=using, run=run)
    if due is None:
        return False
    if deadline is not None and time.monotonic() + due >= deadline:
        time.sleep(max(0.0, deadline - time.monotonic()))
        return False
    time.sleep(due)
    return True


def _run_limited(
    task: ClaimedTask, resolve: Resolve, using: str, deadline: float | None
) -> Outcome | None:
    """Run one attempt, stopped at its step's timeout; ``None`` if the deadline came before that."""
    limit = float(task.group.timeout)
    if deadline is not None:
        limit = min(limit, max(0.0, deadline - time.monotonic()))
    gate = threading.Lock()
    is_over = False

    def stop() -> None:
        with gate:
            if not is_over:
                target.interrupt()

    timer = threading.Timer(limit, stop)
    timer.daemon = True
    with Target() as target:
        timer.start()
        try:
            outcome = _run(task, resolve, using, target)
            with gate:
                is_over = True
        except StepInterrupted:
            if not connections[using].in_atomic_block:
                # It may have been in the middle of a query.
                drop(connections[using])
            if target.is_outer_struck:
                raise
            return None if limit < task.group.timeout else timed_out(task)
        else:
            return outcome
        finally:
            timer.cancel()


def _run(task: ClaimedTask, resolve: Resolve, using: str, target: Target) -> Outcome:
    try:
        around = Surroundings(using, is_borrowed=True)
        return Attempt(task, around, using=using).run(resolve)
    except StepInterrupted as error:
        if target.is_struck or target.is_outer_struck:
            raise
        return Outcome(task, failure=describe_failure(task, error))  # it has raised it itself
