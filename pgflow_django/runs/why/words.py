"""Words that reasons are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pgflow_django.runs.shown_errors import show_error
from pgflow_django.storage.moments import by_the_clock

#: Characters of an error that a sentence has.
_ERROR = 160


def name(word: str, names: Sequence[str], most: int = 3) -> str:
    """``step "a"``; ``steps "a", "b"``; the first few of many."""
    listed = ", ".join(f'"{each}"' for each in names[:most])
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{word}{'s' if len(names) > 1 else ''} {listed}{more}"


def count(number: int, word: str) -> str:
    """``1 task``; ``2,000 tasks``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def lasting(seconds: float) -> str:
    """A length of time, roughly: ``8 s``, ``5 min``, ``3 h``, ``2 d``."""
    for unit, size, most in (("s", 1, 120), ("min", 60, 120), ("h", 3_600, 48)):
        if seconds < size * most:
            return f"{max(0, round(seconds / size)):,} {unit}"
    return f"{round(seconds / 86_400):,} d"


def at(moment: datetime) -> str:
    """The time of day at which something is or was, by the clock of the site."""
    return f"{by_the_clock(moment):%H:%M:%S}"


def on(moment: datetime) -> str:
    """The day and the time at which something is, by the clock of the site."""
    return f"{by_the_clock(moment):%Y-%m-%d %H:%M:%S}"


def error(found: Mapping[str, Any]) -> str:
    """The beginning of an error, on one line, as its reader may see it."""
    shown = show_error(found)
    kind, message = shown.get("error_type") or "Error", shown.get("error_message") or ""
    text = " ".join(f"{kind}: {message}".split())
    return text if len(text) <= _ERROR else f"{text[: _ERROR - 1]}…"
