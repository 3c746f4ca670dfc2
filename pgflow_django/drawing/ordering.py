"""Layers of a ranked graph and the order within each: few crossings, by barycenters and swaps.

A *vertex* is a step (numbered as in the graph) or a *bend*: a place where an edge that skips a
layer passes through it. Imports only the standard library and ``graph``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from operator import itemgetter

from pgflow_django.drawing.graph import Graph

Edge = tuple[int, int]

MAX_BENDS = 6_000  # the longest edges beyond this go around the drawing
#: Up to so many vertices: sweeps, and how many of them may be in vain. The sweeps that large flows
#: go without would remove a few percent of their crossings.
EFFORTS = ((600, 12, 4), (3_000, 6, 2), (inf, 4, 2))
MAX_SWAPPED_STEPS = 150
MAX_SWAPPED_VERTICES = 1_000
MAX_SWAP_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Layering:
    """Vertices in ordered layers; ``above`` and ``below`` join neighbouring layers only."""

    step_count: int
    layers: list[list[int]]
    above: list[list[int]]
    below: list[list[int]]
    bends: dict[Edge, list[int]]
    detours: list[Edge]


def order_layers(graph: Graph, ranks: Sequence[int]) -> Layering:
    """Return the layers of ``graph``, ordered so that few edges cross."""
    layering = _build_layers(graph, ranks)
    position = [0] * len(layering.above)
    _restore(layering, layering.layers, position)
    if layering.step_count > MAX_SWAPPED_STEPS or len(position) > MAX_SWAPPED_VERTICES:
        _sweep(layering, position, upwards_first=False)
        return layering
    start = _copy_order(layering)
    orders: list[tuple[int, list[list[int]]]] = []
    for upwards_first in (False, True):
        _restore(layering, start, position)
        _sweep(layering, position, upwards_first=upwards_first)
        _swap_neighbours(layering, position)
        orders.append((_count_crossings(layering, position), _copy_order(layering)))
    _restore(layering, min(orders, key=itemgetter(0))[1], position)
    return layering


def _copy_order(layering: Layering) -> list[list[int]]:
    return [layer[:] for layer in layering.layers]


def _restore(layering: Layering, order: list[list[int]], position: list[int]) -> None:
    for layer, vertices in zip(layering.layers, order, strict=True):
        layer[:] = vertices
        _renumber(layer, position)


def _build_layers(graph: Graph, ranks: Sequence[int]) -> Layering:
    """Put steps and bends into layers, in depth-first order, which keeps families together."""
    count = len(ranks)
    layering = Layering(
        step_count=count,
        layers=[[] for _ in range(max(ranks, default=-1) + 1)],
        above=[[] for _ in range(count)],
        below=[[] for _ in range(count)],
        bends={},
        detours=_pick_detours(graph, ranks),
    )
    detours = set(layering.detours)
    for step in _walk_depth_first(graph):
        layering.layers[ranks[step]].append(step)
        for child in graph.below[step]:
            if (step, child) not in detours:
                _link(layering, (step, child), range(ranks[step] + 1, ranks[child]))
    return layering


def _pick_detours(graph: Graph, ranks: Sequence[int]) -> list[Edge]:
    """Return the longest edges, as many as bends would be too many."""
    spans = sorted(
        (ranks[parent] - ranks[step] + 1, parent, step)
        for step, parents in enumerate(graph.above)
        for parent in parents
    )
    excess = -sum(span for span, _, _ in spans) - MAX_BENDS
    detours = []
    for span, parent, step in spans:
        if excess <= 0:
            break
        detours.append((parent, step))
        excess += span
    return detours


def _walk_depth_first(graph: Graph) -> list[int]:
    seen, walk = [False] * len(graph.above), []
    stack = [step for step in reversed(graph.topological) if not graph.above[step]]
    while stack:
        step = stack.pop()
        if not seen[step]:
            seen[step] = True
            walk.append(step)
            stack.extend(reversed(graph.below[step]))
    return walk


def _link(layering: Layering, edge: Edge, ranks: range) -> None:
    """Join the ends of ``edge`` by a bend in each layer between."""
    upper, bends = edge[0], []
    for rank in ranks:
        bend = len(layering.above)
        layering.above.append([upper])
        layering.below.append([])
        layering.below[upper].append(bend)
        layering.layers[rank].append(bend)
        bends.append(bend)
        upper = bend
    layering.below[upper].append(edge[1])
    layering.above[edge[1]].append(upper)
    layering.bends[edge] = bends


def _sweep(layering: Layering, position: list[int], *, upwards_first: bool) -> None:
    """Sort layers by barycenter, down and up in turn, and keep the best order that was seen."""
    layers = layering.layers
    sweeps, patience = next(effort for limit, *effort in EFFORTS if len(position) <= limit)
    best, fewest, stale = _copy_order(layering), _count_crossings(layering, position), 0
    for sweep in range(sweeps):
        if not fewest or stale == patience:
            break
        if (sweep % 2 == 1) == upwards_first:
            for layer in layers[1:]:
                _sort_by_barycenter(layer, layering.above, position)
        else:
            for layer in reversed(layers[:-1]):
                _sort_by_barycenter(layer, layering.below, position)
        crossings = _count_crossings(layering, position)
        stale += 1
        if crossings < fewest:
            best, fewest, stale = _copy_order(layering), crossings, 0
    _restore(layering, best, position)


def _renumber(layer: list[int], position: list[int]) -> None:
    for index, vertex in enumerate(layer):
        position[vertex] = index


def _sort_by_barycenter(layer: list[int], neighbours: list[list[int]], position: list[int]) -> None:
    """Sort the vertices that have neighbours there; the others keep their places."""
    centers: dict[int, float] = {}
    for vertex in layer:
        near = neighbours[vertex]
        if near:
            centers[vertex] = sum([position[other] for other in near]) / len(near)
    ranked = sorted(centers, key=centers.__getitem__)
    if len(ranked) == len(layer):
        layer[:] = ranked
    else:
        moved = iter(ranked)
        layer[:] = [next(moved) if vertex in centers else vertex for vertex in layer]
    _renumber(layer, position)


def _count_crossings(layering: Layering, position: list[int]) -> int:
    crossings = 0
    for layer in layering.layers:
        ends: list[int] = []
        for vertex in layer:
            starts = sorted([position[other] for other in layering.above[vertex]])
            if not starts:
                continue
            if not ends or starts[0] >= ends[-1]:
                ends += starts
                continue
            before = len(ends)
            for start in reversed(starts):  # what is put in stands behind what comes next
                place = bisect_right(ends, start)
                crossings += before - place
                ends.insert(place, start)
    return crossings


def _swap_neighbours(layering: Layering, position: list[int]) -> None:
    """Swap adjacent vertices as long as that removes crossings."""
    rounds = 1
    while _swap_once(layering, position) and rounds < MAX_SWAP_ROUNDS:
        rounds += 1


def _swap_once(layering: Layering, position: list[int]) -> bool:
    """Go through all layers once and return whether anything changed."""
    swapped = False
    for layer in layering.layers:
        for index in range(len(layer) - 1):
            left, right = layer[index], layer[index + 1]
            if _gain_of_swap(layering, left, right, position) > 0:
                layer[index], layer[index + 1] = right, left
                position[left], position[right] = index + 1, index
                swapped = True
    return swapped


def _gain_of_swap(layering: Layering, left: int, right: int, position: list[int]) -> int:
    gain = 0
    for neighbours in (layering.above, layering.below):
        lefts = sorted([position[other] for other in neighbours[left]])
        rights = sorted([position[other] for other in neighbours[right]])
        if lefts and rights and lefts[-1] > rights[0]:
            gain += sum(bisect_left(rights, start) for start in lefts)
            gain -= sum(bisect_left(lefts, start) for start in rights)
        elif lefts and rights:
            gain -= sum(bisect_left(lefts, start) for start in rights)
    return gain
