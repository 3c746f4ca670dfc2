"""From layers and levels to pixels: the extent of each rank along the flow, in one direction.

Imports only the standard library and the sibling modules below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pgflow_django.drawing import cards
from pgflow_django.drawing.coordinates import place_across
from pgflow_django.drawing.ordering import Edge, Layering
from pgflow_django.drawing.routes import Direction, Point, orient

DIRECTIONS: tuple[Direction, ...] = ("LR", "TB")  # the first wins a tie

CARD_MARGIN, BEND_REACH = 12, 6  # half the distance between cards, between lines
#: Centers stand on multiples of this: a step that is added would move all others by a pixel or two,
#: and pages draw anew what has moved. A parent can stand in the middle of two children.
GRID = BEND_REACH
RANK_GAPS: dict[Direction, int] = {"LR": 64, "TB": 56}
#: Steep curves get more room to turn, in so few sizes that it seldom changes.
STEEP, STEEP_SHARE, EXTRA_GAP, MAX_EXTRA_GAP = 300, 0.06, 36, 108
FIRST_LANE, LANE_STEP, LANE_COUNT = 24, 8, 16  # where edges go around the drawing


@dataclass(frozen=True, slots=True)
class Frame:
    """A flow in one direction: each rank's extent along it, each vertex's center across it."""

    direction: Direction
    ranks: Sequence[int]
    widths: list[int]
    starts: list[int]
    ends: list[int]
    centers: list[int]
    lanes: dict[Edge, int]
    length: int
    breadth: int

    @property
    def size(self) -> Point:
        """Width and height of the drawing."""
        return orient(self.length, self.breadth, self.direction)

    def find_box(self, step: int) -> tuple[int, int, int, int]:
        """Return x, y, width and height of a step's card."""
        start, center, width = self.starts[self.ranks[step]], self.centers[step], self.widths[step]
        half = (cards.HEIGHT if self.direction == "LR" else width) // 2
        return *orient(start, center - half, self.direction), width, cards.HEIGHT

    def find_route(self, edge: Edge, bends: Sequence[int]) -> list[Point]:
        """Return an edge's points (along, across), past ``bends`` or along its lane."""
        source, target = edge
        first, last = self.ranks[source], self.ranks[target]
        points = [(self.ends[first], self.centers[source])]
        if edge in self.lanes:
            lane = self.lanes[edge]
            points += [(self.starts[first + 1], lane), (self.ends[last - 1], lane)]
        for rank, bend in enumerate(bends, start=first + 1):
            level = self.centers[bend]
            points += [(self.starts[rank], level), (self.ends[rank], level)]
        points.append((self.starts[last], self.centers[target]))
        return points


def build_frame(
    layering: Layering, ranks: Sequence[int], widths: Sequence[int], direction: Direction
) -> Frame:
    """Return the frame of a layered flow whose cards want these widths.

    From left to right, the cards of a rank are equally wide: columns with straight edges.
    """
    sizes = [cards.HEIGHT] * len(layering.layers)
    if direction == "LR":
        for step, rank in enumerate(ranks):
            sizes[rank] = max(sizes[rank], widths[step])
        widths = [sizes[rank] for rank in ranks]
        halves = [cards.HEIGHT // 2] * len(ranks)
    else:
        halves = [width // 2 for width in widths]
    centers, breadth = _find_centers(layering, halves)
    lanes = {
        edge: breadth + FIRST_LANE + LANE_STEP * (index % LANE_COUNT)
        for index, edge in enumerate(layering.detours)
    }
    starts = _stack_ranks(layering, sizes, centers, direction)
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    return Frame(
        direction=direction,
        ranks=ranks,
        widths=list(widths),
        starts=starts,
        ends=ends,
        centers=centers,
        lanes=lanes,
        length=ends[-1] if ends else 0,
        breadth=max(lanes.values(), default=breadth),
    )


def estimate_size(layering: Layering, widths: Sequence[int], direction: Direction) -> Point:
    """Return about the width and height that a frame would have, from its fullest layer."""
    wide = direction == "LR"
    length, breadth = 0, 0
    for layer in layering.layers:
        steps = [vertex for vertex in layer if vertex < layering.step_count]
        size = max(widths[step] for step in steps) if wide else cards.HEIGHT
        length += size + RANK_GAPS[direction]
        taken = 2 * BEND_REACH * (len(layer) - len(steps)) + 2 * CARD_MARGIN * len(steps)
        taken += sum(cards.HEIGHT if wide else widths[step] for step in steps)
        breadth = max(breadth, taken)
    return orient(length, breadth, direction)


def _find_centers(layering: Layering, halves: list[int]) -> tuple[list[int], int]:
    """Return whole-numbered centers, from 0 on, and the breadth that they take."""
    halves = halves + [0] * (len(layering.above) - len(halves))
    reach = [_find_reach(half) for half in halves]
    centers = [GRID * math.floor(center / GRID) for center in place_across(layering, reach)]
    low = min(map(int.__sub__, centers, halves), default=0)
    high = max(map(int.__add__, centers, halves), default=0)
    return [center - low for center in centers], high - low


def _find_reach(half: int) -> int:
    """Return how far from its center a vertex keeps others away.

    The distance of any two is a multiple of the grid, which leaves it as it is.
    """
    return GRID * math.ceil((half + CARD_MARGIN) / GRID) if half else BEND_REACH


def _stack_ranks(
    layering: Layering, sizes: list[int], centers: list[int], direction: Direction
) -> list[int]:
    """Return where each rank starts along the flow: the steeper the edges, the wider the gap."""
    starts, start = [], 0
    for size, layer in zip(sizes, layering.layers, strict=True):
        starts.append(start)
        rise = max(
            (
                abs(centers[vertex] - centers[child])
                for vertex in layer
                for child in layering.below[vertex]
            ),
            default=0,
        )
        extra = min(max(rise - STEEP, 0) * STEEP_SHARE, MAX_EXTRA_GAP)
        start += size + RANK_GAPS[direction] + EXTRA_GAP * round(extra / EXTRA_GAP)
    return starts
