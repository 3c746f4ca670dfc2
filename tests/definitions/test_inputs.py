"""Which sources a step's inputs may have, and what becomes of them when steps change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from pgflow_django import flow_builder, validate_flow
from pgflow_django.definitions.edits import apply, compare, export_python
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.definitions.shape import fingerprint
from pgflow_django.exceptions import EditRefused, InvalidStepOption, MissingDependencies
from pgflow_django.models import Workflow, WorkflowStep

JSON = dict[str, Any]


def document(*steps: JSON) -> JSON:
    return {"workflow_slug": "flow", "steps": [{"slug": "check"}, {"slug": "other"}, *steps]}


def load(inputs: Any, **more: Any) -> JSON:
    return document({"slug": "load", "depends_on": ["check"], "inputs": inputs, **more})


def codes(document: JSON) -> list[tuple[str, str]]:
    return [(found.code, found.pointer) for found in validate_flow(document)]


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"rows": "check", "day": "run", "a/b": "run/day/0", "item": "check/~0~1", " ": "check/"},
        {f"n{number}": "run" for number in range(50)},
    ],
)
def test_these_inputs_are_valid(inputs: JSON) -> None:
    assert codes(load(inputs)) == []


def test_a_map_has_an_item_and_an_index() -> None:
    inputs = {"a": "item/b", "b": "index", "c": "check"}
    assert codes(load(inputs, type="map")) == []
    assert [code for code, _ in codes(load(inputs))] == ["unknown_source"] * 2


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({f"n{number}": "run" for number in range(51)}, "has 51 names"),
        ({7: "run"}, "names must be text"),
        ({"": "run"}, "names must be text"),
        ({"run": "check"}, "has the name run"),
        ({"a": 7}, '"a" is 7, but must be text'),
        ({"a": None}, '"a" is None, but must be text'),
        ({"a": "/rows"}, "does not begin with a step"),
        ({"a": ""}, "does not begin with a step"),
        ({"a": "check/~2"}, "behind ~ stands 0"),
        ({"a": "check/~"}, "behind ~ stands 0"),
        ({"a": "check/" + "x" * 1000}, "has 1,006 characters"),
        ({"a": "check/\0"}, "u0000"),
        (["check"], "must be an object"),
        ("check", "must be an object"),
    ],
)
def test_inputs_that_are_none_are_refused(db: None, inputs: Any, words: str) -> None:
    (found,) = validate_flow(load(inputs))
    assert (found.code, found.pointer) == ("invalid_inputs", "/steps/2/inputs")
    assert words in found.message
    flow_builder.create_flow("flow")
    with pytest.raises(InvalidStepOption) as caught:
        flow_builder.add_step("flow", "load", inputs=inputs)
    assert caught.value.code == "invalid_inputs"


def test_a_source_that_is_no_dependency_is_refused_with_the_fix(db: None) -> None:
    wrong = load({"ro/ws": "other/0"})
    (found,) = validate_flow(wrong)
    assert (found.code, found.pointer) == ("missing_dependencies", "/steps/2/inputs/ro~1ws")
    assert found.fix == [{"op": "add", "path": "/steps/2/depends_on/-", "value": "other"}]
    assert codes(apply_patch(wrong, found.fix)) == []
    alone = document({"slug": "load", "inputs": {"rows": "other"}})
    (found,) = validate_flow(alone)
    assert codes(apply_patch(alone, found.fix)) == []
    (found,) = validate_flow(load({"rows": "other"}, type="map"))
    assert found.fix is None
    flow_builder.create_flow("flow")
    flow_builder.add_step("flow", "other")
    with pytest.raises(MissingDependencies):
        flow_builder.add_step("flow", "load", inputs={"rows": "other"})


@pytest.mark.parametrize("source", ["chek/a", "load", "item", "nothing", "a b"])
def test_a_source_that_is_no_step_is_refused(source: str) -> None:
    wrong = load({"rows": source})
    (found,) = validate_flow(wrong)
    assert (found.code, found.pointer) == ("unknown_source", "/steps/2/inputs/rows")
    if source == "chek/a":
        assert found.suggestions == ["check"]
        assert found.fix is not None
        assert apply_patch(wrong, found.fix)["steps"][2]["inputs"] == {"rows": "check/a"}


def test_the_fix_of_a_bad_slug_carries_what_reads_it() -> None:
    wrong = document(
        {"slug": "my step"},
        {"slug": "load", "depends_on": ["my step"], "inputs": {"a": "my step/x", "b": "run"}},
    )
    found = next(found for found in validate_flow(wrong) if found.code == "invalid_step_slug")
    fixed = apply_patch(wrong, found.fix)
    assert fixed["steps"][3]["inputs"] == {"a": "my_step/x", "b": "run"}
    assert codes(fixed) == []


def edit(before: JSON, op: str, **arguments: Any) -> JSON:
    after = apply(before, op, arguments).document
    assert [found for found in validate_flow(after) if found.severity == "error"] == []
    return after


def test_renaming_a_step_carries_what_reads_it() -> None:
    before = load({"a": "check/x", "b": "check", "c": "run/check", "check": "check"})
    after = edit(before, "rename_step", step="check", to="judge")
    assert after["steps"][2]["depends_on"] == ["judge"]
    wanted = {"a": "judge/x", "b": "judge", "c": "run/check", "check": "judge"}
    assert after["steps"][2]["inputs"] == wanted
    assert before["steps"][2]["inputs"]["a"] == "check/x"


def test_a_name_under_which_a_map_would_read_something_else_is_refused() -> None:
    before = load({"a": "check"}, type="map")
    with pytest.raises(EditRefused) as caught:
        apply(before, "rename_step", {"step": "check", "to": "item"})
    assert caught.value.code == "shadowed_step_slug"
    after = edit(load({"a": "check"}), "rename_step", step="check", to="item")
    assert after["steps"][2]["inputs"] == {"a": "item"}


def test_what_a_step_does_not_wait_for_any_more_it_does_not_read() -> None:
    before = load({"a": "check/x", "b": "run"})
    cut = edit(before, "delete_edge", source="check", target="load")
    assert cut["steps"][2]["inputs"] == {"b": "run"}
    assert edit(before, "delete_step", step="check")["steps"][1]["inputs"] == {"b": "run"}
    unset = edit(before, "update_step", step="load", depends_on=["other"])
    assert unset["steps"][2]["inputs"] == {"b": "run"}
    through = edit(before, "insert_on_edge", source="check", target="load", slug="mid")
    assert through["steps"][2]["inputs"] == {"a": "mid/x", "b": "run"}


def test_copies_read_the_copies() -> None:
    before = load({"a": "check/x"})
    both = edit(before, "duplicate", step=["check", "load"])
    assert both["steps"][-1]["inputs"] == {"a": "check_2/x"}
    assert edit(before, "duplicate", step="load")["steps"][-1]["inputs"] == {"a": "check/x"}


def test_inputs_are_compared_and_exported(db: None) -> None:
    before, after = load({"a": "check"}), load({"a": "check/x"})
    (change,) = compare(before, after)
    assert str(change) == 'step load: inputs {"a": "check"} → {"a": "check/x"}'
    flow_builder.create_flow_from_spec(after)
    assert flow_builder.export_flow("flow") == after
    source = export_python(after)
    assert "inputs={'a': 'check/x'}" in source
    flow_builder.delete_flow("flow")
    exec(source, {})  # noqa: S102 - what was just written
    assert flow_builder.export_flow("flow") == after


def test_a_flow_without_inputs_has_the_fingerprint_that_it_had() -> None:
    with_none = document({"slug": "load", "inputs": None})
    assert fingerprint(with_none) == fingerprint(document({"slug": "load"}))
    assert fingerprint(load({"a": "check"})) != fingerprint(load({}))


def test_the_database_takes_objects_only_and_counts_a_version(db: None) -> None:
    flow_builder.create_flow_from_spec(load({"a": "check"}))
    version = Workflow.objects.get().version
    steps = WorkflowStep.objects.filter(step_slug="load")
    steps.update(inputs={"a": "run"})
    assert Workflow.objects.get().version == version + 1
    with pytest.raises(IntegrityError, match="step_inputs_is_an_object"), transaction.atomic():
        steps.update(inputs=["check"])
    assert json.dumps(flow_builder.get_flow("flow")["steps"][2]["inputs"]) == '{"a": "run"}'
