"""What an explanation of a run says, and how little room it takes.

Pure but for the names of moments: ``explaining`` reads the database and fills these in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pgflow_django.runs.waiting import Waiting
from pgflow_django.runs.why.reason import Reason
from pgflow_django.storage.moments import with_zone

#: Names of steps, queues and functions that are told of each.
MAX_NAMES = 8
#: Bytes that an explanation takes at most as JSON.
SIZE = 16_000


@dataclass(frozen=True, slots=True)
class Cause:
    """What a run ended with. ``problems`` are the places at which a value broke a contract.

    ``input_keys`` are the keys of the dict that the function got, the first of them.
    """

    code: str
    message: str
    step: str | None = None
    function: str | None = None
    task_index: int | None = None
    attempt: int | None = None
    error_type: str = ""
    traceback: str = ""
    worker: str = ""
    input_keys: tuple[str, ...] = ()
    problems: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that failed; without ``retry_at`` it was the last one."""

    step: str
    task_index: int
    attempt: int
    code: str
    error_type: str
    message: str
    worker: str
    ended_at: datetime
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Slow:
    """A step that took long: seconds from its start to its end."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Changed:
    """How the flow differs from the version that completed last, before this run."""

    version: int
    changes: tuple[str, ...]
    changes_total: int


@dataclass(frozen=True, slots=True)
class SameError:
    """How many of the flow's runs before this one failed with the same error, and since when."""

    runs: int
    first: datetime


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do next: a command for a person, a ``tool`` with ``arguments`` for a program.

    Either is empty where there is none. ``certain``: it can be done at once, and nothing else need
    be.
    """

    command: str
    why: str
    certain: bool = False
    tool: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run stands as it does, and what to do next: one shape for every status.

    ``is_trial``: it only tries a draft. ``reasons`` are all there are, the most urgent first.
    ``cause`` is what it failed with or was cancelled for, ``waiting`` what it waits for while it
    goes on. ``attempts`` are the last that failed, oldest first: of the task that the run failed
    with, else of any; ``attempts_total`` counts them all. ``cancelled`` names the first of the
    steps that were never done, ``completed`` counts those that need nothing more; ``slowest`` are
    the steps of a completed run that took longest.
    """

    run_id: UUID
    flow: str
    version: int
    status: str
    headline: str
    is_trial: bool = False
    cause: Cause | None = None
    attempts: tuple[Attempt, ...] = ()
    attempts_total: int = 0
    cancelled: tuple[str, ...] = ()
    cancelled_total: int = 0
    completed: int = 0
    slowest: tuple[Slow, ...] = ()
    waiting: Waiting | None = None
    changed_since_success: Changed | None = None
    same_error: SameError | None = None
    next: tuple[Action, ...] = ()
    reasons: tuple[Reason, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The explanation as a JSON object of at most 16 KB.

        Of what it waits for, the first names are told; of ``reasons`` as many as have room.
        """
        found: dict[str, Any] = _to_json(self)
        if self.waiting is not None:
            found["waiting"] = {
                **{key: _first(value) for key, value in found["waiting"].items()},
                "message": clip(self.waiting.message, 1_500),
            }
        found["reasons"] = []
        found["reasons"] = _fit(self.reasons, SIZE - len(json.dumps(found)))
        return found


def _fit(reasons: Sequence[Reason], room: int) -> list[dict[str, Any]]:
    """The reasons as JSON objects that take at most so many bytes; with fewer names if need be."""
    told: list[dict[str, Any]] = []
    for reason in reasons:
        for names in (MAX_NAMES, 1):
            row = _to_json(reason)
            row |= {key: value[:names] for key, value in row.items() if isinstance(value, list)}
            row |= {"message": clip(reason.message, 800), "fix": clip(reason.fix, 600)}
            size = len(json.dumps(row)) + 2
            if size <= room:
                break
        else:
            return told
        told.append(row)
        room -= size
    return told


def _first(value: Any) -> Any:
    return value[:MAX_NAMES] if isinstance(value, list) else value


def _to_json(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, UUID):
        return str(value)
    return with_zone(value).isoformat() if isinstance(value, datetime) else value


def clip(text: str, size: int) -> str:
    """The beginning of a text, so that it takes at most so many bytes of JSON."""
    if _weigh(text) <= size:
        return text
    left = size - _weigh("…")
    for position, character in enumerate(text):
        left -= _weigh(character)
        if left < 0:
            return f"{text[:position]}…"
    return text


def clip_start(text: str, size: int) -> str:
    """The end of a text, so that it takes at most so many bytes of JSON."""
    return clip(text[::-1], size)[::-1]


def _weigh(text: str) -> int:
    return len(json.dumps(text)) - 2
