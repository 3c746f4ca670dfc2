"""Places across the flow: where in its layer each vertex stands, without overlap.

Sweeps pull every vertex towards its neighbours; each layer is solved exactly (pool adjacent
violators). Then threads, which are long edges and rows of steps that only follow each other, are
pulled straight. Imports only the standard library and ``ordering``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf

from pgflow_django.drawing.ordering import Layering

#: Up to so many vertices: sweeps, and relaxations after them. Nobody sees the difference.
EFFORTS = ((600, 10, 4), (3_000, 4, 1), (inf, 3, 1))
SNAP_SHARE, LEAST_SNAP = 0.5, 20.0  # curves as slight as this share of the reach are removed
STEP_TO_STEP, STEP_TO_BEND = 1.0, 0.25  # how strongly a step is drawn to its neighbours
BEND_TO_STEP, BEND_TO_BEND = 2.0, 12.0  # and a bend: long edges are to be straight
LONER_WEIGHT = 0.1  # of a step without neighbours: it makes room for the others

Pulls = list[list[tuple[int, float]]]


def place_across(layering: Layering, reach: Sequence[float]) -> list[float]:
    """Return a center for every vertex; neighbours a, b keep ``reach[a] + reach[b]`` apart."""
    centers = _pack(layering.layers, reach)
    pulls = _weigh_neighbours(layering)
    weights = [sum(weight for _, weight in pull) for pull in pulls]
    sweeps, relaxations = next(effort for limit, *effort in EFFORTS if len(centers) <= limit)
    for sweep in range(sweeps):
        for layer in layering.layers if sweep % 2 == 0 else reversed(layering.layers):
            _settle(layer, centers, pulls, weights, reach)
    _Straightener(layering, centers, pulls, reach).straighten(relaxations)
    return centers


def _pack(layers: list[list[int]], reach: Sequence[float]) -> list[float]:
    """Return centers that put the vertices of each layer side by side around zero."""
    centers = [0.0] * len(reach)
    for layer in layers:
        edge = -sum(reach[vertex] for vertex in layer)
        for vertex in layer:
            centers[vertex] = edge + reach[vertex]
            edge += 2 * reach[vertex]
    return centers


def _weigh_neighbours(layering: Layering) -> Pulls:
    """Return each vertex's neighbours in both directions with the strength of their pull."""
    steps = layering.step_count
    pulls: Pulls = []
    for vertex, (above, below) in enumerate(zip(layering.above, layering.below, strict=True)):
        to_step, to_bend = (
            (STEP_TO_STEP, STEP_TO_BEND) if vertex < steps else (BEND_TO_STEP, BEND_TO_BEND)
        )
        near = above + below
        pulls.append([(other, to_step if other < steps else to_bend) for other in near])
    return pulls


def _settle(
    layer: list[int],
    centers: list[float],
    pulls: Pulls,
    weights: list[float],
    reach: Sequence[float],
) -> None:
    """Move a layer's vertices as close to their wishes as their order and distances allow.

    Minimises the weighted squares of the distances to the wishes: blocks of touching vertices
    merge until each block stands at the mean of what its members wish.
    """
    offsets: list[float] = []
    blocks: list[tuple[float, float, int]] = []  # weight, mean wish of the block's start, size
    offset = 0.0
    for vertex in layer:
        offset += reach[vertex]
        offsets.append(offset)
        weight = weights[vertex]
        if weight:
            wish = 0.0
            for other, pull in pulls[vertex]:
                wish += pull * centers[other]
            start = wish / weight - offset
        else:
            weight, start = LONER_WEIGHT, centers[vertex] - offset
        size = 1
        while blocks and blocks[-1][1] >= start:  # they would overlap
            other_weight, other_start, other_size = blocks.pop()
            total = weight + other_weight
            start = (weight * start + other_weight * other_start) / total
            weight, size = total, size + other_size
        blocks.append((weight, start, size))
        offset += reach[vertex]
    index = 0
    for _, start, size in blocks:
        for vertex in layer[index : index + size]:
            centers[vertex] = start + offsets[index]
            index += 1


