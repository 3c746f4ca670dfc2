"""What a value of an option must be, each kind of value once. Pure: no ORM.

A value passes as it is or not at all: ``True`` is no number, ``5.0`` and ``"5"`` are no integers.
"""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from pgflow_django import jsonvalue
from pgflow_django.definitions.graph import nearest_names

MAX_JSON_BYTES = 1024 * 1024

_SHOWN = 60


class _Repr(reprlib.Repr):
    """The beginning of a value, in time that does not grow with it."""

    def repr_dict(self, value: dict[Any, Any], level: int) -> str:
        """Show the first keys, as they come: Python's own sorts all of them."""
        return super().repr_dict(dict(islice(value.items(), self.maxdict + 1)), level)


_repr = _Repr()
_repr.maxstring = _repr.maxother = _SHOWN
_repr.maxlevel = 2


def show(value: object) -> str:
    """Anything that a caller may pass, as a message can hold it: cut short, text as in JSON."""
    if isinstance(value, str):
        return json.dumps(
            value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…", ensure_ascii=False
        )
    try:
        text = _repr.repr(value)
    except ValueError:  # an integer of more digits than Python writes out
        return f"a huge {type(value).__name__}"
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}…"


class Rule(Protocol):
    """What a value must be."""

    def fault(self, value: Any) -> str | None:
        """What is wrong with ``value``, as the end of a sentence; ``None`` when it passes."""

    def fix(self, value: Any) -> Any:
        """The value that was probably meant; ``None`` when there is no telling."""


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """An integer within bounds."""

    low: int
    high: int
    unit: str = ""

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if _is_integer(value) and self.low <= value <= self.high:
            return None
        unit = f" {self.unit}" if self.unit else ""
        rule = f"must be a whole number from {self.low:,} to {self.high:,}{unit}"
        return f"is {show(value)}, but {rule}"

    def fix(self, value: Any) -> Any:
        """See ``Rule``: the nearest number within bounds."""
        if isinstance(value, str | float) and re.fullmatch(r"-?[0-9]{1,18}(\.0)?", str(value)):
            value = int(float(value))
        return min(max(value, self.low), self.high) if _is_integer(value) else None


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if isinstance(value, str) and value in self.words:
            return None
        return f"is {show(value)}, but must be {' or '.join(map(show, self.words))}"

    def fix(self, value: Any) -> Any:
        """See ``Rule``: the nearest word."""
        return next(iter(nearest_names(value, self.words)), None)


@dataclass(frozen=True, slots=True)
class Text:
    """Text that PostgreSQL can store."""

    max_length: int

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if not isinstance(value, str):
            return f"is {show(value)}, but must be text"
        if len(value) > self.max_length:
            return f"has {len(value):,} characters, but may have at most {self.max_length:,}"
        return jsonvalue.text_fault(value)

    def fix(self, value: Any) -> Any:  # noqa: ARG002 - nobody knows what text to leave out
        """See ``Rule``."""
        return None


@dataclass(frozen=True, slots=True)
class Name:
    """A name that matches a pattern."""

    pattern: str
    description: str
    reserved: str | None = None

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            return f"is {show(value)}, but must be {self.description}"
        if value == self.reserved:
            return f"is {show(value)}, which is reserved for runs that their caller executes"
        return None

    def fix(self, value: Any) -> Any:  # noqa: ARG002 - a queue or a function is elsewhere too
        """See ``Rule``."""
        return None


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value, or a JSON object only."""

    must_be_object: bool = False

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if self.must_be_object and not isinstance(value, dict):
            return f"is {show(value)}, but must be a JSON object"
        try:
            jsonvalue.encode(value, subject="", not_json=ValueError, limit=MAX_JSON_BYTES)
        except ValueError as error:
            return str(error).strip().rstrip(".")
        return None

    def fix(self, value: Any) -> Any:  # noqa: ARG002 - constants are the author's own
        """See ``Rule``."""
        return None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
