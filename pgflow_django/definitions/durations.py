"""Lengths of time as people write them. Pure, without Django."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "min": 60, "s": 1}
#: Longer words for the same; each stands for the unit that it begins with.
_WORDS: Final = re.compile(r"\b(week|day|hour|minute|min|second|sec)s?\b", re.IGNORECASE)
_LENGTH: Final = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?(?:w|d|h|min|m|s))+", re.ASCII)
_PART: Final = re.compile(r"([\d.]+)(w|d|h|min|m|s)", re.ASCII)


def parse_seconds(text: str) -> float:
    """``30d``, ``12h``, ``1d12h``, ``0s`` in seconds; raises ``ValueError``."""
    if not _LENGTH.fullmatch(text):
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def guess_seconds(text: str) -> float | None:
    """The same of what is written more freely: ``60 s``, ``5 Minutes``; ``None`` if it is none."""
    if len(text) > 40:
        return None
    spaced = re.sub(r"(?<=\d)(?=[a-zA-Z])", " ", text.lower())
    short = _WORDS.sub(lambda found: found[1][0], spaced)
    # Numbers side by side stay apart: "1 2 m" says nothing.
    length = re.sub(r"(?<=\d)\s+(?=[a-z])|(?<=[a-z])\s+(?=\d)", "", short.strip())
    units = [_UNITS[unit] for _, unit in _PART.findall(length)]
    if not _LENGTH.fullmatch(length) or units != sorted(set(units), reverse=True):
        return None
    return parse_seconds(length)
