"""What ``simulate_flow`` says beside what the engine does with the same flow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, TypedDict

import pytest
from django.test import override_settings

from pgflow_django import PgflowError, executor, flow_builder, simulate_flow, step_function
from pgflow_django.exceptions import InvalidInput
from pgflow_django.models import Workflow, WorkflowStepState
from pgflow_django.registry import registry
from pgflow_django.runs.simulation import Simulation
from tests.engine.building import build


class Day(TypedDict):
    when: date


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    before = dict(registry._functions)
    yield
    registry._functions.clear()
    registry._functions.update(before)


def flow_of(*steps: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


def compare(document: dict[str, Any], run_input: Any, functions: dict[str, Any]) -> Simulation:
    """The simulation of a flow, after a run of it: both have the same tasks and outputs.

    Of each of ``functions``, which are called, the simulation is given what the run gave.
    """
    flow_builder.create_flow_from_spec(document)
    run = executor.execute_dynamic("flow", run_input, functions)
    states = {row.step_slug: row for row in WorkflowStepState.objects.all()}
    given = {slug: states[slug].output for slug in functions}
    found = simulate_flow(document, run_input, outputs=given)
    assert {step.slug: step.tasks for step in found.steps} == {
        slug: row.initial_tasks for slug, row in states.items()
    }
    assert found.output == run
    return found


def test_a_constant_is_what_its_params_say() -> None:
    constant = {"slug": "days", "uses": "pgflow.given", "params": {"value": [5, 6, 7]}}
    each = {"slug": "each", "uses": "pgflow.given", "type": "map", "depends_on": ["days"]}
    found = compare(flow_of(constant, {**each, "params": {"value": None}}), {}, {})
    assert found.output == {"each": [None, None, None]}
    assert [step.output_from for step in found.steps] == ["computed", "computed"]


def test_lists_that_are_joined_are_joined() -> None:
    steps: list[dict[str, Any]] = [
        {"slug": "z", "uses": "pgflow.given", "params": {"value": [1, 2]}},
        {"slug": "one", "uses": "pgflow.given", "params": {"value": {"n": 3}}},
        {"slug": "each", "type": "map", "uses": "pgflow.given", "params": {"value": [4]}},
    ]
    steps[2]["depends_on"] = ["z"]
    steps += [
        {"slug": "join", "uses": "pgflow.join", "depends_on": ["each", "one", "z"]},
        {"slug": "last", "type": "map", "depends_on": ["join"]},
        {"slug": "read", "uses": "pgflow.join", "depends_on": ["one"], "inputs": {"one": "one/n"}},
        {"slug": "none", "uses": "pgflow.join"},
    ]
    found = compare(flow_of(*steps), {"z": "of the run"}, {"last": lambda i: i["index"]})
    assert found.steps[3].output == [1, 2, {"n": 3}, [4], [4]]
    assert (found.output or {})["read"] == [3]


def test_what_is_joined_of_something_unknown_is_unknown() -> None:
    join = {"slug": "join", "uses": "pgflow.join", "depends_on": ["a", "b"]}
    found = simulate_flow(flow_of({"slug": "a"}, {"slug": "b"}, join), {}, outputs={"a": [1]})
    assert [step.output_from for step in found.steps] == ["given", "unknown", "unknown"]
    item = {"slug": "m", "uses": "pgflow.join", "type": "map", "depends_on": ["a"]}
    found = simulate_flow(flow_of({"slug": "a"}, item), {}, outputs={"a": [1]})
    assert found.steps[1].output_from == "unknown"


def test_joining_what_was_joined_takes_little_room() -> None:
    steps: list[dict[str, Any]] = [
        {"slug": "a0", "uses": "pgflow.given", "params": {"value": [1]}},
        {"slug": "b0", "uses": "pgflow.given", "params": {"value": ["x" * 10_000]}},
    ]
    for n in range(1, 60):
        both = [f"a{n - 1}", f"b{n - 1}"]
        steps += [
            {"slug": f"{name}{n}", "uses": "pgflow.join", "depends_on": both} for name in "ab"
        ]
    found = simulate_flow(flow_of(*steps), {})
    assert found.steps[-1].output_from == "unknown"
    assert max(len(json.dumps(step.output)) for step in found.steps) < 20_000_000


@pytest.mark.parametrize("run_input", [None, [1, 2], "text", 7])
def test_a_null_is_an_input_like_any_other(run_input: Any) -> None:
    each = {"slug": "each", "type": "map", "initial_tasks": 2}
    compare(flow_of(each), run_input, {"each": lambda i: i["item"]})


def test_an_input_that_no_start_takes_is_a_problem_also_null() -> None:
    schema = {"type": "object", "required": ["n"]}
    document = flow_of({"slug": "a"}, input_schema=schema)
    found = simulate_flow(document, None)
    assert [one.code for one in found.problems] == ["invalid_input"]
    assert not found.ok
    assert simulate_flow(document).ok


def test_what_a_map_gave_counts_its_tasks_though_nobody_knows_over_what() -> None:
    each = {"slug": "m", "type": "map", "depends_on": ["a"]}
    after = {"slug": "n", "type": "map", "depends_on": ["m"]}
    found = simulate_flow(flow_of({"slug": "a"}, each, after), {}, outputs={"m": [1, 2, 3]})
    assert [step.tasks for step in found.steps] == [1, 3, 3]
    assert (found.totals.tasks, found.totals.most_at_once) == (7, 3)


@pytest.mark.parametrize("outputs", [[], "", 0, False, 7, "x", [1]])
def test_outputs_that_are_no_object(outputs: Any) -> None:
    with pytest.raises(InvalidInput, match="outputs must be an object") as caught:
        simulate_flow(flow_of({"slug": "a"}), {}, outputs=outputs)
    assert caught.value.code == "invalid_outputs"


@pytest.mark.parametrize(
    ("output", "count"), [([1], "has 1 element, "), ([], "has 0 elements, "), ([1, 2, 3], "has 3 ")]
)
def test_a_list_that_is_too_short_or_long_is_no_output_of_a_map(output: Any, count: str) -> None:
    each = {"slug": "m", "type": "map"}
    with pytest.raises(InvalidInput, match=count) as caught:
        simulate_flow(flow_of(each), [1, 2], outputs={"m": output})
    assert caught.value.code == "invalid_outputs"
    with pytest.raises(InvalidInput, match="but the step has 1 task[.]"):
        simulate_flow(flow_of(each), [1], outputs={"m": [1, 2]})


def deep(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"v": value}
    return value


@pytest.mark.parametrize(
    "run_input", [{"text": "x" * 500}, {"text": "é" * 60}, deep(70), {"n": {1}}, {"t": "\0"}]
)
def test_an_input_that_a_start_refuses_is_refused_in_the_same_words(run_input: Any) -> None:
    build("flow", {"a": []})
    refusals = []
    with override_settings(PGFLOW={"MAX_INPUT_BYTES": 100}):
        for ask in (executor.start_flow, simulate_flow):
            with pytest.raises(InvalidInput) as caught:
                ask("flow", run_input)
            refusals.append((caught.value.code, caught.value.message))
    assert refusals[0] == refusals[1]


def test_a_flow_that_no_start_takes_is_not_fine() -> None:
    build("empty", {})
    build("off", {"a": []})
    Workflow.objects.filter(workflow_slug="off").update(is_active=False)
    for slug in ("empty", "off"):
        with pytest.raises(PgflowError) as caught:
            executor.start_flow(slug)
        found = simulate_flow(slug, {})
        assert not found.ok
        assert len(found.steps) == (slug == "off")
        errors = [one.code for one in found.problems if one.severity == "error"]
        assert errors == [caught.value.code]


@pytest.mark.parametrize(
    ("declared", "returned"),
    [
        (tuple[int, int], (0, 0)),
        ({"type": "array", "minItems": 3}, [{}, {}, {}]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"const": 2}]}, [0, 2]),
        (list[Day], [{"when": date(2026, 1, 1)}]),
    ],
)
def test_what_is_made_up_of_a_type_is_of_the_type(declared: Any, returned: Any) -> None:
    step_function("sim.made", output=declared)(lambda input: returned)
    each = {"slug": "each", "type": "map", "depends_on": ["a"]}
    document = flow_of({"slug": "a", "uses": "sim.made"}, each)
    found = compare(document, {}, {"each": lambda i: 0})
    assert [step.output_from for step in found.steps] == ["schema", "given"]


@pytest.mark.parametrize("declared", [Decimal, {"type": "string", "pattern": "^a$"}])
def test_of_a_type_that_nothing_made_up_fits_nothing_is_made_up(declared: Any) -> None:
    step_function("sim.made", output=declared)(lambda input: None)
    found = simulate_flow(flow_of({"slug": "a", "uses": "sim.made"}), {})
    assert (found.steps[0].output_from, found.output) == ("unknown", {})


def test_an_input_that_can_not_be_made_up_is_unknown() -> None:
    schema = {"properties": {"code": {"type": "string", "pattern": "^a$"}}, "required": ["code"]}
    found = simulate_flow(flow_of({"slug": "a"}, input_schema=schema))
    assert found.steps[0].unknown == ("run",)