class _Straightener:
    """Moves threads and single vertices between the neighbours that they have in their layers."""

    def __init__(
        self, layering: Layering, centers: list[float], pulls: Pulls, reach: Sequence[float]
    ) -> None:
        self.layering = layering
        self.centers = centers
        self.pulls = pulls
        self.snap = [max(SNAP_SHARE * distance, LEAST_SNAP) for distance in reach]
        self.before: list[tuple[int, float] | None] = [None] * len(centers)
        self.after: list[tuple[int, float] | None] = [None] * len(centers)
        for layer in layering.layers:
            for left, right in pairwise(layer):
                distance = reach[left] + reach[right]
                self.before[right], self.after[left] = (left, distance), (right, distance)

    def straighten(self, rounds: int) -> None:
        """Align each thread, in as few pieces as there is room for, then balance the pieces."""
        pieces = []
        for thread in _find_threads(self.layering):
            for piece in self._cut(thread):
                pieces.append((piece, self._find_ties(piece)))
                self._align(*pieces[-1])
        for _ in range(rounds):
            for piece, ties in pieces:
                self._align(piece, ties)
        for piece, ties in pieces:
            self._unbend(piece, ties)

    def _find_room(self, vertices: Iterable[int]) -> tuple[float, float]:
        """Return the lowest and the highest level on which all ``vertices`` have room."""
        centers, low, high = self.centers, -inf, inf
        for vertex in vertices:
            if bound := self.before[vertex]:
                level = centers[bound[0]] + bound[1]
                if level > low:
                    low = level
            if bound := self.after[vertex]:
                level = centers[bound[0]] - bound[1]
                if level < high:
                    high = level
        return low, high

    def _cut(self, thread: list[int]) -> Iterator[list[int]]:
        """Yield parts of ``thread``, as long as possible, that have room on one level."""
        if len(thread) == 1:
            yield thread
            return
        piece, low, high = list[int](), -inf, inf
        for vertex in thread:
            vertex_low, vertex_high = self._find_room((vertex,))
            low, high = max(low, vertex_low), min(high, vertex_high)
            if piece and low > high:
                yield piece
                piece, low, high = [], vertex_low, vertex_high
            piece.append(vertex)
        yield piece

    def _find_ties(self, piece: list[int]) -> list[tuple[int, float]]:
        """Return the neighbours of a piece's ends outside it, with their pulls."""
        if len(piece) == 1:
            return self.pulls[piece[0]]
        inside = {*piece[:2], *piece[-2:]}
        ends = (piece[0], piece[-1])
        return [tie for end in ends for tie in self.pulls[end] if tie[0] not in inside]

    def _align(self, piece: list[int], ties: list[tuple[int, float]]) -> None:
        """Put a piece on the level that its ties wish, as far as there is room.

        That is their mean, or one of them that is close: one curve less. Bends alone always take
        the level of one end.
        """
        if not ties:
            return
        centers = self.centers
        wish = weight = 0.0
        for other, pull in ties:
            wish += centers[other] * pull
            weight += pull
        wish /= weight
        nearest = centers[ties[0][0]]
        for other, _ in ties[1:]:
            if abs(centers[other] - wish) < abs(nearest - wish):
                nearest = centers[other]
        only_bends = piece[0] >= self.layering.step_count <= piece[-1]
        if only_bends or abs(nearest - wish) < self.snap[piece[0]]:
            wish = nearest
        low, high = self._find_room(piece)
        level = min(max(wish, low), high)
        for vertex in piece:
            centers[vertex] = level

    def _unbend(self, piece: list[int], ties: list[tuple[int, float]]) -> None:
        """Remove a slight curve if there is room and no straight edge is lost by it."""
        level = self.centers[piece[0]]
        shifts = [self.centers[other] - level for other, _ in ties]
        if not shifts or min(map(abs, shifts)) < 0.5:
            return
        shift = min(shifts, key=abs)
        low, high = self._find_room(piece)
        if abs(shift) < self.snap[piece[0]] and low <= level + shift <= high:
            for vertex in piece:
                self.centers[vertex] = level + shift


def _find_threads(layering: Layering) -> list[list[int]]:
    """Return the maximal rows of vertices that are each other's only neighbours, longest first."""

    def follow(vertex: int) -> int:
        below = layering.below[vertex]
        return below[0] if len(below) == 1 and len(layering.above[below[0]]) == 1 else -1

    following = [follow(vertex) for vertex in range(len(layering.above))]
    inner = set(following)
    threads = []
    for vertex in range(len(following)):
        if vertex not in inner:
            thread = [vertex]
            while (vertex := following[vertex]) >= 0:
                thread.append(vertex)
            threads.append(thread)
    return sorted(threads, key=len, reverse=True)
