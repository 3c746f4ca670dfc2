"""Settles what has ended, whatever the database says to it.

What it refuses for the data's sake fails the attempt that it belongs to, by name. It never stops
the loop: the next try would be refused as well, and nobody else would be served.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from django.db import DatabaseError

from pgflow_django import engine, jsonvalue
from pgflow_django.exceptions import InvalidOutput
from pgflow_django.storage.sqlstates import sqlstate_of
from pgflow_django.worker.outcome import Outcome, describe_failure
from pgflow_django.worker.patience import is_refusal

logger = logging.getLogger("pgflow_django.worker")

T = TypeVar("T")

#: What says that the database has refused something, if ``is_refusal`` agrees.
REFUSED: Final = (DatabaseError, InvalidOutput)

#: Characters of results that travel in one call: the array that holds them is a value, too, and
#: whoever waits for the thread that settles them waits for all.
LARGE: Final = 4 * 1024 * 1024


class Call(Protocol):
    """Calls something of the engine, and again where trouble passes (see ``patience``)."""

    def __call__(self, call: Callable[[], T], /) -> T:
        """Give what it gives."""
        ...


def settle_surely(done: Sequence[Outcome], call: Call, *, using: str) -> int:
    """Settle outcomes; how many the database refused, which then count as failed attempts.

    Calling it again for the same does no harm: each counts once.
    """
    try:
        call(partial(_settle, done, using))
    except REFUSED as error:
        if not is_refusal(error):
            raise
    else:
        return 0
    return sum(_settle_one(outcome, call, using) for outcome in done)


def refuse_messages(worker: int, call: Call, *, using: str, run: UUID | None = None) -> int:
    """End what can't be claimed, by name; how many messages that were."""
    refused = call(partial(engine.refuse_messages, worker, using=using, run=run))
    for message in refused:
        logger.error(
            "message %s of queue %s can't be claimed, so %s: %s",
            message["msg_id"],
            message["queue"],
            f"run {message['run_id']} has failed" if message["run_id"] else "it was archived",
            message["message"],
        )
    return len(refused)


def failures_of(done: Iterable[Outcome]) -> list[dict[str, Any]]:
    """The failures among outcomes, as ``fail_tasks`` takes them."""
    return [outcome.failure for outcome in done if outcome.failure is not None]


def results_of(done: Iterable[Outcome]) -> list[str]:
    """The results among outcomes, as JSON arrays for ``settle_and_claim``, each of bounded size."""
    parts: list[list[str]] = []
    size = 0
    for outcome in done:
        if outcome.failure is None:
            result = outcome.result
            if not parts or size + len(result) > LARGE:
                parts.append([])
                size = 0
            parts[-1].append(result)
            size += len(result)
    return [f"[{','.join(part)}]" for part in parts]


def _settle(done: Sequence[Outcome], using: str) -> None:
    if failures := failures_of(done):
        engine.fail_tasks(failures, using=using)
    for results in results_of(done):
        engine.settle_and_claim(None, results, None, 0, using=using)


def _settle_one(outcome: Outcome, call: Call, using: str) -> int:
    try:
        call(partial(_settle, [outcome], using))
    except REFUSED as error:
        if not is_refusal(error):
            raise
        refusal = _refusal_of(outcome, error)
        call(partial(engine.fail_tasks, [refusal], using=using))
        return 1
    return 0


def _refusal_of(outcome: Outcome, error: Exception) -> dict[str, Any]:
    """The failure of an attempt whose end the database refuses. The same would be refused again."""
    if isinstance(error, InvalidOutput):
        return describe_failure(outcome.task, error)
    group = outcome.task.group
    what = (
        f'PostgreSQL refused what step "{group.step_slug}" of flow "{group.workflow_slug}" ended '
        f"with: {str(error).strip()} (SQLSTATE {sqlstate_of(error)}). It would refuse the same "
        "again: fix what it names, then retry the run."
    )
    logger.error("%s", what)
    return {
        **outcome.task.ref,
        "code": "database_refused",
        "error_type": "DatabaseRefused",
        "error_message": jsonvalue.storable_text(what),
        "traceback": "",
        "permanent": True,
        "delay": None,
    }
