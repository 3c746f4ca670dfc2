"""Drawings of a flow as SVG: whole documents, or the fragments that a page puts together.

There is no script, no ``style`` attribute and no reference to anything outside, and every text is
escaped. Imports only the standard library and the sibling modules below.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pgflow_django.drawing import cards
from pgflow_django.drawing.layout import (
    Layout,
    Node,
    PlacedEdge,
    PlacedNode,
)
from pgflow_django.drawing.states import (
    Labels,
    Status,
    StepState,
    fit_facts,
    list_facts,
)
from pgflow_django.drawing.text import (
    NAME_FONT,
    NOTE_FONT,
    clean_text,
    clip_dotted_path,
    clip_text,
    escape_text,
    shorten,
)
from pgflow_django.drawing.theme import ICONS, Theme, build_stylesheet

__all__ = [
    "DrawOptions",
    "Labels",
    "Status",
    "StepState",
    "Theme",
    "render_edge",
    "render_edges",
    "render_node",
    "render_nodes",
    "render_svg",
]

MARGIN = 32
EMPTY_SIZE = (240, 60)
DOT_DISTANCE = 22
CORNER = 10
TILE_LEFT, TILE_SIZE = 12, 34
NAME_LINE, NOTE_LINE = 26, 44
NAME_LINE_WITH_BAR, NOTE_LINE_WITH_BAR = 22, 38
BAR_TOP, BAR_HEIGHT = 46, 5
CLOCK_ROOM = 64  # for the seconds that a script counts behind the note
MAX_DESCRIPTION = 300  # characters of a step's description that its tooltip has
ACTIVE: frozenset[Status] = frozenset({"running", "retrying"})


@dataclass(frozen=True, slots=True)
class DrawOptions:
    """How fragments are drawn.

    ``interactive`` makes steps buttons with ids and ``data-`` attributes for a page's script;
    ``editable`` adds ports to steps and wide invisible lines, easy to hit, to edges. ``light``
    leaves out what a browser can do without in a drawing of very many steps.
    """

    labels: Labels = field(default_factory=Labels)
    interactive: bool = False
    editable: bool = False
    light: bool = False


DEFAULT_OPTIONS = DrawOptions()
States = Mapping[str, StepState]
Problems = Mapping[str, str]


def render_svg(
    layout: Layout,
    title: str,
    *,
    states: States | None = None,
    description: str = "",
    theme: Theme = "auto",
    labels: Labels | None = None,
) -> str:
    """Return a complete SVG file of a flow, with the states of a run if given."""
    options = DrawOptions(labels or DEFAULT_OPTIONS.labels)
    size = (layout.width, layout.height) if layout.nodes else EMPTY_SIZE
    width, height = size[0] + 2 * MARGIN, size[1] + 2 * MARGIN
    area = f'x="-{MARGIN}" y="-{MARGIN}" width="{width}" height="{height}"'
    name = escape_text(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="-{MARGIN} -{MARGIN} {width} {height}" role="group" aria-label="{name}">'
        f"<title>{name}</title>"
        f"{f'<desc>{escape_text(description)}</desc>' if description else ''}"
        f"<style>{build_stylesheet(theme)}</style>"
        f'<defs><pattern id="pgf-dots" width="{DOT_DISTANCE}" height="{DOT_DISTANCE}"'
        ' patternUnits="userSpaceOnUse"><circle class="pgf-dot" cx="2" cy="2" r="1.2"/>'
        "</pattern></defs>"
        f'<rect class="pgf-canvas" {area}/><rect {area} fill="url(#pgf-dots)"/>'
        f"{'' if layout.nodes else _render_empty(options.labels)}"
        f'<g aria-hidden="true">{render_edges(layout, states, options=options)}</g>'
        f"<g>{render_nodes(layout, states, options=options)}</g></svg>\n"
    )


def _render_empty(labels: Labels) -> str:
    x, y = EMPTY_SIZE[0] // 2, EMPTY_SIZE[1] // 2 + 4
    text = escape_text(labels.empty)
    return f'<text class="pgf-note" x="{x}" y="{y}" text-anchor="middle">{text}</text>'


def render_edges(
    layout: Layout, states: States | None = None, *, options: DrawOptions = DEFAULT_OPTIONS
) -> str:
    """Return the edges of a layout as SVG groups; draw them below the nodes."""
    known = states or {}
    return "".join(
        [render_edge(edge, known.get(edge.target), options=options) for edge in layout.edges]
    )


def render_edge(
    edge: PlacedEdge, state: StepState | None = None, *, options: DrawOptions = DEFAULT_OPTIONS
) -> str:
    """Return one edge as an SVG group; it is active while its target, in ``state``, runs."""
    names = "pgf-edge pgf-active" if state and state.status in ACTIVE else "pgf-edge"
    extra = hit = ""
    if options.interactive:
        source, target = escape_text(edge.source), escape_text(edge.target)
        extra = f' id="pgf-edge-{source}-{target}" data-source="{source}" data-target="{target}"'
    if options.editable and not options.light:
        hit = f'<path class="pgf-hit" d="{edge.path}"/>'
    return (
        f'<g class="{names}"{extra}>{hit}<path class="pgf-line" d="{edge.path}"/>'
        f'<path class="pgf-arrow" d="{edge.arrow}"/></g>'
    )


def render_nodes(
    layout: Layout,
    states: States | None = None,
    *,
    options: DrawOptions = DEFAULT_OPTIONS,
    problems: Problems | None = None,
    doubtful: Collection[str] = (),
) -> str:
    """Return the cards of a layout as SVG groups, in reading order.

    ``problems`` are messages by slug; those of ``doubtful`` steps are only warnings.
    """
    known, bad = states or {}, problems or {}
    return "".join(
        [
            render_node(
                node,
                known.get(node.slug),
                options=options,
                problem=bad.get(node.slug, ""),
                is_doubtful=node.slug in doubtful,
            )
            for node in layout.nodes
        ]
    )


def render_node(
    placed: PlacedNode,
    state: StepState | None = None,
    *,
    options: DrawOptions = DEFAULT_OPTIONS,
    problem: str = "",
    is_doubtful: bool = False,
    attributes: Mapping[str, str] | None = None,
) -> str:
    """Return one step's card as an SVG group.

    ``problem`` marks a step that is not valid, or only doubtful; ``attributes`` are added to the
    group.
    """
    node, labels = placed.node, options.labels
    names = f"pgf-node pgf-{node.kind}" + (f" pgf-{state.status}" if state else "")
    if problem:
        names += " pgf-bad pgf-doubtful" if is_doubtful else " pgf-bad"
    label, tooltip = _describe(node, state, problem, labels)
    return (
        f'<g class="{names}"'
        f' transform="translate({placed.x} {placed.y})"'
        f"{_list_attributes(placed, options, attributes)}"
        f' aria-label="{label}">'
        f"{f'<title>{tooltip}</title>' if node.description or not options.light else ''}"
        f"{_describe_order(node, options)}{_render_sheets(placed, options)}"
        f'<rect class="pgf-tile" x="{TILE_LEFT}" y="13" width="{TILE_SIZE}" height="{TILE_SIZE}"'
        f' rx="9"/>{_render_icon(placed, state)}{_render_texts(placed, state, options)}'
        f"{_render_problem(problem, placed.width)}{_render_ports(placed, options)}</g>"
    )


def _list_attributes(
    placed: PlacedNode, options: DrawOptions, attributes: Mapping[str, str] | None
) -> str:
    if options.interactive:
        slug = escape_text(placed.slug)
        dependencies = escape_text(" ".join(placed.node.depends_on))
        listed = (
            f' id="pgf-step-{slug}" data-slug="{slug}" data-deps="{dependencies}"'
            f' data-rank="{placed.rank}" data-order="{placed.order}" role="button" tabindex="-1"'
        )
    else:
        listed = ' role="img"'
    for name, value in (attributes or {}).items():
        listed += f' {name}="{escape_text(value)}"'
    return listed


def _describe(node: Node, state: StepState | None, problem: str, labels: Labels) -> tuple[str, str]:
    """Return a step's accessible name and its tooltip, in full and escaped."""
    kind = labels.map_step if node.kind == "map" else labels.step
    facts = list_facts(node, state, labels) if state else []
    if problem:
        facts.append(labels.problem.format(problem=problem))
    about = shorten(node.description, MAX_DESCRIPTION).splitlines()
    tooltip = [node.name, node.subtitle, " · ".join(facts), *about]
    return (
        escape_text(", ".join([node.name, kind, *facts])),
        "\n".join(escape_text(line) for line in tooltip if line),
    )


