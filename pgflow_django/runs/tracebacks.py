"""Tracebacks in parts: what the site's own code did, and what libraries did in between. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

_FRAME = re.compile(r'\s+File "([^"]+)", line \d+')
#: Parts of paths of what the site has not written itself.
_FOREIGN = re.compile(
    r"[\\/](?:site-packages|dist-packages|lib[\\/]python3|pgflow_django)[\\/.]|^<"
)


@dataclass(frozen=True, slots=True)
class TracePart:
    """Lines of a traceback that stand together; ``frames`` of them if they are all foreign, or 0.

    ``is_own``: the site's code, or what is no frame: the error itself.
    """

    text: str
    is_own: bool
    frames: int = 0


def split_traceback(text: str) -> list[TracePart]:
    """A traceback in parts, which together are all of it."""
    marked: list[tuple[bool, int, str]] = []
    is_own = True
    for line in text.splitlines(keepends=True):
        frame = _FRAME.match(line)
        if frame:
            is_own = not _FOREIGN.search(frame[1])
        elif not line.startswith("    "):
            is_own = True
        marked.append((is_own, bool(frame), line))
    parts = []
    for is_own, lines in groupby(marked, key=lambda each: each[0]):
        found = list(lines)
        frames = 0 if is_own else sum(is_frame for _, is_frame, _ in found)
        parts.append(TracePart("".join(line for *_, line in found), is_own, frames))
    return parts
