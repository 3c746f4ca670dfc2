"""Values of options, checked the same way on a command line and in ``call_command``."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pgflow_django.cli.base import BadUsage
from pgflow_django.cli.words import parse_age
from pgflow_django.definitions.graph import did_you_mean, nearest_names

if TYPE_CHECKING:
    from collections.abc import Collection

#: There are dates so long ago, and so far ahead.
_LONGEST: Final = timedelta(days=36_500)


def read_seconds(value: Any, option: str) -> float | None:
    """A number of seconds above 0; ``None`` where none was given."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise BadUsage(f"{option} is {value!r}, but must be a number of seconds.") from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise BadUsage(f"{option} is {value}, but must be above 0 seconds.")
    return seconds


def read_count(value: Any, option: str, least: int = 1) -> int:
    """A whole number, ``least`` or more."""
    try:
        count = int(value)
    except (TypeError, ValueError):
        raise BadUsage(f"{option} is {value!r}, but must be a whole number.") from None
    if not least <= count < 2**31:
        raise BadUsage(f"{option} is {value}, but must be {least} or more.")
    return count


def read_age(value: str, option: str) -> timedelta:
    """A length of time like ``30d``."""
    try:
        age = parse_age(str(value))
    except (ValueError, OverflowError):
        age = None
    if age is None or age > _LONGEST:
        raise BadUsage(
            f"{option} is {value!r}, but must be a length of time: 30d, 12h, 1d12h "
            f"(w, d, h, m, s), at most {_LONGEST.days}d."
        )
    return age


def read_words(value: str | None, option: str, words: Collection[str]) -> list[str]:
    """Some of ``words``, separated by commas; none where none were given."""
    if value is None:
        return []
    found = [word.strip() for word in str(value).split(",") if word.strip()]
    if not found:
        raise BadUsage(f"{option} needs one of {', '.join(words)}.")
    for word in found:
        if word not in words:
            hint = did_you_mean(nearest_names(word, words, limit=1))
            raise BadUsage(f'{option} knows {", ".join(words)}, but not "{word}".{hint}')
    return found
