"""What a value of an option must be, each kind of value once: in words, as a CHECK, as a control.

Pure: no ORM, though a CHECK is written with its expressions.

A value passes as it is or not at all: ``True`` is no number, ``5.0`` and ``"5"`` are no integers.
"""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from itertools import islice
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from django.db.models import Func, Q, TextField
from django.db.models.functions import Length
from django.db.models.lookups import Exact, LessThanOrEqual

from pgflow_django import jsonvalue
from pgflow_django.definitions.durations import guess_seconds
from pgflow_django.definitions.graph import nearest_names

if TYPE_CHECKING:
    from django.db.models import Lookup

    Condition = Q | Lookup[Any]

MAX_JSON_BYTES = 1024 * 1024

_SHOWN = 60
_LONGEST = 256
_WHOLE = re.compile(r"-?[0-9]{1,18}(\.0)?", re.ASCII)


class Repr(reprlib.Repr):
    """The beginning of a value, in time that does not grow with it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = _SHOWN
        self.maxlevel = 2

    def repr_dict(self, value: dict[Any, Any], level: int) -> str:
        """Show the first keys, as they come: Python's own sorts all of them."""
        return super().repr_dict(dict(islice(value.items(), self.maxdict + 1)), level)


_repr = Repr()


def show(value: object) -> str:
    """Anything that a caller may pass, as a message can hold it: cut short, text as in JSON."""
    if isinstance(value, str):
        return encode_basestring(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
    try:
        text = _repr.repr(value)
    except ValueError:  # an integer of more digits than Python writes out
        return f"a huge {type(value).__name__}"
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}…"


