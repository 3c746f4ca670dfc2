"""How an attempt ended, as data. What describes an error can itself raise: nothing here does."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TypeVar

from pgflow_django import jsonvalue
from pgflow_django.exceptions import (
    ContractBroken,
    InvalidOutput,
    PermanentFailure,
    RetryAfter,
    StepInterrupted,
    StepTimeout,
)
from pgflow_django.logs import extra_of
from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.processes import leave_if_forked

logger = logging.getLogger("pgflow_django.steps")

T = TypeVar("T")

#: Characters of an error's type, message and traceback that are stored.
_TYPE_LIMIT: Final = 200
_MESSAGE_LIMIT: Final = 10_000
_TRACEBACK_LIMIT: Final = 20_000
#: Bytes of the places at which a value broke a contract.
_PLACES_LIMIT: Final = 20_000
#: Characters of one line of a traceback: its last one holds the message.
_LINE_LIMIT: Final = 2_000
#: Characters of an output whose size is told along with it.
_LARGE: Final = 64 * 1024
#: Seconds that a step may put its next attempt off: more than anybody means, and a valid time.
_MAX_DELAY: Final = 366 * 24 * 3600.0
#: Modules whose frames above the step function nobody wants to see.
_OURS: Final = ("pgflow_django.worker.", "asgiref.", "asyncio.", "concurrent.futures.")


@dataclass(slots=True)
class Outcome:
    """How an attempt ended: ``output`` as JSON text, or ``failure`` as ``fail_tasks`` takes it.

    ``settled`` when the attempt's own transaction has settled it already (``atomic=True``): only
    after that is certain to be committed.
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
        size = f'"z":{jsonvalue.stored_size(output)},' if len(output) > _LARGE else ""
        return (
            f'{{"r":"{group.run_id}","s":"{group.step_slug}","i":{task.index},'
            f'"c":{task.claim},{link}{size}"o":{output}}}'
        )


def describe_failure(
    task: ClaimedTask, error: BaseException, *, code: str = "step_failed"
) -> dict[str, Any]:
    """A failed attempt as ``fail_tasks`` takes it; the log tells of it, too. Raises nothing."""
    is_permanent = safely(lambda: _is_permanent(error), False)
    name = safely(lambda: str.__str__(type(error).__name__), "an exception without a name")
    text = safely(lambda: jsonvalue.text_of(error), "<its message can't be shown>")
    message = jsonvalue.storable_text(text, limit=_MESSAGE_LIMIT)
    error_type = jsonvalue.storable_text(name, limit=_TYPE_LIMIT)
    is_last = is_permanent or task.attempt >= task.group.max_attempts
    # Handlers write the exception's own text, too: not one that no file can hold.
    shown = error if message == text else None
    safely(lambda: _log_failure(task, shown, error_type, message, is_last=is_last), None)
    places: Sequence[Any] = safely(lambda: _places_of(error), ())
    return {
        **task.ref,
        **({"problems": places} if places else {}),
        "code": safely(lambda: _code_of(error), None) or code,
        "error_type": error_type,
        "error_message": message,
        "traceback": jsonvalue.storable_text(safely(lambda: _own_traceback(error), "")),
        "permanent": is_permanent,
        "delay": safely(lambda: _delay_of(error), None),
    }


def safely(call: Callable[[], T], otherwise: T) -> T:
    """Give what a call gives, or ``otherwise`` whatever it raises, in this process."""
    pid = os.getpid()
    try:
        value = call()
    except StepInterrupted:
        raise
    except BaseException:  # noqa: BLE001 - a step's exception may raise anything where it is asked
        value = otherwise
    leave_if_forked(pid)
    return value


def timed_out(task: ClaimedTask) -> Outcome:
    """How an attempt has ended that was stopped at its step's timeout."""
    group = task.group
    error = StepTimeout(
        f'step "{group.step_slug}" ran longer than its timeout of {group.timeout} s'
    )
    return Outcome(task, failure=describe_failure(task, error, code="step_timeout"))


def _is_permanent(error: BaseException) -> bool:
    """Whether the same function would fail in the same way again."""
    if isinstance(error, ContractBroken):
        return bool(error.is_permanent)
    return isinstance(error, PermanentFailure | InvalidOutput)


def _code_of(error: BaseException) -> str | None:
    if isinstance(error, InvalidOutput | ContractBroken) and isinstance(error.code, str):
        return jsonvalue.storable_text(str.__str__(error.code), limit=_TYPE_LIMIT)
    return None


def _places_of(error: BaseException) -> Sequence[Any]:
    if type(error) is not ContractBroken:
        return []
    places, _ = jsonvalue.storable(list(error.problems), limit=_PLACES_LIMIT)
    return places if isinstance(places, list) else [places]


def _delay_of(error: BaseException) -> float | None:
    if not isinstance(error, RetryAfter) or error.seconds is None:
        return None
    seconds = float(error.seconds)
    # "0.0 <" is false for NaN, too.
    return min(seconds, _MAX_DELAY) if seconds > 0.0 else 0.0


def _log_failure(
    task: ClaimedTask, error: BaseException | None, error_type: str, message: str, *, is_last: bool
) -> None:
    logger.log(
        logging.ERROR if is_last else logging.INFO,
        "%s.%s[%s] attempt %s of %s failed: %s: %s",
        task.group.workflow_slug,
        task.group.step_slug,
        task.index,
        task.attempt,
        task.group.max_attempts,
        error_type,
        message,
        exc_info=error and (type(error), error, _own_frames(error)),
        extra=extra_of(task),
    )


def _own_traceback(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(type(error), error, _own_frames(error))).split("\n")
    text = "\n".join(jsonvalue.cut(line, _LINE_LIMIT) for line in lines)
    return text if len(text) <= _TRACEBACK_LIMIT else "…" + text[-_TRACEBACK_LIMIT:]


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback without our frames above the step function; none where it was not called."""
    if type(error) is ContractBroken:
        return None
    frame = error.__traceback__
    while frame is not None and _is_ours(frame):
        frame = frame.tb_next
    return frame or error.__traceback__


def _is_ours(frame: TracebackType) -> bool:
    name = frame.tb_frame.f_globals.get("__name__")
    return isinstance(name, str) and f"{name}.".startswith(_OURS)
