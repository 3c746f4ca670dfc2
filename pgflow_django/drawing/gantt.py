"""Bars of a timeline as SVG, one for each step: waits, attempts, and how many tasks of a map ran.

Pure: standard library and ``text`` only. A bar has no text in it, so that it can be stretched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from pgflow_django.drawing.states import Status
from pgflow_django.drawing.text import escape_text

#: Units of a bar's drawing, of which it may have any number of pixels.
WIDTH, HEIGHT = 1000, 24
BINS: Final = 120
#: Units that the shortest attempt has, so that somebody sees it.
_LEAST: Final = 3.0
_THIN: Final = 4


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted, in seconds on any clock; "waiting" is drawn thin."""

    status: Status
    since: float
    until: float


def render_bar(
    spans: Sequence[Span], begin: float, end: float, label: str, *, is_map: bool = False
) -> str:
    """Return the bar of a step as an ``<svg>`` with this accessible name.

    Of a map's spans of tasks it draws how many there were at each moment, one path a status.
    """
    scale = WIDTH / max(end - begin, 1e-3)
    alone = [span for span in spans if span.status == "waiting" or not is_map]
    parts = [_render_span(span, begin, scale) for span in alone]
    if is_map:
        tasks = [span for span in spans if span.status != "waiting"]
        parts += _render_density(tasks, begin, scale)
    return (
        f'<svg class="pgf-bar-of" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
        f' role="img" aria-label="{escape_text(label)}">{"".join(parts)}</svg>'
    )


def _render_span(span: Span, begin: float, scale: float) -> str:
    x = max(0.0, (span.since - begin) * scale)
    width = max(_LEAST, (span.until - span.since) * scale)
    height = _THIN if span.status == "waiting" else HEIGHT - 6
    x = min(x, WIDTH - _LEAST)
    return (
        f'<rect class="pgf-t-{span.status}" x="{x:.1f}" y="{(HEIGHT - height) / 2:g}"'
        f' width="{min(width, WIDTH - x):.1f}" height="{height}" rx="2"/>'
    )


def count_in_bins(spans: Iterable[Span], begin: float, seconds: float) -> list[int]:
    """How many of the spans there were in each of the ``BINS`` of so many ``seconds``."""
    changes = [0] * (BINS + 1)
    for span in spans:
        first = _find_bin(span.since - begin, seconds)
        last = max(first, _find_bin(span.until - begin, seconds))
        changes[first] += 1
        changes[last + 1] -= 1
    return list(accumulate(changes))[:BINS]


def _find_bin(offset: float, seconds: float) -> int:
    return min(BINS - 1, max(0, int(offset / seconds)))


def _render_density(spans: Sequence[Span], begin: float, scale: float) -> list[str]:
    """A path a status, on top of one another; the tallest bin is as high as the bar."""
    statuses = sorted({span.status for span in spans}, key=_DRAWN.index)
    seconds = WIDTH / scale / BINS
    counts = {
        status: count_in_bins((s for s in spans if s.status == status), begin, seconds)
        for status in statuses
    }
    most = max((sum(column) for column in zip(*counts.values(), strict=True)), default=0)
    floor, paths, wide = [0.0] * BINS, [], WIDTH / BINS
    for status, found in counts.items():
        path = ""
        for number, count in enumerate(found):
            if not count:
                continue
            height = max(1.5, count * HEIGHT / most)
            top = max(0.0, HEIGHT - floor[number] - height)
            path += f"M{number * wide:.1f} {top:.1f}h{wide:.1f}v{height:.1f}h-{wide:.1f}z"
            floor[number] += height
        paths.append(f'<path class="pgf-t-{status}" d="{path}"/>')
    return paths


#: What fails stands below, where it is seen also if it is rare.
_DRAWN: Final[list[Status]] = [
    *("failed", "retrying", "cancelled", "running", "completed", "skipped", "waiting"),
]
