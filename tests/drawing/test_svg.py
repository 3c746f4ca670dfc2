"""The drawings of flows: well-formed, harmless, readable, and the same every time."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pgflow_django.drawing.svg
from pgflow_django.drawing import cards
from pgflow_django.drawing.layout import Layout, Node, compute_layout
from pgflow_django.drawing.states import STATUSES
from pgflow_django.drawing.svg import (
    DrawOptions,
    Labels,
    Status,
    StepState,
    render_edge,
    render_edges,
    render_node,
    render_nodes,
    render_svg,
)
from pgflow_django.drawing.text import (
    ELLIPSIS,
    NAME_FONT,
    NOTE_FONT,
    Font,
    clean_text,
    clip_dotted_path,
    clip_text,
    escape_text,
)
from pgflow_django.drawing.theme import (
    DARK,
    ICONS,
    LIGHT,
    Palette,
    Theme,
    build_stylesheet,
    mix_colours,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>",
    '"\' onload="alert(1)',
    "]]>",
    "&amp;&#0;&nbsp;",
    "<!--",
    "\x00\x01\x08\x0b\x1f\x7f",
    "\ud800 \udfff",
    "\ufffe\uffff",
    "\u202eevil\u202c \u200f",
    "שלום مرحبا",
    "a\tb\r\nc\u2028d",
    "e\u0301" * 40,
    "\u0301" * 2000,
    "漢字" * 30 + "😀" * 30,
    "﷽" * 5,
    "",
    " ",
    "x" * 5000,
]
FLOW = [
    Node("fetch", subtitle="shop.etl.fetch"),
    Node("check", ["fetch"], kind="map", subtitle="shop.checks.check"),
    Node("save", ["check", "fetch"], subtitle="shop.etl.save"),
]
STATES = {
    "fetch": StepState("completed", duration="3.2 s"),
    "check": StepState("running", done=42, total=100, failed=3, duration="12 s"),
    "save": StepState("waiting"),
}
any_text = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(HOSTILE)


def lay_out(*nodes: Node) -> Layout:
    return compute_layout(nodes or FLOW)


def parse(fragment: str) -> ET.Element:
    """Return the parsed document, or the fragment in an element that stands for its page."""
    if not fragment.startswith("<svg"):
        fragment = f'<svg xmlns="http://www.w3.org/2000/svg">{fragment}</svg>'
    return ET.XML(fragment.encode())


def find_texts(root: ET.Element, name: str) -> list[str]:
    return [
        element.text or "" for element in root.iter(f"{SVG}text") if element.get("class") == name
    ]


def find_elements(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if name in element.get("class", "").split()]


@settings(max_examples=80)
@given(st.lists(any_text, min_size=9, max_size=9), st.sampled_from(STATUSES))
def test_no_text_can_break_the_file(texts: list[str], status: Status) -> None:
    slug, title, subtitle, duration, note, name, description, problem, word = texts
    layout = lay_out(Node(slug, title=title, subtitle=subtitle, kind="map"), Node("b", [slug]))
    state = StepState(status, 1, 3, 1, duration=duration, note=note)
    labels = Labels({status: word.replace("{", "").replace("}", "")})
    options = DrawOptions(labels, interactive=True, editable=True)
    if slug == "b":
        return
    drawings = [
        render_svg(layout, name, description=description),
        render_svg(layout, name, states={slug: state}, labels=labels),
        render_edges(layout, {slug: state}, options=options),
        render_nodes(layout, {slug: state}, options=options),
        render_node(
            layout.nodes[0], state, options=options, problem=problem, attributes={"data-x": word}
        ),
    ]
    for drawing in drawings:
        check_harmless(parse(drawing))


def check_harmless(root: ET.Element) -> None:
    """Check that nothing in the drawing runs, loads anything or carries its own style."""
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in {
            *("svg", "title", "desc", "style", "defs", "pattern", "g"),
            *("rect", "circle", "path", "text"),
        }
        for attribute in element.attrib:
            assert attribute != "style"
            assert not attribute.startswith("on")
            assert "href" not in attribute
        if element.tag == f"{SVG}style":
            assert not re.search(r"@import|url\(|</|expression", element.text or "")


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_is_the_cleaned_text_for_a_parser(text: str) -> None:
    cleaned = clean_text(text)
    element = parse(f'<text class="{escape_text(text)}">{escape_text(text)}</text>')[0]
    assert element.get("class") == cleaned
    assert (element.text or "") == cleaned


def test_what_xml_forbids_is_replaced_and_lines_are_joined() -> None:
    assert clean_text("a\x00b\ud800c\uffffd") == "a\ufffdb\ufffdc\ufffdd"
    assert clean_text(" a\t b\r\nc\x85d ") == "a b c d"


def test_what_readers_see_is_the_name_the_function_and_the_shape_of_the_flow() -> None:
    root = parse(render_svg(lay_out(), "my flow", description="What it does"))
    assert root.get("role") == "group"
    assert root.get("aria-label") == "my flow"
    assert root.findtext(f"{SVG}title") == "my flow"
    assert root.findtext(f"{SVG}desc") == "What it does"
    assert find_texts(root, "pgf-name") == ["fetch", "check", "save"]
    assert find_texts(root, "pgf-note") == ["shop.etl.fetch", "shop.checks.check", "shop.etl.save"]
    labels = [element.get("aria-label") for element in find_elements(root, "pgf-node")]
    assert labels == ["fetch, step", "check, map step", "save, step"]
    assert len(find_elements(root, "pgf-line")) == len(find_elements(root, "pgf-arrow")) == 3
    assert len(find_elements(root, "pgf-stack")) == 1, "only the map step looks like a stack"


def test_the_canvas_holds_the_layout_and_a_margin() -> None:
    layout = lay_out()
    root = parse(render_svg(layout, "flow"))
    left, top, width, height = (int(part) for part in root.get("viewBox", "").split())
    assert (root.get("width"), root.get("height")) == (str(width), str(height))
    assert left == top < 0
    assert (width + 2 * left, height + 2 * top) == (layout.width, layout.height)


def test_an_empty_flow_says_that_it_has_no_steps() -> None:
    root = parse(render_svg(compute_layout([]), "flow"))
    assert find_texts(root, "pgf-note") == ["No steps yet"]
    assert not find_elements(root, "pgf-node")


def test_a_step_without_a_subtitle_has_one_line() -> None:
    root = parse(render_svg(lay_out(Node("only")), "flow"))
    assert find_texts(root, "pgf-name") == ["only"]
    assert find_texts(root, "pgf-note") == []


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_an_icon_a_word_and_a_colour(status: Status) -> None:
    layout = lay_out(Node("a"))
    root = parse(render_svg(layout, "flow", states={"a": StepState(status, duration="5 s")}))
    (node,) = find_elements(root, f"pgf-{status}")
    assert node.get("aria-label") == f"a, step, {status}, 5 s"
    assert find_texts(node, "pgf-note") == [f"{status} · 5 s"]
    (icon,) = find_elements(node, "pgf-icon")
    assert icon.get("d") == ICONS[status]
    assert f".pgf-{status} .pgf-icon{{stroke:#" in build_stylesheet("light")


def test_every_status_has_an_icon_of_its_own() -> None:
    assert len(set(ICONS.values())) == len(ICONS) == len(STATUSES) + 2


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="'started' is not one of waiting, running"):
        StepState("started")  # type: ignore[arg-type]


def test_a_running_map_step_shows_its_counts_and_a_bar() -> None:
    root = parse(render_svg(lay_out(), "flow", states=STATES))
    (node,) = find_elements(root, "pgf-running")
    assert node.get("aria-label") == "check, map step, running, 42 of 100, 3 failed, 12 s"
    assert find_texts(node, "pgf-note") == ["42 of 100 · 3 failed"]
    track, lost, done = (
        float(find_elements(node, name)[0].get("width", ""))
        for name in ("pgf-track", "pgf-lost", "pgf-done")
    )
    assert done / track == pytest.approx(0.42, abs=0.01)
    assert lost / track == pytest.approx(0.45, abs=0.01)


@pytest.mark.parametrize(
    ("state", "bars"),
    [
        (StepState("waiting"), []),
        (StepState("completed", total=0), []),
        (StepState("waiting", total=10), ["pgf-track"]),
        (StepState("completed", done=10, total=10), ["pgf-track", "pgf-done"]),
        (StepState("failed", done=0, total=10, failed=10), ["pgf-track", "pgf-lost"]),
        (StepState("failed", done=99, total=10, failed=99), ["pgf-track", "pgf-done"]),
    ],
)
def test_a_bar_has_the_parts_that_there_are_and_never_leaves_its_track(
    state: StepState, bars: list[str]
) -> None:
    (placed,) = lay_out(Node("a", kind="map")).nodes
    node = parse(render_node(placed, state))
    found = [rect for rect in node.iter(f"{SVG}rect") if rect.get("rx") == "2.5"]
    assert [rect.get("class") for rect in found] == bars
    assert all(float(rect.get("width", "")) <= placed.width for rect in found)


def test_a_single_step_shows_no_counts() -> None:
    (placed,) = lay_out(Node("a")).nodes
    node = parse(render_node(placed, StepState("running", done=0, total=1)))
    assert find_texts(node, "pgf-note") == ["running"]
    assert not find_elements(node, "pgf-track")


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (StepState("completed", 4, 4, duration="9 s"), "completed · 4 of 4 · 9 s"),
        (StepState("completed", 4000, 4000, duration="9 s"), "completed · 4000 of 4000"),
        (StepState("failed", 4, 9, failed=5, duration="9 s"), "failed · 4 of 9 · 5 failed"),
        (StepState("running", 4, 900, failed=25), "4 of 900 · 25 failed"),
        (StepState("running", 123456, 1000000, failed=25123), "running · 25123 failed"),
        (StepState("waiting", note="waits for the approval of the owner"), "waiting"),
    ],
)
def test_a_line_that_is_too_long_leaves_out_what_tells_least(state: StepState, line: str) -> None:
    (placed,) = lay_out(Node("a", kind="map")).nodes
    assert find_texts(parse(render_node(placed, state)), "pgf-note") == [line]


def test_edges_to_running_steps_are_active() -> None:
    root = parse(render_svg(lay_out(), "flow", states=STATES))
    (edge,) = find_elements(root, "pgf-active")
    layout = lay_out()
    (line,) = find_elements(edge, "pgf-line")
    assert line.get("d") in {placed.path for placed in layout.edges if placed.target == "check"}


def test_the_words_can_be_translated() -> None:
    labels = Labels(
        {"running": "läuft"},
        map_step="je Element",
        counts="{done} von {total}",
        failures="{failed} kaputt",
    )
    root = parse(render_svg(lay_out(), "flow", states=STATES, labels=labels))
    (node,) = find_elements(root, "pgf-running")
    assert node.get("aria-label") == "check, je Element, läuft, 42 von 100, 3 kaputt, 12 s"


def test_a_word_that_is_too_long_is_clipped() -> None:
    labels = Labels({"waiting": "wartet noch auf die Freigabe durch die Buchhaltung"})
    (placed,) = lay_out(Node("a")).nodes
    root = parse(render_node(placed, STATES["save"], options=DrawOptions(labels)))
    assert find_texts(root, "pgf-note") == ["wartet noch auf di…"]


def test_a_whole_drawing_is_made_of_the_fragments() -> None:
    layout = lay_out()
    document = render_svg(layout, "flow", states=STATES)
    assert render_nodes(layout, STATES) in document
    assert render_edges(layout, STATES) in document
    for placed in layout.nodes:
        assert render_node(placed, STATES[placed.slug]) in document
    for edge in layout.edges:
        assert render_edge(edge, STATES[edge.target]) in document


def test_a_drawing_to_look_at_has_no_ids_that_a_page_could_have_twice() -> None:
    root = parse(render_svg(lay_out(), "flow", states=STATES))
    assert [element.get("id") for element in root.iter() if element.get("id")] == ["pgf-dots"]


def test_interactive_steps_are_buttons_with_data_for_the_script() -> None:
    layout = lay_out()
    root = parse(render_nodes(layout, options=DrawOptions(interactive=True)))
    node = root[-1]
    expected = {
        "id": "pgf-step-save",
        "role": "button",
        "tabindex": "-1",
        "aria-label": "save, step",
        "data-slug": "save",
        "data-deps": "check fetch",
        "data-rank": "2",
        "data-order": "0",
    }
    assert {name: node.get(name) for name in expected} == expected
    assert node.findtext(f"{SVG}desc") == "after check, fetch"
    assert root[0].find(f"{SVG}desc") is None
    edge = parse(render_edges(layout, options=DrawOptions(interactive=True)))[0]
    assert (edge.get("id"), edge.get("data-source")) == ("pgf-edge-fetch-check", "fetch")
    assert edge.get("data-target") == "check"


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_editable_steps_have_ports_where_the_edges_end(direction: str) -> None:
    layout = compute_layout(FLOW, direction=direction)  # type: ignore[arg-type]
    options = DrawOptions(editable=True)
    for placed in layout.nodes:
        inlet, outlet = parse(render_node(placed, options=options)).iter(f"{SVG}circle")
        for port, (x, y) in ((inlet, placed.inlet), (outlet, placed.outlet)):
            assert int(port.get("cx", "")) + placed.x == x
            assert int(port.get("cy", "")) + placed.y == y
    assert len(find_elements(parse(render_edges(layout, options=options)), "pgf-hit")) == 3


def test_a_step_with_a_problem_is_marked_and_says_so() -> None:
    (placed,) = lay_out(Node("a")).nodes
    node = parse(render_node(placed, problem="unknown function"))[0]
    assert "pgf-bad" in node.get("class", "").split()
    assert node.get("aria-label") == "a, step, problem: unknown function"
    assert find_texts(node, "pgf-warning-mark") == ["!"]


def test_extra_attributes_are_added_and_escaped() -> None:
    (placed,) = lay_out(Node("a")).nodes
    node = parse(render_node(placed, attributes={"hx-swap-oob": "true", "data-x": '"<'}))[0]
    assert (node.get("hx-swap-oob"), node.get("data-x")) == ("true", '"<')


def list_lines(root: ET.Element) -> Iterator[tuple[str, Font]]:
    for name, font in (("pgf-name", NAME_FONT), ("pgf-note", NOTE_FONT)):
        for text in find_texts(root, name):
            yield text, font


@settings(max_examples=150)
@given(any_text, any_text, any_text, st.sampled_from(["single", "map"]), st.booleans())
def test_no_text_reaches_the_edge_of_its_card(
    title: str, subtitle: str, note: str, kind: str, has_state: bool
) -> None:
    node = Node("a" * 128, title=title, subtitle=subtitle, kind=kind)  # type: ignore[arg-type]
    (placed,) = lay_out(node).nodes
    state = StepState("retrying", 10**6, 10**6, 10**5, duration=note, note=note)
    root = parse(render_node(placed, state if has_state else None))
    room = placed.width - cards.TEXT_LEFT - cards.TEXT_RIGHT
    for text, font in list_lines(root):
        assert font.measure(text) <= room


@given(st.text(max_size=60), st.floats(20, 300))
def test_clipped_text_is_the_beginning_and_fits(text: str, room: float) -> None:
    clipped = clip_text(text, room, NAME_FONT)
    assert NAME_FONT.measure(clipped) <= room
    if clipped != text:
        assert NAME_FONT.measure(text) > room
        assert text.startswith(clipped.removesuffix(ELLIPSIS))


@pytest.mark.parametrize(
    ("path", "room", "clipped"),
    [
        ("shop.etl.fetch", 200, "shop.etl.fetch"),
        ("shop.etl.fetch", 60, "…etl.fetch"),
        ("shop.etl.fetch", 50, "…fetch"),
        ("shop.etl.fetch", 35, "fetch"),
        ("shop.etl.fetch", 25, "fe…"),
        ("a sentence without any", 60, "a sente…"),
        ("", 60, ""),
    ],
)
def test_a_dotted_path_keeps_its_end(path: str, room: float, clipped: str) -> None:
    assert clip_dotted_path(path, room, NOTE_FONT) == clipped
    assert NOTE_FONT.measure(clipped) <= room


def test_clipped_names_stand_in_full_in_the_tooltip() -> None:
    slug = "a_very_long_name_that_no_card_could_ever_show_in_full"
    (placed,) = lay_out(Node(slug, subtitle="some.module." + slug)).nodes
    node = parse(render_node(placed, StepState("completed")))[0]
    assert find_texts(node, "pgf-name") != [slug]
    assert node.findtext(f"{SVG}title") == f"{slug}\nsome.module.{slug}\ncompleted"


def test_what_is_noted_of_a_step_stands_in_the_tooltip_line_by_line() -> None:
    (placed,) = lay_out(Node("fetch", description="Ask <the> shop.\n" + "x" * 400)).nodes
    for options in (DrawOptions(), DrawOptions(interactive=True, light=True)):
        title = parse(render_node(placed, options=options))[0].findtext(f"{SVG}title") or ""
        name, first, second = title.splitlines()
        assert (name, first) == ("fetch", "Ask <the> shop.")
        assert set(second) == {"x", "…"}
        assert len(first) + len(second) < 300


def test_accents_are_as_wide_as_their_letters_and_marks_are_not_free() -> None:
    assert NAME_FONT.measure("é") == NAME_FONT.measure("e")
    assert NAME_FONT.measure("漢") > NAME_FONT.measure("W")
    assert 0 < NAME_FONT.measure("\u0301") < NAME_FONT.measure("i")
    assert NAME_FONT.measure("ﬃ") == 3 * NAME_FONT.measure("漢")


def find_contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""

    def find_luminance(colour: str) -> float:
        shares = [byte / 255 for byte in bytes.fromhex(colour[1:])]
        red, green, blue = (
            share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
            for share in shares
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((find_luminance(one), find_luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_icons_have_enough_contrast(palette: Palette) -> None:
    grounds = [palette.card, mix_colours(palette.statuses["failed"], palette.card, 0.07)]
    for ground in grounds:
        for colour in (palette.text, palette.quiet, *palette.statuses.values()):
            assert find_contrast(colour, ground) >= 4.5, (colour, ground)
    assert find_contrast(palette.quiet, palette.canvas) >= 4.5
    for colour in (palette.single, palette.map, *palette.statuses.values()):
        assert find_contrast(colour, mix_colours(colour, palette.card, 0.13)) >= 3, colour
    assert find_contrast(palette.line, palette.canvas) >= 3
    assert find_contrast(palette.statuses["running"], palette.canvas) >= 3


@pytest.mark.parametrize(
    ("theme", "colours"),
    [("light", {LIGHT.text}), ("dark", {DARK.text}), ("auto", {LIGHT.text, DARK.text})],
)
def test_a_theme_decides_which_colours_a_file_has(theme: Theme, colours: set[str]) -> None:
    document = render_svg(lay_out(), "flow", theme=theme)
    assert {colour for colour in (LIGHT.text, DARK.text) if colour in document} == colours
    assert ("prefers-color-scheme:dark" in document) == (theme == "auto")


def test_the_style_sheet_speaks_of_our_own_classes_and_of_all_that_are_drawn() -> None:
    stylesheet = build_stylesheet()
    assert stylesheet.count("{") == stylesheet.count("}")
    styled = set(re.findall(r"\.([a-z][\w-]*)", stylesheet))
    assert all(name.startswith("pgf-") for name in styled)
    states = {slug: STATES[slug] for slug in STATES}
    root = parse(render_svg(lay_out(), "flow", states=states))
    drawn = {name for element in root.iter() for name in element.get("class", "").split()}
    assert drawn - styled <= {"pgf-edge", "pgf-node"}


def test_the_same_flow_always_gives_the_same_file() -> None:
    assert render_svg(lay_out(), "flow", states=STATES) == render_svg(
        lay_out(), "flow", states=dict(reversed(STATES.items()))
    )


def test_the_drawing_code_needs_neither_django_nor_a_database() -> None:
    """Each module imports the standard library and its own package only."""
    folder = Path(pgflow_django.drawing.svg.__file__).parent
    for path in folder.glob("*.py"):
        for statement in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            elif isinstance(statement, ast.ImportFrom):
                names = [statement.module or ""]
            for name in names:
                ours = name.startswith("pgflow_django.drawing")
                assert ours or name.split(".")[0] in sys.stdlib_module_names, (path.name, name)
