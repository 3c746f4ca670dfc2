"""Edges as lines: straight past cards, cubic curves between the ranks.

Points are measured along and across the flow until they are drawn; then a flow from top to bottom
swaps the two. Imports only the standard library.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

Direction = Literal["LR", "TB"]
Point = tuple[int, int]

ARROW_LENGTH, ARROW_HALF = 9, 5


def orient(along: int, across: int, direction: Direction) -> Point:
    """Return a point of the flow as (x, y)."""
    return (along, across) if direction == "LR" else (across, along)


def drop_idle_points(points: Sequence[Point]) -> list[Point]:
    """Return ``points`` (along, across) without those in the middle of a straight line."""
    kept = [points[0]]
    for point, following in pairwise(points[1:]):
        if not kept[-1][1] == point[1] == following[1]:
            kept.append(point)
    kept.append(points[-1])
    return kept


def draw_line(points: Sequence[Point], direction: Direction) -> str:
    """Return the SVG path through ``points`` (along, across), which ends under the arrow head."""
    *before, (end, level) = points
    (along, across), *rest = *before, (end - ARROW_LENGTH + 1, level)
    downwards = direction == "TB"
    path = [f"M{across} {along}" if downwards else f"M{along} {across}"]
    for next_along, next_across in rest:
        if next_across == across:
            line = f"L{next_across} {next_along}" if downwards else f"L{next_along} {next_across}"
        else:
            middle = (along + next_along) // 2
            line = (
                f"C{across} {middle} {next_across} {middle} {next_across} {next_along}"
                if downwards
                else f"C{middle} {across} {middle} {next_across} {next_along} {next_across}"
            )
        path.append(line)
        along, across = next_along, next_across
    return "".join(path)


def draw_arrow(tip: Point, direction: Direction) -> str:
    """Return the SVG path of an arrow head that points along the flow and ends at ``tip``."""
    along, across = tip
    back = along - ARROW_LENGTH
    corners = (back, across - ARROW_HALF), tip, (back, across + ARROW_HALF)
    return _format("M", direction, *corners) + "Z"


def _format(command: str, direction: Direction, *points: Point) -> str:
    if direction == "LR":
        return command + " ".join([f"{along} {across}" for along, across in points])
    return command + " ".join([f"{across} {along}" for along, across in points])
