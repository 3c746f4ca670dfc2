"""The drawing of a page, and the small one of a list."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from pgflow_django.drawing.canvas import (
    LIGHT_FROM,
    find_layout,
    render_canvas,
    render_thumbnail,
)
from pgflow_django.drawing.graph import Node

NODES = (Node("fetch"), Node("render", ("fetch",), kind="map"))


def make_chain(count: int) -> tuple[Node, ...]:
    return tuple(Node(f"s{n}", (f"s{n - 1}",) if n else ()) for n in range(count))


def find_classes(drawing: str) -> set[str]:
    root = ET.fromstring(drawing)  # noqa: S314 - our own text
    return {name for element in root.iter() for name in element.get("class", "").split()}


def test_the_drawing_of_a_page_has_what_the_script_looks_for() -> None:
    root = ET.fromstring(render_canvas(find_layout(NODES), "flow", editable=True))  # noqa: S314
    ids = {element.get("id") for element in root.iter()} - {None}
    assert ids == {
        "pgf-dag", "pgf-grid", "pgf-world", "pgf-edges", "pgf-rubber", "pgf-nodes",
        "pgf-edge-tools", "pgf-step-fetch", "pgf-step-render", "pgf-edge-fetch-render",
    }  # fmt: skip


def test_nothing_to_edit_with_where_it_is_not_to_be_edited() -> None:
    classes = find_classes(render_canvas(find_layout(NODES), "flow"))
    assert not classes & {"pgf-editable", "pgf-port", "pgf-tool", "pgf-hit"}


def test_very_many_steps_are_drawn_with_fewer_elements() -> None:
    few = render_canvas(find_layout(make_chain(LIGHT_FROM)), "flow", editable=True)
    many = render_canvas(find_layout(make_chain(LIGHT_FROM + 1)), "flow", editable=True)
    assert len(many) < 0.9 * len(few)
    assert {"pgf-hit", "pgf-in"} <= find_classes(few)
    assert not {"pgf-hit", "pgf-in"} & find_classes(many)
    assert {"pgf-light", "pgf-out"} <= find_classes(many)


def test_a_warning_looks_different_from_a_problem() -> None:
    problems = {"fetch": "wrong", "render": "odd"}
    drawing = render_canvas(find_layout(NODES), "flow", problems=problems, doubtful={"render"})
    root = ET.fromstring(drawing)  # noqa: S314
    steps = {e.get("data-slug"): e.get("class", "") for e in root.iter() if e.get("data-slug")}
    assert steps["fetch"].endswith("pgf-bad")
    assert steps["render"].endswith("pgf-bad pgf-doubtful")


def test_words_and_attributes_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    drawing = render_canvas(
        find_layout(NODES), evil, problems={"fetch": evil}, attributes={"x": evil}
    )
    assert "<script" not in drawing
    assert "<script" not in render_thumbnail(find_layout(NODES), evil)


def test_a_layout_is_remembered_by_the_structure_of_the_flow() -> None:
    assert find_layout(make_chain(5)) is find_layout(make_chain(5))
    assert find_layout(make_chain(5), viewport=(900, 650)) is find_layout(
        make_chain(5), viewport=(910, 660)
    )
    assert find_layout(make_chain(5), direction="TB") is not find_layout(make_chain(5))


def test_a_thumbnail_stays_within_its_frame() -> None:
    for nodes in ((), NODES, make_chain(80)):
        root = ET.fromstring(render_thumbnail(find_layout(nodes, direction="LR"), "flow"))  # noqa: S314
        boxes = [element.attrib for element in root if element.tag == "rect"]
        assert len(boxes) == len(nodes)
        for box in boxes:
            assert -2 <= float(box["x"]) <= 120 - float(box["width"]) + 2
            assert -2 <= float(box["y"]) <= 40 - float(box["height"]) + 2
