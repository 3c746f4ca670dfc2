"""Text in diagrams: how wide it is, how it is cut to fit, and how it becomes safe XML.

Imports only the standard library.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

ELLIPSIS = "…"

# Advance widths of " " to "~" in hundredths of an em. DejaVu Sans is the widest of the fonts that
# the diagrams ask for, so what fits by this measure also fits in the others.
# fmt: off
_REGULAR = (
    32, 40, 46, 84, 64, 95, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 54, 100, 69, 69, 70, 78, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79,
    61, 79, 70, 64, 62, 74, 69, 99, 69, 62, 69, 40, 34, 40, 84, 50, 50, 62, 64, 55, 64, 62, 36, 64,
    64, 28, 28, 58, 28, 98, 64, 62, 64, 64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84,
)
_BOLD = (
    35, 46, 53, 84, 70, 101, 88, 31, 46, 46, 53, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70,
    70, 70, 40, 40, 84, 84, 84, 58, 100, 78, 77, 74, 83, 69, 69, 83, 84, 38, 38, 78, 64, 100, 84,
    86, 74, 86, 77, 73, 69, 82, 78, 111, 78, 73, 73, 46, 37, 46, 84, 50, 50, 68, 72, 60, 72, 68, 44,
    72, 72, 35, 35, 67, 35, 105, 72, 69, 72, 72, 50, 60, 48, 72, 66, 93, 65, 66, 59, 72, 37, 72, 84,
)
# fmt: on

# In em: more than nearly every letter, ideograph and pictograph takes; and for marks, which take
# no width, enough that a text of nothing but marks comes to an end.
_OTHER, _MARK = 1.25, 0.1
_MARKS = frozenset({"Mn", "Me", "Cf"})
_INVALID = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


class _Advances(dict[str, float]):
    """Widths by character in em; those outside ASCII are estimated on demand."""

    def __missing__(self, char: str) -> float:
        if unicodedata.category(char) in _MARKS:
            return _MARK
        base = unicodedata.normalize("NFD", char)[0]
        if base != char and base.isascii():
            return self[base]
        return _OTHER * len(unicodedata.normalize("NFKC", char))  # ligatures are several letters


def _tabulate(widths: tuple[int, ...]) -> _Advances:
    table = _Advances({chr(32 + index): width / 100 for index, width in enumerate(widths)})
    table.update({ELLIPSIS: 1.0, "·": 0.38, "\N{NO-BREAK SPACE}": widths[0] / 100})
    return table


@dataclass(frozen=True, slots=True, eq=False)
class Font:
    """A size and weight in which a diagram writes."""

    size: float
    weight: int
    advances: _Advances

    def measure(self, text: str) -> float:
        """Return the width of ``text`` in pixels, rather too much than too little."""
        return self.size * sum(map(self.advances.__getitem__, text))


NAME_FONT = Font(13.5, 600, _tabulate(_BOLD))
NOTE_FONT = Font(11.5, 400, _tabulate(_REGULAR))


def clip_text(text: str, room: float, font: Font) -> str:
    """Return ``text``, or as much of its beginning as fits into ``room`` with an ellipsis."""
    if font.measure(text) <= room:
        return text
    ends = list(accumulate(font.advances[char] for char in text))
    fitting = bisect_right(ends, (room - font.measure(ELLIPSIS)) / font.size)
    return text[:fitting].rstrip() + ELLIPSIS


def clip_dotted_path(path: str, room: float, font: Font) -> str:
    """Return a dotted path cut from the left, whole parts at a time: its end tells the most."""
    rest = path
    while font.measure(rest if rest is path else ELLIPSIS + rest) > room:
        _, dot, shorter = rest.partition(".")
        if not dot:
            return clip_text(rest, room, font)
        rest = shorter
    return rest if rest is path else ELLIPSIS + rest


def shorten(text: str, most: int) -> str:
    """Return ``text``, or its beginning with an ellipsis: at most ``most`` characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + ELLIPSIS


def clean_text(text: str) -> str:
    """Return ``text`` on one line, what XML forbids replaced by the replacement character."""
    return " ".join(_INVALID.sub("\N{REPLACEMENT CHARACTER}", text).split())


def escape_text(text: str) -> str:
    """Return ``text`` cleaned and escaped for an element's content or a quoted attribute."""
    return clean_text(text).translate(_ESCAPES)
