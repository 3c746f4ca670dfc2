"""The one place around every call of a step function: whatever it does, an outcome comes of it.

Afterwards the process, the thread and its connections are as they were; see ``surroundings``.
"""

from __future__ import annotations

import contextvars
import decimal
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections, transaction

from pgflow_django import engine, jsonvalue
from pgflow_django.conf import settings
from pgflow_django.context import StepContext
from pgflow_django.engine import TaskGroup
from pgflow_django.exceptions import (
    DatabaseNotReady,
    InvalidOutput,
    StepInterrupted,
    TransactionMisused,
)
from pgflow_django.registry import RegisteredFunction
from pgflow_django.storage.sqlstates import Remedy, remedy_of
from pgflow_django.worker import async_steps, contracted
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.current import mark_attempt
from pgflow_django.worker.outcome import Outcome, describe_failure, safely
from pgflow_django.worker.processes import leave_if_forked
from pgflow_django.worker.signalled import raise_if_signalled
from pgflow_django.worker.step_log import StepLog
from pgflow_django.worker.surroundings import Surroundings, call_apart

logger = logging.getLogger("pgflow_django.steps")

Resolve = Callable[[TaskGroup], RegisteredFunction]


_REFUSED = (
    "the step's completion was not accepted: its claim was lost, or the step itself has changed "
    "its run or task in its transaction. What it wrote there is rolled back"
)
_UNWRITABLE = (
    "the step returned normally, but its completion could not be written in its transaction, which "
    "is rolled back: a setting of its own, such as SET TRANSACTION READ ONLY, may forbid it: "
)


class _Failed(Exception):
    """The step function has failed; what describes that was asked while it was looked after."""

    def __init__(self, failure: dict[str, Any]) -> None:
        super().__init__()
        self.failure = failure


def _await(output: Awaitable[Any]) -> Any:
    """What comes of it, without the tracers that it leaves."""
    tracer, profiler = sys.gettrace(), sys.getprofile()
    try:
        return async_steps.run(output)
    finally:
        if sys.gettrace() is not tracer:
            sys.settrace(tracer)
        if sys.getprofile() is not profiler:
            sys.setprofile(profiler)


