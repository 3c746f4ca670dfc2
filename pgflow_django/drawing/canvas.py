"""The drawing of a flow inside a page: an ``<svg>`` that the page's script pans, zooms and edits.

It has no colours of its own, the page's style sheet has them. Imports only the standard library
and the sibling modules below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal

from pgflow_django.drawing.layout import (
    Direction,
    Layout,
    Node,
    compute_layout,
)
from pgflow_django.drawing.svg import (
    DOT_DISTANCE,
    DrawOptions,
    Problems,
    States,
    render_edges,
    render_node,
    render_nodes,
)
from pgflow_django.drawing.text import escape_text

__all__ = ["LIGHT_FROM", "find_layout", "render_canvas", "render_cards", "render_thumbnail"]

#: From so many steps on, cards are drawn with fewer elements: the browser is the slow part.
LIGHT_FROM = 200
_PAPER = 900  # as wide as this is on paper what is narrower, so that cards don't become huge
_VIEWPORT_GRID = 80  # viewports this close to each other share their layout


@lru_cache(maxsize=32)
def _lay_out(
    nodes: tuple[Node, ...], direction: Direction | Literal["auto"], viewport: tuple[int, int]
) -> Layout:
    return compute_layout(nodes, direction=direction, viewport=viewport)


def find_layout(
    nodes: tuple[Node, ...],
    *,
    direction: Direction | Literal["auto"] = "auto",
    viewport: tuple[int, int] = (960, 640),
) -> Layout:
    """Return the layout of ``nodes``, whose dependencies are tuples, remembered by structure.

    See ``compute_layout``, also for the errors.
    """
    rounded = (_round_up(viewport[0]), _round_up(viewport[1]))
    return _lay_out(nodes, direction, rounded if direction == "auto" else (0, 0))


def _round_up(length: int) -> int:
    return max(-(-length // _VIEWPORT_GRID), 1) * _VIEWPORT_GRID


def render_canvas(
    layout: Layout,
    label: str,
    *,
    states: States | None = None,
    problems: Problems | None = None,
    doubtful: Collection[str] = (),
    editable: bool = False,
    options: DrawOptions | None = None,
    attributes: Mapping[str, str] | None = None,
) -> str:
    """Return the ``<svg id="pgf-dag">`` of a page, with the states of a run if given.

    ``label`` is its accessible name; ``problems`` are messages by step, mere warnings for those
    that are ``doubtful``; ``attributes`` are added to the element, escaped. ``options`` give the
    words; the rest follows from the other arguments.
    """
    drawing = _choose(layout, options, editable=editable)
    names = "pgf-dag" + (" pgf-light" if drawing.light else "")
    names += " pgf-editable" if editable else ""
    extra = "".join(f' {name}="{escape_text(text)}"' for name, text in (attributes or {}).items())
    return (
        f'<svg id="pgf-dag" class="{names}" width="{layout.width}" height="{layout.height}"'
        f' data-width="{layout.width}" data-height="{layout.height}"'
        f' data-direction="{layout.direction}"'
        f' data-sheet="-4 -4 {max(layout.width, _PAPER) + 16} {layout.height + 16}"{extra}'
        f' role="group" aria-label="{escape_text(label)}">'
        f'<defs><pattern id="pgf-grid" width="{DOT_DISTANCE}" height="{DOT_DISTANCE}"'
        ' patternUnits="userSpaceOnUse"><circle class="pgf-dot" cx="2" cy="2" r="1.2"/>'
        '</pattern></defs><rect class="pgf-ground" width="100%" height="100%"'
        ' fill="url(#pgf-grid)"/><g id="pgf-world">'
        f'<g id="pgf-edges" aria-hidden="true">{render_edges(layout, states, options=drawing)}</g>'
        '<path id="pgf-rubber" aria-hidden="true"/>'
        f'<g id="pgf-nodes">'
        f"{render_nodes(layout, states, options=drawing, problems=problems, doubtful=doubtful)}"
        "</g>"
        f"{_EDGE_TOOLS if editable else ''}</g></svg>"
    )


def render_cards(
    layout: Layout, slugs: Iterable[str], states: States, *, options: DrawOptions | None = None
) -> Iterator[str]:
    """Give the cards of these steps one after another, each as ``render_canvas`` draws it."""
    drawing = _choose(layout, options)
    placed = {node.slug: node for node in layout.nodes}
    for slug in slugs:
        yield render_node(placed[slug], states.get(slug), options=drawing)


def _choose(layout: Layout, options: DrawOptions | None, *, editable: bool = False) -> DrawOptions:
    return DrawOptions(
        (options or DrawOptions()).labels,
        interactive=True,
        editable=editable,
        light=len(layout.nodes) > LIGHT_FROM,
    )


#: Two buttons that the script puts on the edge under the pointer. The keys I and X do the same.
_EDGE_TOOLS = (
    '<g id="pgf-edge-tools" aria-hidden="true">'
    '<g class="pgf-tool" data-act="insert" transform="translate(-13 0)"><circle r="11"/>'
    '<path d="M-5 0H5M0-5V5"/></g>'
    '<g class="pgf-tool pgf-cut" data-act="cut" transform="translate(13 0)"><circle r="11"/>'
    '<path d="M-4-4 4 4M4-4-4 4"/></g></g>'
)


def render_thumbnail(layout: Layout, label: str, *, width: int = 120, height: int = 40) -> str:
    """Return a small picture of a flow, cards and lines only, for lists; sizes in pixels."""
    across, down = max(layout.width, 1), max(layout.height, 1)
    scale = min((width - 4) / across, (height - 4) / down, 0.2)
    left, top = (width - across * scale) / 2, (height - down * scale) / 2
    lines = "".join(
        f"M{left + x1 * scale:.1f} {top + y1 * scale:.1f}L{left + x2 * scale:.1f}"
        f" {top + y2 * scale:.1f}"
        for edge in layout.edges
        for (x1, y1), (x2, y2) in ((edge.points[0], edge.points[-1]),)
    )
    boxes = "".join(
        f'<rect class="pgf-thumb-{node.node.kind}" x="{left + node.x * scale:.1f}"'
        f' y="{top + node.y * scale:.1f}" width="{max(node.width * scale, 2):.1f}"'
        f' height="{max(node.height * scale, 2):.1f}" rx="1.5"/>'
        for node in layout.nodes
    )
    return (
        f'<svg class="pgf-thumb" width="{width}" height="{height}" role="img"'
        f' aria-label="{escape_text(label)}"><path class="pgf-thumb-line" d="{lines}"/>'
        f"{boxes}</svg>"
    )
