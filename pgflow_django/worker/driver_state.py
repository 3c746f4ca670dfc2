"""What a driver's connection keeps on this side, sent to no server: how it reads, writes, begins.

A step may have changed it, and used nothing that tells: looking costs a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
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
#: Who hears of notices: lists.
_handlers = attrgetter("_notice_handlers", "_notify_handlers")
#: How types are adapted: by format, a dict.
_maps = attrgetter("_dumpers", "_dumpers_by_oid", "_loaders")
_OWN: Final = ("_own_dumpers", "_own_dumpers_by_oid", "_own_loaders")


class DriverState:
    """How a driver's connection is to stand whenever a step has ended."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._adapters = raw.adapters  # a property, which takes longer
        _share(self._adapters)
        self._values = _values(raw)
        self._unlocked = _unlocked(raw)
        self._handlers = tuple(map(copy, _handlers(raw)))
        self._maps = tuple(map(copy, _maps(self._adapters)))

    def is_untouched(self) -> bool:
        """Whether nothing was set that the driver's lock does not tell of."""
        return bool(
            _unlocked(self._raw) == self._unlocked
            and _handlers(self._raw) == self._handlers
            and _maps(self._adapters) == self._maps
        )

    def is_as_before(self) -> bool:
        """Whether all of it is."""
        return bool(_values(self._raw) == self._values) and self.is_untouched()

    def restore(self) -> None:
        """Put it back. Raises the driver's errors, where its transaction does not allow it."""
        for name, before in zip(_NAMES, self._values[1:], strict=True):
            if name not in _OF_TRANSACTIONS or getattr(self._raw, name) != before:
                setattr(self._raw, name, before)
        for handlers, kept in zip(_handlers(self._raw), self._handlers, strict=True):
            handlers[:] = kept
        for maps, one_by_one in zip(_maps(self._adapters), self._maps, strict=True):
            for key in _keys(maps):
                maps[key] = one_by_one[key]
        _share(self._adapters)


def _keys(holder: Any) -> Iterable[Any]:
    return list(holder) if isinstance(holder, dict) else range(len(holder))


def _share(adapters: Any) -> None:
    """Have the driver copy what says how types are adapted before it changes it.

    It does that where others share it. So a change is seen by what is another object afterwards.
    """
    for name in _OWN:
        holder = getattr(adapters, name)
        for key in _keys(holder):
            holder[key] = False
