"""The built-in function that joins lists, and the fix that puts it before a map step."""

from __future__ import annotations

from typing import Any

from pgflow_django import flow_builder, validate_flow
from pgflow_django.definitions.edits.patches import apply_patch
from tests.engine.building import build
from tests.engine.doors import Door

JOIN = {"join": {"uses": "pgflow.join"}}


def test_lists_are_joined_in_the_order_of_depends_on_and_all_else_is_an_item(door: Door) -> None:
    steps = {"zebra": [], "b": [], "a": [], "join": ["zebra", "b", "a"]}
    build("flow", steps, options=JOIN)
    functions = {"zebra": lambda i: [1, 2], "b": lambda i: {"n": 3}, "a": lambda i: [[4], None]}
    output = door.output("flow", {"a": "of the run"}, functions)
    assert output["join"] == [1, 2, {"n": 3}, [4], None]


def test_of_nothing_an_empty_list_is_made(door: Door) -> None:
    build("flow", {"join": []}, options=JOIN)
    assert door.output("flow", {}, {})["join"] == []


def test_the_fix_of_a_map_step_over_several_is_a_step_that_joins_them(door: Door) -> None:
    document: Any = {
        "workflow_slug": "flow",
        "steps": [
            {"slug": "a"},
            {"slug": "b"},
            {"slug": "each", "type": "map", "depends_on": ["a", "b"]},
        ],
    }
    (problem,) = [one for one in validate_flow(document) if one.severity == "error"]
    assert problem.code == "map_step_constraint_violation"
    assert problem.fix is not None
    mended = apply_patch(document, problem.fix)
    assert mended["steps"][2] == {
        "slug": "join_each",
        "uses": "pgflow.join",
        "depends_on": ["a", "b"],
    }
    flow_builder.create_flow_from_spec(mended)
    functions = {"a": lambda i: [1], "b": lambda i: [2, 3], "each": lambda i: i["item"] * 10}
    assert door.output("flow", {}, functions)["each"] == [10, 20, 30]


def test_where_inputs_read_what_is_joined_there_is_no_fix() -> None:
    document: Any = {
        "workflow_slug": "flow",
        "steps": [
            {"slug": "a"},
            {"slug": "b"},
            {"slug": "c", "type": "map", "depends_on": ["a", "b"], "inputs": {"all": "a"}},
        ],
    }
    assert [one.fix for one in validate_flow(document)] == [None]
