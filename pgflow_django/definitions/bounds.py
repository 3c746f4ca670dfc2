"""The door for values from anybody: how large and deep one is, and the same in JSON's own types.

Pure. Takes linear time; whatever holds itself, or one part many times, is looked at once a level.
Runs no code of the values: these may be of any class.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from pgflow_django.definitions.problems import Problem
from pgflow_django.jsonvalue import Foreign

#: Of a document: an option's value may have 64 levels, and stands in a step, a list, the document.
MAX_LEVELS = 67
#: Of a document, as JSON: what PostgreSQL holds in one value, as which a draft is stored.
MAX_BYTES = 256 * 1024 * 1024

Excess = Literal["deep", "large"]


class Reading(NamedTuple):
    """A value as it may be handled: of JSON's own types, with a ``Foreign`` for what is none."""

    value: Any
    #: Why it may not be looked at; then ``value`` is as it was given.
    excess: Excess | None = None
    #: Whether there is no ``Foreign`` in it.
    is_json: bool = True

    @property
    def problem(self) -> Problem | None:
        """What keeps it, as a document, from being looked at: it is too deep or too large."""
        if self.excess is None:
            return None
        return too_deep() if self.excess == "deep" else too_large(MAX_BYTES)


def read(value: Any, *, levels: int = MAX_LEVELS, size: int = MAX_BYTES) -> Reading:
    """A value from anybody, which may be too deep, too large, or of any class."""
    measured = _measure(value, levels)
    if measured is None or measured.size > size:
        return Reading(value, "deep" if measured is None else "large")
    if measured.is_plain:
        return Reading(value)
    converter = _Converter()
    return Reading(converter.convert(value), is_json=not converter.has_foreign)


def too_deep() -> Problem:
    """The problem of a document that has too many levels."""
    text = "The document is nested too deeply: the value of an option may have 64 levels."
    return Problem("document_too_deep", "", text)


def too_large(size: int) -> Problem:
    """The problem of a document that has more bytes than ``size``."""
    return Problem(
        "document_too_large",
        "",
        f"The document is larger than {size // 1024:,} KiB. Store what is large elsewhere, and let "
        "params have a reference to it.",
    )


def find_excess(value: Any, *, levels: int = MAX_LEVELS, size: int = MAX_BYTES) -> Excess | None:
    """Whether a value has more levels, or is larger as JSON, than it may be."""
    measured = measure(value, levels)
    if measured is None:
        return "deep"
    return "large" if measured > size else None


def measure(value: Any, levels: int) -> int | None:
    """How large a value is as JSON, at least; ``None`` where it has more levels."""
    measured = _measure(value, levels)
    return None if measured is None else measured.size


class _Measured(NamedTuple):
    size: int
    #: Whether all of it is of JSON's own types, not of classes made of them.
    is_plain: bool


def _measure(value: Any, levels: int) -> _Measured | None:
    size, is_plain = 0, True
    level: dict[int, tuple[Any, int]] = {0: ((value,), 1)}
    for _ in range(levels + 1):
        below: dict[int, tuple[Any, int]] = {}
        for container, times in level.values():
            keys, parts = _open(container)
            own = 0
            for key in keys:
                if type(key) is str:
                    own += len(key)
                else:
                    is_plain = is_plain and _is_plain(key)
            for part in parts:
                own += 1
                kind = type(part)
                if kind is str:
                    own += len(part)
                elif _is_container(kind):
                    is_plain = is_plain and (kind is dict or kind is list or kind is tuple)
                    known = below.get(id(part))
                    below[id(part)] = (part, times + known[1] if known else times)
                else:
                    is_plain = is_plain and _is_plain(part)
            size += own * times
        if not below:
            return _Measured(size, is_plain)
        level = below
    return None


def _open(container: Any) -> tuple[Iterable[Any], Iterable[Any]]:
    """The keys and the parts of a container, whatever its class makes of them."""
    kind = type(container)
    if issubclass(kind, dict):
        return dict.keys(container), dict.values(container)
    return (), (list if issubclass(kind, list) else tuple).__iter__(container)


def _is_container(kind: type) -> bool:
    return kind is dict or kind is list or issubclass(kind, dict | list | tuple)


def _is_plain(value: Any) -> bool:
    """Whether a key or a part that is no container is of one of JSON's own types."""
    kind = type(value)
    return kind is str or kind is int or kind is float or kind is bool or value is None


class _Converter:
    """Makes values of JSON's own types of a value that is not too deep. Hands on what it can."""

    def __init__(self) -> None:
        self.has_foreign = False
        #: What containers have become: one may stand in many places.
        self._known: dict[int, Any] = {}

    def convert(self, value: Any) -> Any:
        if not _is_container(type(value)):
            return self._convert_scalar(value)
        if id(value) not in self._known:
            keys, parts = _open(value)
            inner = [self.convert(part) for part in parts]
            is_dict = issubclass(type(value), dict)
            self._known[id(value)] = (
                dict(zip(map(self._convert_scalar, keys), inner, strict=True)) if is_dict else inner
            )
        return self._known[id(value)]

    def _convert_scalar(self, value: Any) -> Any:
        """A value that is no container, or any key."""
        kind = type(value)
        if _is_plain(value):
            return value
        if issubclass(kind, str):
            return str.__str__(value)
        if issubclass(kind, int):
            return int.__int__(value)
        if issubclass(kind, float):
            return float.__float__(value)
        self.has_foreign = True
        return Foreign(value)
