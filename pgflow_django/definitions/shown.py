"""JSON values as a message can hold them: cut short, in time that does not grow with them. Pure."""

from __future__ import annotations

import json
from typing import Any

from pgflow_django.definitions.rules import Repr, show


class _JsonRepr(Repr):
    """The beginning of a value in the words of JSON, not of Python."""

    def repr1(self, x: Any, level: int) -> str:
        """Show any value."""
        if x is None or isinstance(x, bool):
            return json.dumps(x)
        return show(x) if isinstance(x, str) else super().repr1(x, level)


_repr = _JsonRepr()


def show_json(value: object) -> str:
    """A JSON value, as ``show`` shows those of Python: ``null``, ``true``, ``{"a": [1]}``."""
    try:
        return _repr.repr(value)
    except ValueError:  # an integer of more digits than Python writes out
        return show(value)