def _describe_order(node: Node, options: DrawOptions) -> str:
    """Return what a step waits for, as a description: in the name it would confuse searches."""
    if options.light or not (options.interactive and node.depends_on):
        return ""
    after = options.labels.after.format(steps=", ".join(node.depends_on))
    return f"<desc>{escape_text(after)}</desc>"


def _render_sheets(placed: PlacedNode, options: DrawOptions) -> str:
    size = f'width="{placed.width}" height="{placed.height}" rx="{CORNER}"'
    card = f'<rect class="pgf-card" {size}/>'
    if placed.node.kind != "map" or options.light:
        return card
    offset = cards.STACK_OFFSET
    return f'<rect class="pgf-stack" x="{offset}" y="{offset}" {size}/>{card}'


def _render_icon(placed: PlacedNode, state: StepState | None) -> str:
    """Return the icon; that of a state may turn around its own middle, so it gets a group."""
    place = f'transform="translate({TILE_LEFT + TILE_SIZE // 2} {placed.height // 2})"'
    if state is None:
        return f'<path class="pgf-icon" {place} d="{ICONS[placed.node.kind]}"/>'
    return f'<g {place}><path class="pgf-icon" d="{ICONS[state.status]}"/></g>'


def _render_texts(placed: PlacedNode, state: StepState | None, options: DrawOptions) -> str:
    node, labels = placed.node, options.labels
    room = placed.width - cards.TEXT_LEFT - cards.TEXT_RIGHT
    bar, clock, name_y, note_y = "", "", NAME_LINE, NOTE_LINE
    if state:
        clock = _render_clock(state) if options.interactive else ""
        note = fit_facts(node, state, room, labels, spare=CLOCK_ROOM if clock else 0)
        if node.kind == "map" and state.total:
            bar = _render_bar(state, state.total, room)
            name_y, note_y = NAME_LINE_WITH_BAR, NOTE_LINE_WITH_BAR
    else:
        note = clip_dotted_path(clean_text(node.subtitle), room, NOTE_FONT)
        name_y = name_y if note else placed.height // 2 + 5
    name = clip_text(clean_text(node.name), room, NAME_FONT)
    texts = f'<text class="pgf-name" x="{cards.TEXT_LEFT}" y="{name_y}">{escape_text(name)}</text>'
    if note:
        texts += (
            f'<text class="pgf-note" x="{cards.TEXT_LEFT}" y="{note_y}">{escape_text(note)}{clock}'
            "</text>"
        )
    return texts + bar


