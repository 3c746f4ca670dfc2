"""The one place around every call of a step function: whatever it does, an outcome comes of it.

Afterwards the process, the thread and its connections are as they were; see ``surroundings``.
"""

from __future__ import annotations

import contextvars
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from pgflow_django import engine, jsonvalue
from pgflow_django.conf import settings
from pgflow_django.context import StepContext
from pgflow_django.engine import TaskGroup
from pgflow_django.exceptions import InvalidOutput
from pgflow_django.registry import RegisteredFunction
from pgflow_django.worker import async_steps, contracted
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.current import mark_attempt
from pgflow_django.worker.outcome import Outcome, StepInterrupted, describe_failure
from pgflow_django.worker.processes import leave_if_forked
from pgflow_django.worker.signalled import raise_if_signalled
from pgflow_django.worker.step_log import StepLog
from pgflow_django.worker.surroundings import Surroundings

logger = logging.getLogger("pgflow_django.steps")

Resolve = Callable[[TaskGroup], RegisteredFunction]


class _Refused(Exception):
    """The claim no longer covers the task: what the step wrote must not be kept."""


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
            if is_inside:
                # The caller's transaction: a failing step must not take it along.
                with transaction.atomic(self._using):
                    return Outcome(self.task, output=self._call(function))
            return Outcome(self.task, output=self._call(function))
        except StepInterrupted:
            raise
        except BaseException as error:  # noqa: BLE001 - no step ends a worker
            raise_if_signalled(error)
            return Outcome(self.task, failure=describe_failure(self.task, error))
        finally:
            self._around.leave()
            if self._context is not None:
                self._close_context()

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
                _settle_or_refuse(outcome, self._using)
        except _Refused:
            return Outcome(self.task, settled=True)
        except StepInterrupted:
            raise
        except BaseException:
            if committed and outcome.settled:
                return outcome
            raise
        return outcome

    def _call(self, function: RegisteredFunction) -> str:
        pid, around = os.getpid(), self._around
        around.begin(is_inside=self._is_inside)
        try:
            output = contextvars.copy_context().run(self._call_function, function)
            leave_if_forked(pid)
            around.check()
        except BaseException:
            leave_if_forked(pid)
            raise
        finally:
            around.end()
        return jsonvalue.encode(
            output,
            subject=f"The output of {self.task.name}",
            not_json=InvalidOutput,
            too_large=partial(InvalidOutput, code="output_too_large"),
            limit=settings.MAX_OUTPUT_BYTES,
        )

    def _call_function(self, function: RegisteredFunction) -> Any:
        mark_attempt(self.task)  # in a copy of the context, so it need not be unmarked
        given: Any = self.task.build_input()
        contract = function.contract
        if contract is not None:
            admit = partial(contract.admit, params=self.task.params_of(given))
            given = contracted.check(admit, given, function, self.task)
        if function.takes_context:
            self._context = self._build_context()
            output = function.function(given, context=self._context)
        else:
            output = function.function(given)
        if hasattr(output, "__await__"):
            output = async_steps.run(output)
        if contract is None:
            return output
        return contracted.check(contract.release, output, function, self.task)

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

    def _close_context(self) -> None:
        if self._context is not None and self.lines is not None:
            self._context.flush()
            self.lines.close()


def _settle_or_refuse(outcome: Outcome, using: str) -> None:
    results = f"[{outcome.result}]"
    if not engine.settle_and_claim(None, results, None, 0, using=using).accepted:
        raise _Refused


@contextmanager
def _guarded_hooks(using: str) -> Iterator[None]:
    """Let what the step registers with ``on_commit`` end neither its attempt nor other hooks."""
    connection = connections[using]
    before = len(connection.run_on_commit)
    yield
    if not connection.in_atomic_block:
        return
    hooks: list[Any] = connection.run_on_commit  # (savepoints, hook, is robust)
    hooks[before:] = [(sids, partial(_call_hook, hook), True) for sids, hook, _ in hooks[before:]]


def _call_hook(hook: Callable[[], Any]) -> None:
    try:
        hook()
    except StepInterrupted:
        raise
    except BaseException as error:
        raise_if_signalled(error)
        name = getattr(hook, "__qualname__", repr(hook))
        logger.exception("the step is completed, but its on_commit hook %s failed", name)
