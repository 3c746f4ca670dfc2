"""Operations on a document: what each does, and what each refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pgflow_django.definitions.edits import apply
from pgflow_django.exceptions import EditRefused

DOCUMENT: dict[str, Any] = {
    "workflow_slug": "orders",
    "steps": [
        {"slug": "fetch"},
        {"slug": "check", "depends_on": ["fetch"], "type": "map", "timeout": 5},
        {"slug": "store", "depends_on": ["check"], "uses": "shop.store"},
    ],
}


def steps(op: str, **arguments: Any) -> dict[str, dict[str, Any]]:
    before = copy.deepcopy(DOCUMENT)
    edited = apply(DOCUMENT, op, arguments, functions=["fetch", "notify"])
    assert before == DOCUMENT, "the document itself was changed"
    return {row["slug"]: row for row in edited.document["steps"]}


def test_add_step_appends_one_named_after_its_function() -> None:
    assert steps("add_step", uses="shop.notify", depends_on=["store"])["notify"] == {
        "slug": "notify",
        "uses": "shop.notify",
        "depends_on": ["store"],
    }
    assert steps("add_step", uses="notify")["notify"] == {"slug": "notify"}
    assert steps("add_step")["step"] == {"slug": "step"}
    assert steps("add_step", uses="fetch")["fetch_2"] == {"slug": "fetch_2", "uses": "fetch"}
    assert steps("add_step", uses="orders.run")["step_run"]["uses"] == "orders.run"
    assert steps("add_step", uses="orders.1st")["step_1st"]["uses"] == "orders.1st"


def test_update_step_sets_fields_and_leaves_defaults_out() -> None:
    assert steps("update_step", step="check", timeout=None, max_attempts=9)["check"] == {
        "slug": "check",
        "depends_on": ["fetch"],
        "type": "map",
        "max_attempts": 9,
    }
    assert steps("update_step", step="check", type="single")["check"] == {
        "slug": "check",
        "depends_on": ["fetch"],
        "timeout": 5,
    }
    assert "depends_on" not in steps("update_step", step="store", depends_on=[])["store"]
    assert steps("update_step", step="fetch", uses="fetch")["fetch"] == {"slug": "fetch"}


def test_rename_step_keeps_lines_and_function() -> None:
    renamed = steps("rename_step", step="fetch", to="load")
    assert renamed["load"] == {"slug": "load", "uses": "fetch"}
    assert renamed["check"]["depends_on"] == ["load"]
    assert steps("rename_step", step="check", to="each")["each"].get("uses") is None


def test_delete_step_lets_dependents_inherit() -> None:
    assert steps("delete_step", step="check")["store"]["depends_on"] == ["fetch"]
    assert "depends_on" not in steps("delete_step", step="check", bridge=False)["store"]
    assert "depends_on" not in steps("delete_step", step="fetch")["check"]


def test_lines_are_added_and_removed() -> None:
    assert steps("add_edge", source="fetch", target="store")["store"]["depends_on"] == [
        "check",
        "fetch",
    ]
    assert "depends_on" not in steps("delete_edge", source="check", target="store")["store"]


def test_insert_on_edge_puts_a_step_between_two() -> None:
    inserted = steps("insert_on_edge", source="check", target="store", uses="notify")
    assert inserted["notify"] == {"slug": "notify", "depends_on": ["check"]}
    assert inserted["store"]["depends_on"] == ["notify"]


def test_duplicate_copies_options_and_dependencies() -> None:
    assert steps("duplicate", step="check")["check_2"] == {
        "slug": "check_2",
        "depends_on": ["fetch"],
        "type": "map",
        "timeout": 5,
    }
    assert steps("duplicate", step="fetch")["fetch_2"] == {"slug": "fetch_2", "uses": "fetch"}


def test_set_flow_and_replace() -> None:
    assert apply(DOCUMENT, "set_flow", {"timeout": 7, "queue": "default"}).document == {
        **DOCUMENT,
        "timeout": 7,
    }
    new = {"workflow_slug": "other", "steps": [{"slug": "a"}]}
    replaced = apply(DOCUMENT, "replace", {"document": new}).document
    assert replaced == {"workflow_slug": "orders", "steps": [{"slug": "a"}]}


def test_patch_applies_what_a_problem_offers() -> None:
    patch = [
        {"op": "replace", "path": "/steps/0/slug", "value": "load"},
        {"op": "move", "from": "/steps/1/timeout", "path": "/steps/1/max_attempts"},
        {"op": "remove", "path": "/steps/2/uses"},
        {"op": "add", "path": "/steps/-", "value": {"slug": "last"}},
    ]
    assert apply(DOCUMENT, "patch", {"patch": patch}).document["steps"] == [
        {"slug": "load"},
        {"slug": "check", "depends_on": ["fetch"], "type": "map", "max_attempts": 5},
        {"slug": "store", "depends_on": ["check"]},
        {"slug": "last"},
    ]


def test_a_patch_does_not_make_it_another_flow() -> None:
    for change in ({"op": "replace", "value": "other"}, {"op": "remove"}):
        patch = [{"path": "/workflow_slug", **change}]
        assert apply(DOCUMENT, "patch", {"patch": patch}).document == DOCUMENT


@pytest.mark.parametrize(
    ("op", "arguments", "code", "text"),
    [
        ("explode", {}, "unknown_operation", 'no operation "explode"'),
        (["add_step"], {}, "unknown_operation", "no operation"),
        ("add_step", {"colour": "red"}, "invalid_arguments", "colour"),
        ("delete_step", {}, "invalid_arguments", "step"),
        ("delete_step", {"step": "fetsh"}, "missing_step", 'Did you mean "fetch"'),
        ("delete_step", {"step": {}}, "missing_step", "no step"),
        ("add_step", {"depends_on": ["nobody"]}, "missing_step", '"nobody"'),
        ("add_step", {"depends_on": 7}, "missing_dependencies", "a list of steps"),
        ("update_step", {"step": "fetch", "colour": 1}, "unknown_key", "colour"),
        ("rename_step", {"step": "fetch", "to": "check"}, "duplicate_step_slug", "already"),
        ("add_edge", {"source": "fetch", "target": "check"}, "duplicate_dependency", "already"),
        ("delete_edge", {"source": "fetch", "target": "store"}, "missing_edge", "no line"),
        ("insert_on_edge", {"source": "fetch", "target": "store"}, "missing_edge", "no line"),
        ("set_flow", {"workflow_slug": "x"}, "unknown_key", "workflow_slug"),
        ("replace", {"document": []}, "invalid_document", "JSON object"),
        ("patch", {"patch": [{"op": "remove", "path": "/steps/9"}]}, "fix_does_not_fit", "fix"),
        ("patch", {"patch": 7}, "fix_does_not_fit", "fix"),
        ("patch", {"patch": [{"op": "remove", "path": ""}]}, "fix_does_not_fit", "fix"),
    ],
)
def test_an_operation_that_can_not_be_done_says_why(
    op: Any, arguments: dict[str, Any], code: str, text: str
) -> None:
    before = copy.deepcopy(DOCUMENT)
    with pytest.raises(EditRefused) as caught:
        apply(DOCUMENT, op, arguments)
    assert caught.value.code == code
    assert text in str(caught.value)
    assert before == DOCUMENT
