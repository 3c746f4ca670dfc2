"""The layout of a flow's diagram: layers along the flow, few crossings, straight edges.

A layered (Sugiyama) layout in pure Python. The same nodes in the same order always give the same
result. Imports only the standard library and the sibling modules below.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from pgflow_django.drawing import cards
from pgflow_django.drawing.frame import (
    DIRECTIONS,
    Frame,
    build_frame,
    estimate_size,
)
from pgflow_django.drawing.graph import (
    Graph,
    Kind,
    Node,
    build_graph,
    rank_steps,
)
from pgflow_django.drawing.ordering import Layering, order_layers
from pgflow_django.drawing.routes import (
    Direction,
    Point,
    draw_arrow,
    draw_line,
    drop_idle_points,
    orient,
)

__all__ = [
    "Direction",
    "Kind",
    "Layout",
    "Node",
    "PlacedEdge",
    "PlacedNode",
    "Point",
    "compute_layout",
]

MAX_COMPARED_STEPS = 150


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node's card; ``order`` counts from 0 within ``rank``, across the flow.

    Edges arrive at ``inlet`` and leave at ``outlet``.
    """

    node: Node
    x: int
    y: int
    width: int
    height: int
    rank: int
    order: int
    inlet: Point
    outlet: Point

    @property
    def slug(self) -> str:
        """The step's slug."""
        return self.node.slug


@dataclass(frozen=True, slots=True)
class PlacedEdge:
    """An edge from a dependency to the step that waits for it.

    ``points`` run from card to card; ``path`` draws the line and ``arrow`` its head as SVG paths.
    """

    source: str
    target: str
    points: tuple[Point, ...]
    path: str
    arrow: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A laid-out flow: nodes in reading order (by rank, then order), edges by target."""

    direction: Direction
    width: int
    height: int
    nodes: tuple[PlacedNode, ...]
    edges: tuple[PlacedEdge, ...]


def compute_layout(
    nodes: Iterable[Node],
    *,
    direction: Direction | Literal["auto"] = "auto",
    viewport: tuple[float, float] = (960, 640),
) -> Layout:
    """Return where to draw ``nodes``; ``"auto"`` takes the direction that shows them larger.

    Raises ``ValueError`` for a repeated slug, an unknown dependency or a cycle, and names them.
    """
    steps = tuple(nodes)
    graph = build_graph(steps)
    with _without_collector():
        ranks = rank_steps(graph)
        layering = order_layers(graph, ranks)
        widths = [cards.find_card_width(node) for node in steps]
        frame = _choose_frame(layering, ranks, widths, direction, viewport)
        width, height = frame.size
        return Layout(
            direction=frame.direction,
            width=width,
            height=height,
            nodes=tuple(_place_nodes(frame, steps, layering)),
            edges=tuple(_place_edges(frame, steps, graph, layering)),
        )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let no garbage be collected meanwhile.

    A layout makes thousands of small objects and no cycles. In a site's large heap the collections
    that they set off took longer than the layout itself, and found nothing.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _choose_frame(
    layering: Layering,
    ranks: Sequence[int],
    widths: Sequence[int],
    direction: Direction | Literal["auto"],
    viewport: tuple[float, float],
) -> Frame:
    """Return the frame in ``direction`` or the one that shows the flow larger.

    Large flows are only estimated: placing them twice would double the time.
    """
    if direction != "auto":
        return build_frame(layering, ranks, widths, direction)
    if len(ranks) <= MAX_COMPARED_STEPS:
        frames = [build_frame(layering, ranks, widths, way) for way in DIRECTIONS]
        return max(frames, key=lambda frame: find_scale(frame.size, viewport))
    sizes = {way: estimate_size(layering, widths, way) for way in DIRECTIONS}
    best = max(DIRECTIONS, key=lambda way: find_scale(sizes[way], viewport))
    return build_frame(layering, ranks, widths, best)


def find_scale(size: tuple[float, float], viewport: tuple[float, float]) -> float:
    """Return the zoom at which a drawing of this size fits into ``viewport``, at most 1."""
    return min(1.0, viewport[0] / max(size[0], 1), viewport[1] / max(size[1], 1))


def _place_nodes(frame: Frame, steps: Sequence[Node], layering: Layering) -> Iterator[PlacedNode]:
    for rank, layer in enumerate(layering.layers):
        members = [vertex for vertex in layer if vertex < layering.step_count]
        for order, step in enumerate(members):
            x, y, width, height = frame.find_box(step)
            if frame.direction == "LR":
                inlet, outlet = (x, y + height // 2), (x + width, y + height // 2)
            else:
                inlet, outlet = (x + width // 2, y), (x + width // 2, y + height)
            yield PlacedNode(steps[step], x, y, width, height, rank, order, inlet, outlet)


def _place_edges(
    frame: Frame, steps: Sequence[Node], graph: Graph, layering: Layering
) -> Iterator[PlacedEdge]:
    way = frame.direction
    for layer in layering.layers:
        for step in layer:
            for parent in graph.above[step] if step < layering.step_count else ():
                edge = (parent, step)
                points = drop_idle_points(frame.find_route(edge, layering.bends.get(edge, ())))
                yield PlacedEdge(
                    source=steps[parent].slug,
                    target=steps[step].slug,
                    points=tuple(orient(along, across, way) for along, across in points),
                    path=draw_line(points, way),
                    arrow=draw_arrow(points[-1], way),
                )
