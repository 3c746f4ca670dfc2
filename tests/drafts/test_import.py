"""Import with a look first, and export as Python."""

from __future__ import annotations

import json

import pytest

from pgflow_django import drafts, flow_builder
from pgflow_django.exceptions import DraftConflict

pytestmark = pytest.mark.django_db

GUIDE = {
    "workflow_slug": "pipeline",
    "steps": [
        {"slug": "fetch", "depends_on": [], "type": "single"},
        {"slug": "process", "depends_on": ["fetch"], "type": "map"},
    ],
}


def test_the_short_shape_of_the_guide_makes_a_new_flow() -> None:
    preview = drafts.preview_import(json.dumps(GUIDE))
    assert (preview.is_new, preview.can_apply, preview.slug) == (True, True, "pipeline")
    assert preview.document is not None
    edited = drafts.apply_import("pipeline", preview.document, version=0, user="ann")
    assert edited.touched == ("fetch", "process")
    assert flow_builder.list_flows() == []
    drafts.publish("pipeline", edited.draft.version, user="ann")
    again = drafts.preview_import(json.dumps(flow_builder.export_flow("pipeline")))
    assert (again.changes, again.can_apply) == ([], False)


def test_an_import_over_a_flow_shows_its_changes_and_can_be_undone() -> None:
    drafts.create("pipeline", {"steps": [{"slug": "fetch"}, {"slug": "old"}]}, user="ann")
    preview = drafts.preview_import(json.dumps(GUIDE))
    assert [(change.kind, change.step) for change in preview.changes] == [
        ("removed", "old"),
        ("added", "process"),
    ]
    assert preview.document is not None
    draft = drafts.apply_import(
        "pipeline", preview.document, version=preview.version, user="bob"
    ).draft
    with pytest.raises(DraftConflict):
        drafts.apply_import("pipeline", preview.document, version=preview.version, user="bob")
    undone = drafts.edit("pipeline", draft.version, "undo", {}, user="bob").draft
    assert [row["slug"] for row in undone.document["steps"]] == ["fetch", "old"]


def test_a_flow_can_be_imported_under_another_name() -> None:
    preview = drafts.preview_import(json.dumps(GUIDE), slug="copy")
    assert preview.slug == "copy"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 0, 0, "no text"),
        ('{\n  "steps": [,]\n}', 2, 13, "not JSON"),
        ('{"steps": [NaN]}', 1, 12, "NaN"),
        ('{"NaN": "[",\n "steps": [-Infinity]}', 2, 12, "-Infinity"),
        ('{"steps": [1, 1.5, -1e400]}', 1, 20, "too large"),
        ('{"steps": [' + "9" * 400 + ".0]}", 1, 12, "too large"),
        ('{"a": {"a": 1},\n  "\\u0061": 2}', 2, 3, 'the key "a" already'),
        ("[" * 100_000, 1, 65, "nested"),
        ("[" * 65 + "]" * 65, 1, 65, "nested"),
        ('{"description": "\\u0000"}', 1, 17, "u0000"),
        ('{"description": "\\ud800"}', 1, 17, "surrogate"),
        ("[1" + "0" * 5000 + "]", 1, 2, "this is an integer of too many digits; use text"),
        ('{"a":\n -' + "9" * 5001 + ", }", 2, 2, "an integer of too many digits; use text"),
        ("[]", 1, 1, "JSON object"),
        ('{"workflow_slug": "x",\n "steps": [{"slug": "a",\n "timeout": -1}]}', 3, 1, "timeout"),
        ('{"workflow_slug": "x", "steps": [{"slug": "a", "depends_on": ["b"]}]}', 1, 1, '"b"'),
        ("x" * 1_100_000, 0, 0, "KiB"),
    ],
)
def test_bad_text_is_told_with_its_place(text: str, line: int, column: int, words: str) -> None:
    preview = drafts.preview_import(text)
    assert preview.document is None
    assert not preview.can_apply
    first = preview.problems[0]
    assert (first.line, first.column) == (line, column)
    assert words in first.found.message


def test_python_code_makes_the_same_flow() -> None:
    document = {
        "workflow_slug": "flow",
        "timeout": 60,
        "description": 'it\'s "quoted"\nand long',
        "steps": [
            {"slug": "end", "depends_on": ["a", "b"], "params": {"x": [1, None, True]}},
            {"slug": "a", "uses": "shop.a"},
            {"slug": "b", "type": "map", "initial_tasks": 3, "queue": "gpu"},
        ],
    }
    flow_builder.create_flow_from_spec(document)
    exported = flow_builder.export_flow("flow")
    code = drafts.export_python(exported)
    flow_builder.delete_flow("flow")
    exec(compile(code, "flow.py", "exec"), {})  # noqa: S102 - running it is the point
    again = flow_builder.export_flow("flow")
    by_slug = {row["slug"]: row for row in exported["steps"]}
    rows = {row["slug"]: row for row in again["steps"]}
    assert {**again, "steps": None} == {**exported, "steps": None}
    assert rows == by_slug