def shorten(text: str) -> str:
    """A name or a pointer as a message can hold it: what is longer than any name is cut."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Unit(NamedTuple):
    """What a number counts: the sign behind it, and the word in a sentence."""

    sign: str
    word: str


SECONDS = Unit("s", "seconds")

#: What a control looks like. Options have those of the first line.
Kind = Literal[
    "integer",
    "name",
    "text",
    "radio",
    "choice",
    "json",
    "string",
    "number",
    "boolean",
    "date",
    "list",
]


@dataclass(frozen=True, slots=True)
class Control:
    """What a value is typed into, and what the control itself keeps out."""

    kind: Kind
    low: int | None = None
    high: int | None = None
    max_length: int | None = None
    words: tuple[str, ...] = ()
    unit: str = ""


class Meant(NamedTuple):
    """The value that was probably meant; ``certain``: it says the same, and so loses nothing."""

    value: Any
    certain: bool


class Rule(Protocol):
    """What a value must be."""

    #: The end of the name of its constraint, a sentence about the ``{column}``.
    keeps: ClassVar[str]

    def describe(self) -> str:
        """What a value must be, as the end of a sentence."""

    def fault(self, value: Any) -> str | None:
        """What is wrong with ``value``, as the end of a sentence; ``None`` when it passes."""

    def fix(self, value: Any) -> Meant | None:
        """The value that was probably meant; ``None`` when there is no telling."""

    def check(self, column: str) -> Condition | None:
        """The condition on a column that PostgreSQL keeps; ``None`` where its type says it all."""

    def control(self) -> Control:
        """What a value is typed into."""


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """An integer within bounds."""

    low: int
    high: int
    unit: Unit | None = None

    keeps: ClassVar[str] = "is_in_range"

    def describe(self) -> str:
        """See ``Rule``."""
        unit = f" ({self.unit.word})" if self.unit else ""
        return f"a whole number from {self.low:,} to {self.high:,}{unit}"

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if _is_integer(value) and self.low <= value <= self.high:
            return None
        return f"is {show(value)}, but must be {self.describe()}"

    def fix(self, value: Any) -> Meant | None:
        """See ``Rule``: what the text says (``"5"``, ``"60s"``), or the nearest within bounds."""
        number = self._read(value)
        if number is None:
            return None
        nearest = min(max(number, self.low), self.high)
        return Meant(nearest, certain=nearest == number)

    def _read(self, value: Any) -> int | None:
        """The whole number that a value says."""
        if _is_integer(value):
            return int(value)
        if isinstance(value, str | float) and _WHOLE.fullmatch(text := str(value).strip()):
            return int(text.partition(".")[0])
        if not isinstance(value, str) or self.unit is not SECONDS:
            return None
        seconds = guess_seconds(value)
        return int(seconds) if seconds is not None and seconds.is_integer() else None

    def check(self, column: str) -> Condition | None:
        """See ``Rule``."""
        return Q(**{f"{column}__range": (self.low, self.high)})

    def control(self) -> Control:
        """See ``Rule``."""
        return Control("integer", self.low, self.high, unit=self.unit.sign if self.unit else "")


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    keeps: ClassVar[str] = "is_known"

    def describe(self) -> str:
        """See ``Rule``."""
        return " or ".join(map(show, self.words))

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if isinstance(value, str) and value in self.words:
            return None
        return f"is {show(value)}, but must be {self.describe()}"

    def fix(self, value: Any) -> Meant | None:
        """See ``Rule``: the word that is written another way (``"Map "``), or the nearest."""
        folded = value.strip().casefold() if isinstance(value, str) else None
        if folded in self.words:
            return Meant(folded, certain=True)
        names = nearest_names(value, self.words)
        return Meant(names[0], certain=False) if names else None

    def check(self, column: str) -> Condition | None:
        """See ``Rule``."""
        return Q(**{f"{column}__in": list(self.words)})

    def control(self) -> Control:
        """See ``Rule``."""
        return Control("radio", words=self.words)


@dataclass(frozen=True, slots=True)
class Text:
    """Text that PostgreSQL can store."""

    max_length: int

    keeps: ClassVar[str] = "is_not_too_long"

    def describe(self) -> str:
        """See ``Rule``."""
        return f"text of at most {self.max_length:,} characters"

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if not isinstance(value, str):
            return f"is {show(value)}, but must be text"
        if len(value) > self.max_length:
            return f"has {len(value):,} characters, but may have at most {self.max_length:,}"
        return jsonvalue.text_fault(value)

    def fix(self, value: Any) -> Meant | None:  # noqa: ARG002 - nobody knows what text to leave out
        """See ``Rule``."""
        return None

    def check(self, column: str) -> Condition | None:
        """See ``Rule``."""
        return LessThanOrEqual(Length(column), self.max_length)

    def control(self) -> Control:
        """See ``Rule``."""
        return Control("text", max_length=self.max_length)


@dataclass(frozen=True, slots=True)
class Name:
    """A name that matches a pattern."""

    pattern: str
    description: str
    max_length: int
    reserved: str | None = None

    keeps: ClassVar[str] = "follows_the_{column}_rule"

    def describe(self) -> str:
        """See ``Rule``."""
        return self.description

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            return f"is {show(value)}, but must be {self.describe()}"
        if value == self.reserved:
            return f"is {show(value)}, which is reserved for runs that their caller executes"
        return None

    def fix(self, value: Any) -> Meant | None:  # noqa: ARG002 - a queue or a function is elsewhere too
        """See ``Rule``."""
        return None

    def check(self, column: str) -> Condition | None:
        """See ``Rule``."""
        matches = Q(**{f"{column}__regex": f"^{self.pattern}$"})
        return matches if self.reserved is None else matches & ~Q(**{column: self.reserved})

    def control(self) -> Control:
        """See ``Rule``."""
        return Control("name", max_length=self.max_length)


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value, or a JSON object only."""

    must_be_object: bool = False

    keeps: ClassVar[str] = "is_an_object"

    def describe(self) -> str:
        """See ``Rule``."""
        return "a JSON object" if self.must_be_object else "a JSON value"

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if self.must_be_object and not isinstance(value, dict):
            return f"is {show(value)}, but must be {self.describe()}"
        try:
            jsonvalue.encode(value, subject="", not_json=ValueError, limit=MAX_JSON_BYTES)
        except ValueError as error:
            return str(error).strip().rstrip(".")
        return None

    def fix(self, value: Any) -> Meant | None:  # noqa: ARG002 - constants are the author's own
        """See ``Rule``."""
        return None

    def check(self, column: str) -> Condition | None:
        """See ``Rule``."""
        if not self.must_be_object:
            return None
        kind = Func(column, function="jsonb_typeof", output_field=TextField())
        return Q(**{f"{column}__isnull": True}) | Q(Exact(kind, "object"))

    def control(self) -> Control:
        """See ``Rule``."""
        return Control("json")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
