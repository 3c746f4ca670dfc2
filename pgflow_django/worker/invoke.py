"""Calls one step function and turns whatever it does into data: an output or a failure."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from uuid import UUID

from django.db import Error, connections, transaction
from psycopg.pq import TransactionStatus

from pgflow_django import engine, jsonvalue
from pgflow_django.conf import settings
from pgflow_django.context import StepContext
from pgflow_django.exceptions import InvalidOutput, PermanentFailure, RetryAfter
from pgflow_django.logs import extra_of
from pgflow_django.registry import RegisteredFunction
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.current import inside_attempt

logger = logging.getLogger("pgflow_django.steps")

_TRACEBACK_LIMIT = 20_000
#: Characters of an output whose size is told along with it.
_LARGE = 64 * 1024
#: Seconds that a step may put its next attempt off: more than anybody means, and a valid time.
_MAX_DELAY = 366 * 24 * 3600.0


class StepInterrupted(BaseException):
    """Raised into a thread to stop its step function; no ``except Exception`` swallows it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: ``output`` as JSON text, or ``failure`` as ``fail_tasks`` takes it.

    ``settled`` when the attempt's own transaction has settled it already (``atomic=True``).
    """

    task: ClaimedTask
    output: str | None = None
    failure: dict[str, Any] | None = None
    settled: bool = False

    @property
    def result(self) -> str:
        """The task with its output, as ``settle_and_claim`` takes it: JSON text."""
        task, group = self.task, self.task.group
        link = f'"v":{group.version_id},"n":"{group.next}",' if group.next else ""
        output = self.output or "null"
        size = f'"z":{len(output)},' if len(output) > _LARGE else ""
        return (
            f'{{"r":"{group.run_id}","s":"{group.step_slug}","i":{task.index},'
            f'"c":{task.claim},{link}{size}"o":{output}}}'
        )


def invoke(task: ClaimedTask, function: RegisteredFunction, *, using: str) -> Outcome:
    """Run one attempt. Raises nothing but ``StepInterrupted`` and ``KeyboardInterrupt``."""
    try:
        if function.atomic:
            return _invoke_atomic(task, function, using)
        if connections[using].in_atomic_block:
            # The caller's transaction: a failing step must not take it along.
            with transaction.atomic(using):
                return Outcome(task, output=_call(task, function, using))
        return Outcome(task, output=_call(task, function, using))
    except (StepInterrupted, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit of a step must not end a worker
        return Outcome(task, failure=describe_failure(task, error))
    finally:
        _mend_connection(using)


class _Refused(Exception):
    """The claim no longer covers the task: what the step wrote must not be kept."""


def _invoke_atomic(task: ClaimedTask, function: RegisteredFunction, using: str) -> Outcome:
    """Run the step in the transaction that completes its task."""
    try:
        with transaction.atomic(using):
            outcome = Outcome(task, output=_call(task, function, using), settled=True)
            _settle_or_refuse(outcome, using)
    except _Refused:
        return Outcome(task, settled=True)
    return outcome


def _settle_or_refuse(outcome: Outcome, using: str) -> None:
    results = f"[{outcome.result}]"
    if not engine.settle_and_claim(None, results, None, 0, using=using).accepted:
        raise _Refused


def _call(task: ClaimedTask, function: RegisteredFunction, using: str) -> str:
    group = task.group
    with inside_attempt(task):
        output = _call_function(task, function, using)
    where = f'step "{group.step_slug}" of flow "{group.workflow_slug}"'
    if group.step_type == "map":
        where += f", task {task.index}"
    return jsonvalue.encode(
        output,
        subject=f"The output of {where}",
        not_json=InvalidOutput,
        too_large=_too_large,
        limit=settings.MAX_OUTPUT_BYTES,
    )


def _call_function(task: ClaimedTask, function: RegisteredFunction, using: str) -> Any:
    if not function.takes_context:
        return _wait_for(function.function(task.build_input()))
    context = build_context(task, using)
    try:
        output = _wait_for(function.function(task.build_input(), context=context))
    except Exception:
        with suppress(Error):  # the function's own error is the one that counts
            context.flush()
        raise
    with suppress(Error):
        context.flush()
    return output


def _wait_for(output: Any) -> Any:
    return asyncio.run(output) if inspect.iscoroutine(output) else output


def _too_large(message: str) -> InvalidOutput:
    return InvalidOutput(message, code="output_too_large")


def build_context(task: ClaimedTask, using: str) -> StepContext:
    """The second argument of a step function that asks for it."""
    group = task.group
    return StepContext(
        run_id=UUID(group.run_id),
        workflow_slug=group.workflow_slug,
        step_slug=group.step_slug,
        task_index=task.index,
        attempt=task.attempt,
        max_attempts=group.max_attempts,
        deadline=time.monotonic() + group.timeout,
        using=using,
    )


def describe_failure(
    task: ClaimedTask, error: BaseException, *, code: str = "step_failed"
) -> dict[str, Any]:
    """A failed attempt as ``fail_tasks`` takes it; the log tells of it, too."""
    if isinstance(error, InvalidOutput):
        code = error.code
    # The same function would return the same value again.
    is_permanent = isinstance(error, PermanentFailure | InvalidOutput)
    _log_failure(task, error, is_last=is_permanent or task.attempt >= task.group.max_attempts)
    return {
        **task.ref,
        "code": code,
        "error_type": type(error).__name__,
        "error_message": storable(_text(error)),
        "traceback": storable(_own_traceback(error)),
        "permanent": is_permanent,
        # "0.0 <" is false for NaN, too.
        "delay": (min(error.seconds, _MAX_DELAY) if error.seconds > 0.0 else 0.0)
        if isinstance(error, RetryAfter)
        else None,
    }


def _log_failure(task: ClaimedTask, error: BaseException, *, is_last: bool) -> None:
    logger.log(
        logging.ERROR if is_last else logging.INFO,
        "%s.%s[%s] attempt %s of %s failed: %s: %s",
        task.group.workflow_slug,
        task.group.step_slug,
        task.index,
        task.attempt,
        task.group.max_attempts,
        type(error).__name__,
        _text(error),
        exc_info=(type(error), error, _own_frames(error)),
        extra=extra_of(task),
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # noqa: BLE001 - whatever the exception's own __str__ raises
        return f"<its message can't be shown: {type(fault).__name__}>"


def _own_traceback(error: BaseException) -> str:
    text = "".join(traceback.format_exception(type(error), error, _own_frames(error)))
    return text if len(text) <= _TRACEBACK_LIMIT else "…" + text[-_TRACEBACK_LIMIT:]


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback without our frames above the step function."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_globals.get("__name__") == __name__:
        frame = frame.tb_next
    return frame or error.__traceback__


def storable(text: str) -> str:
    """The text without what PostgreSQL can't store."""
    return text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _mend_connection(using: str) -> None:
    """Undo what a step left open on the connection, so that settling commits."""
    connection = connections[using]
    if connection.in_atomic_block or connection.connection is None:
        return
    # Django does not know of a "begin" that went through a cursor.
    is_idle = connection.connection.info.transaction_status == TransactionStatus.IDLE
    if not connection.get_autocommit() or not is_idle:
        connection.close()