def _render_clock(state: StepState) -> str:
    """Return where a page's script counts the seconds."""
    for name, moment in (("until", state.until), ("since", state.since)):
        if moment is not None:
            return f'<tspan data-{name}="{moment:.3f}"/>'
    return ""


def _render_bar(state: StepState, total: int, room: int) -> str:
    """Return a map step's progress: finished tasks, and behind their end the failed ones."""
    done = min(max(state.done, 0), total)
    failed = min(max(state.failed, 0), total - done)
    bars = [("track", total), ("lost", done + failed if failed else 0), ("done", done)]
    return "".join(
        f'<rect class="pgf-{name}" x="{cards.TEXT_LEFT}" y="{BAR_TOP}"'
        f' width="{round(room * tasks / total, 1):g}" height="{BAR_HEIGHT}" rx="2.5"/>'
        for name, tasks in bars
        if tasks
    )


def _render_problem(problem: str, width: int) -> str:
    if not problem:
        return ""
    return (
        f'<circle class="pgf-warning" cx="{width - 6}" cy="6" r="9"/>'
        f'<text class="pgf-warning-mark" x="{width - 6}" y="10">!</text>'
    )


def _render_ports(placed: PlacedNode, options: DrawOptions) -> str:
    if not options.editable:
        return ""
    return "".join(
        f'<circle class="pgf-port pgf-{side}" cx="{x - placed.x}" cy="{y - placed.y}" r="{size}"/>'
        for side, (x, y), size in (("in", placed.inlet, 4), ("out", placed.outlet, 6))
        if side == "out" or not options.light
    )