class Attempt:
    """One attempt at a task, in the surroundings that its thread keeps."""

    def __init__(self, task: ClaimedTask, around: Surroundings, *, using: str) -> None:
        self.task = task
        self._around = around
        self._using = using
        self._is_inside = False
        self._context: StepContext | None = None
        #: What it tells of itself; ``None`` of a function that takes no context.
        self.lines: StepLog | None = None

    def run(self, resolve: Resolve) -> Outcome:
        """Run it. Raises ``StepInterrupted``, and nothing else that the step or its error does."""
        try:
            function = resolve(self.task.group)
            is_inside = self._around.connection.in_atomic_block
            self._is_inside = function.atomic or is_inside
            if function.atomic:
                return self._run_atomic(function)
            if self._around.blocks:
                # The caller's transactions: a failing step must not take them along.
                with ExitStack() as savepoints:
                    for alias in self._around.blocks:
                        savepoints.enter_context(_savepoint(alias))
                        savepoints.enter_context(_guarded_hooks(alias))
                    return Outcome(self.task, output=self._call(function))
            return Outcome(self.task, output=self._call(function))
        except StepInterrupted:
            raise
        except _Failed as failed:
            return Outcome(self.task, failure=failed.failure)
        except BaseException as error:  # noqa: BLE001 - no step ends a worker
            raise_if_signalled(error)
            return Outcome(self.task, failure=describe_failure(self.task, error))
        finally:
            self._around.leave()
            if self.lines is not None:
                self.lines.close()

    def _run_atomic(self, function: RegisteredFunction) -> Outcome:
        """Run the step in the transaction that completes its task."""
        committed: list[bool] = []
        outcome = Outcome(self.task)
        try:
            is_nested = connections[self._using].in_atomic_block
            with transaction.atomic(self._using):
                if not is_nested:
                    # The first of the hooks: whatever the others do, this one has been called.
                    transaction.on_commit(partial(committed.append, True), self._using)
                with _guarded_hooks(self._using):
                    output = self._call(function)
                outcome = Outcome(self.task, output=output, settled=True)
                self._settle_or_refuse(outcome)
        except StepInterrupted:
            raise
        except BaseException:
            if committed and outcome.settled:
                return outcome
            raise
        return outcome

    def _settle_or_refuse(self, outcome: Outcome) -> None:
        if not self._around.set_back():
            raise TransactionMisused(f"{_UNWRITABLE}it can't be set back")
        results = f"[{outcome.result}]"
        try:
            if engine.settle_and_claim(None, results, None, 0, using=self._using).accepted:
                return
        except (DatabaseError, DatabaseNotReady) as error:
            if remedy_of(error) in {Remedy.OPERATOR, Remedy.DOUBT}:
                raise TransactionMisused(f"{_UNWRITABLE}{error}") from error
            raise
        if not engine.has_ended_here(outcome.task.group.run_id, using=self._using):
            raise TransactionMisused(_REFUSED)

    def _call(self, function: RegisteredFunction) -> str:
        pid, around = os.getpid(), self._around
        around.begin(is_inside=self._is_inside)
        try:
            output: str = contextvars.copy_context().run(self._give_output, function, pid)
            leave_if_forked(pid)
            around.check()
        except BaseException:
            leave_if_forked(pid)
            raise
        finally:
            around.end()
        return output

    def _give_output(self, function: RegisteredFunction, pid: int) -> str:
        """Give it as JSON text. Code of the step's own may run until that is made."""
        mark_attempt(self.task)  # in a copy of the context, so it need not be unmarked
        decimal.setcontext(decimal.getcontext().copy())  # an object that the context holds
        try:
            return self._call_function(function)
        except StepInterrupted:
            raise
        except BaseException as error:  # noqa: BLE001 - told as data
            leave_if_forked(pid)
            raise_if_signalled(error)
            raise _Failed(describe_failure(self.task, error)) from None
        finally:
            if self._context is not None:
                self._context.flush()

    def _call_function(self, function: RegisteredFunction) -> str:
        given: Any = self.task.build_input()
        contract = function.contract
        if contract is not None:
            admit = partial(contract.admit, params=self.task.params_of(given))
            given = contracted.check(admit, given, function, self.task)
        if function.takes_context:
            self._context = self._build_context()
        tracer, profiler = sys.gettrace(), sys.getprofile()
        try:
            if self._context is not None:
                output = function.function(given, context=self._context)
            else:
                output = function.function(given)
        finally:
            # At once: a tracer of the step's own may raise in whatever is called next.
            if sys.gettrace() is not tracer:
                sys.settrace(tracer)
            if sys.getprofile() is not profiler:
                sys.setprofile(profiler)
        # Of the type: a model of pydantic's takes its time to say that it lacks something.
        if issubclass(type(output), Awaitable):
            output = _await(output)
        if contract is not None:
            output = contracted.check(contract.release, output, function, self.task)
        return jsonvalue.encode(
            output,
            subject=f"The output of {self.task.name}",
            not_json=InvalidOutput,
            too_large=partial(InvalidOutput, code="output_too_large"),
            limit=settings.MAX_OUTPUT_BYTES,
        )

    def _build_context(self) -> StepContext:
        group, run_id = self.task.group, UUID(self.task.group.run_id)
        self.lines = StepLog(
            run_id, group.step_slug, self.task.index, self._using, is_held=self._is_inside
        )
        return StepContext(
            run_id=run_id,
            workflow_slug=group.workflow_slug,
            step_slug=group.step_slug,
            task_index=self.task.index,
            attempt=self.task.attempt,
            max_attempts=group.max_attempts,
            deadline=time.monotonic() + group.timeout,
            _lines=self.lines,
        )


def _savepoint(using: str) -> transaction.Atomic:
    block = transaction.atomic(using)
    # Inside a TestCase a durable block of the step's own is as it is outside.
    block._from_testcase = connections[using].atomic_blocks[-1]._from_testcase  # type: ignore[attr-defined] # noqa: SLF001
    return block


@contextmanager
def _guarded_hooks(using: str) -> Iterator[None]:
    """Let what the step registers with ``on_commit`` end neither its attempt nor other hooks."""
    connection = connections[using]
    before = len(connection.run_on_commit)
    yield
    if not connection.in_atomic_block:
        return
    hooks: list[Any] = connection.run_on_commit  # (savepoints, hook, is robust)
    hooks[before:] = [
        (sids, partial(call_apart, partial(_call_hook, hook), using), True)
        for sids, hook, _ in hooks[before:]
    ]


def _call_hook(hook: Callable[[], Any]) -> None:
    try:
        hook()
    except StepInterrupted:
        raise
    except BaseException as error:
        raise_if_signalled(error)
        name = safely(lambda: jsonvalue.text_of(getattr(hook, "__qualname__", hook)), "")
        logger.exception("the step is completed, but its on_commit hook %s failed", name)
