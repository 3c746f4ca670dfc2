"""What a driver's connection keeps on this side, sent to no server: how it reads, writes, begins.

A step may have changed it, and used nothing that tells: looking costs a microsecond.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

#: What statements look like, whichever come next. (Autocommit belongs to Django's connection.)
_NAMES: Final = (
    "row_factory",
    "cursor_factory",
    "server_cursor_factory",
    "prepare_threshold",
    "prepared_max",
    "isolation_level",
    "read_only",
    "deferrable",
)
#: Those of them that only a connection outside a transaction lets go of; the driver takes its lock
#: to set them, which is seen as a use of the connection.
_OF_TRANSACTIONS: Final = frozenset({"isolation_level", "read_only", "deferrable"})
_values = attrgetter("closed", *_NAMES)
_unlocked = attrgetter("closed", *(name for name in _NAMES if name not in _OF_TRANSACTIONS))
_HANDLERS: Final = ("_notice_handlers", "_notify_handlers")
_MAPS: Final = ("_dumpers", "_dumpers_by_oid", "_loaders")


class DriverState:
    """How a driver's connection is to stand whenever a step has ended."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._values = _values(raw)
        self._unlocked = _unlocked(raw)
        self._handlers = [list(getattr(raw, name, ())) for name in _HANDLERS]
        self._maps = [_copy(getattr(raw.adapters, name, {})) for name in _MAPS]

    def is_untouched(self) -> bool:
        """Whether nothing was set that the driver's lock does not tell of."""
        return bool(_unlocked(self._raw) == self._unlocked)

    def is_as_before(self) -> bool:
        """Whether it is, as far as can be told without looking at how it adapts types."""
        return bool(_values(self._raw) == self._values)

    def adapts_as_before(self) -> bool:
        """Whether nothing was registered with it: types, and who hears of notices."""
        raw = self._raw
        if self._handlers != [list(getattr(raw, name, ())) for name in _HANDLERS]:
            return False
        return self._maps == [_copy(getattr(raw.adapters, name, {})) for name in _MAPS]

    def restore(self) -> None:
        """Put it back. Raises the driver's errors, where its transaction does not allow it."""
        for name, before in zip(_NAMES, self._values[1:], strict=True):
            if name not in _OF_TRANSACTIONS or getattr(self._raw, name) != before:
                setattr(self._raw, name, before)
        for name, handlers in zip(_HANDLERS, self._handlers, strict=True):
            if hasattr(self._raw, name):
                getattr(self._raw, name)[:] = handlers
        for name, maps in zip(_MAPS, self._maps, strict=True):
            if hasattr(self._raw.adapters, name):
                _put_back(getattr(self._raw.adapters, name), maps)


def _copy(maps: Any) -> Any:
    """Of a dict of dicts, or a list of them."""
    items = maps.items() if isinstance(maps, dict) else enumerate(maps)
    return {key: dict(value) for key, value in items}


def _put_back(maps: Any, copies: dict[Any, dict[Any, Any]]) -> None:
    for key, copy in copies.items():
        if maps[key] != copy:
            # A new one: the driver may share the old one with other connections.
            maps[key] = dict(copy)
