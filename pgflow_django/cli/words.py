"""Numbers, times and durations as people read them. Pure but for the site's time zone."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

from pgflow_django.definitions.durations import parse_seconds
from pgflow_django.storage.moments import by_the_clock

#: Controls that JSON leaves as they are, marks that turn the direction of text, ends of lines.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plural(count: int, word: str, words: str = "") -> str:
    """A number with its noun: ``1 step``, ``1,200 steps``."""
    return f"{count:,} {word if count == 1 else words or f'{word}s'}"


def plain(text: str, kept: str = "\n\t") -> str:
    """Text with spaces for characters that steer a terminal; lines and tabs are ``kept``."""
    return "".join(c if c.isprintable() or c in kept else " " for c in text)


def one_line(text: str) -> str:
    """Text of one line, without line breaks and other characters that steer a terminal."""
    return " ".join(plain(text).split())


def plain_json(text: str) -> str:
    """JSON text with such characters written as JSON escapes them: it says the same."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain_xml(text: str) -> str:
    """The same of XML."""
    return _STEERING.sub(lambda found: f"&#{ord(found[0])};", text)


def shorten(value: object, most: int) -> str:
    """The beginning of a value as JSON."""
    text = plain_json(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters: --json)"


def duration(seconds: float) -> str:
    """A length of time, in as few characters as tell it: ``42 ms``, ``3.2 s``, ``1 min 12 s``."""
    seconds = max(0.0, seconds)
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for unit, size, smaller, part in (
        ("min", 60, "s", 1),
        ("h", 3_600, "min", 60),
        ("d", 86_400, "h", 3_600),
    ):
        if whole < size * (24 if unit == "h" else 60) or unit == "d":
            rest = whole % size // part
            return f"{whole // size:,} {unit}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError("unreachable")


def ago(moment: datetime, now: datetime) -> str:
    """How long ago something was: ``just now``, ``3 min ago``; a date after a month."""
    seconds = (now - moment).total_seconds()
    if seconds >= 30 * 86_400:
        return by_the_clock(moment).strftime("%Y-%m-%d")
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago" if seconds >= 10 else "just now"


def clock(moment: datetime) -> str:
    """Date and time in the site's time zone."""
    return by_the_clock(moment).strftime("%Y-%m-%d %H:%M:%S")


def parse_age(text: str) -> timedelta:
    """``30d``, ``12h``, ``1d12h``, ``0s`` as a length of time; raises ``ValueError``."""
    return timedelta(seconds=parse_seconds(text))


def name_starter(name: str, via: str) -> str:
    """Who started a run, and by which door: ``ann, mcp``; ``""`` where code did."""
    return ", ".join(filter(None, (name, via)))
