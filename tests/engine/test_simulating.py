"""``simulate_flow``: how a flow would run, told without calling a function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from time import perf_counter
from typing import Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgflow_django import (
    Example,
    WorkflowNotFound,
    executor,
    flow_builder,
    simulate_flow,
    step_function,
)
from pgflow_django.definitions.samples import make_sample
from pgflow_django.exceptions import InvalidInput
from pgflow_django.models import WorkflowRun, WorkflowStepState, WorkflowVersion
from pgflow_django.registry import registry
from pgflow_django.runs.simulation import SimulatedStep, Simulation
from tests.engine.building import build
from tests.engine.database import clean, query
from tests.engine.oracle import Step, expect, flows, work
from tests.engine.workers import HandWorker


class Loaded(TypedDict):
    loaded: int
    codes: list[str]


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    """Step functions that must never be called."""
    before = dict(registry._functions)

    @step_function("sim.extract", effects="reads", examples=[Example(output=["a", "b", "c"])])
    def extract(input: dict[str, Any]) -> list[str]:
        raise AssertionError("called")

    @step_function(
        "sim.check",
        effects="none",
        examples=[
            Example(input={"item": "a"}, output={"is": 1}),
            Example(input={"item": "b"}, params={"strict": True}, output={"is": 2}),
        ],
    )
    def check(input: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError("called")

    @step_function("sim.load", effects="writes")
    def load(input: dict[str, Any]) -> Loaded:
        raise AssertionError("called")

    yield
    registry._functions.clear()
    registry._functions.update(before)


ETL = {
    "workflow_slug": "etl",
    "max_attempts": 3,
    "steps": [
        {"slug": "extract", "uses": "sim.extract"},
        {"slug": "check", "uses": "sim.check", "type": "map", "depends_on": ["extract"]},
        {"slug": "load", "uses": "sim.load", "depends_on": ["check"]},
    ],
}


def step_of(found: Simulation, slug: str) -> SimulatedStep:
    (step,) = (step for step in found.steps if step.slug == slug)
    return step


def flow_of(*steps: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


def test_waves_tasks_values_and_effects_of_a_document() -> None:
    found = simulate_flow(ETL, {"day": "today"})
    assert found.ok, found.problems
    assert found.waves == (("extract",), ("check",), ("load",))
    assert [(step.tasks, step.output_from, step.effects) for step in found.steps] == [
        (1, "example", "reads"), (3, "example", "none"), (1, "schema", "writes")
    ]  # fmt: skip
    check = step_of(found, "check")
    # The second task's item is that of an example with params, which the step doesn't have.
    assert check.output == [{"is": 1}, {"is": 1}, {"is": 1}]
    assert check.input == {
        "day": "today", "item": "a", "index": 0, "run": {"day": "today"}
    }  # fmt: skip
    assert step_of(found, "load").input["check"] == check.output
    assert (found.totals.tasks, found.totals.tasks_at_most, found.totals.most_at_once) == (5, 15, 3)
    assert found.output == {"load": {"loaded": 0, "codes": [""]}}
    assert not WorkflowRun.objects.exists()
    assert not WorkflowVersion.objects.exists()


def test_it_is_a_json_object() -> None:
    shown = json.loads(json.dumps(simulate_flow(ETL).to_dict()))
    assert list(shown) == ["ok", "problems", "waves", "steps", "totals", "output"]
    assert shown["steps"][2]["seconds"] == {"p50": 30.0, "p95": 30.0, "from": "timeout", "n": 0}
    assert shown["steps"][2]["unknown"] == ["run"]
    assert shown["totals"]["critical_path_seconds"] == {"p50": 90.0, "p95": 90.0, "from": "timeout"}


def test_what_is_given_comes_first() -> None:
    found = simulate_flow(ETL, outputs={"extract": ["x"], "load": {"loaded": 7, "codes": []}})
    assert step_of(found, "check").tasks == 1
    assert step_of(found, "load").output_from == "given"
    assert found.output == {"load": {"loaded": 7, "codes": []}}
    empty = simulate_flow(ETL, outputs={"extract": []})
    check = step_of(empty, "check")
    assert (check.tasks, check.output, check.output_from) == (0, [], "empty")
    assert check.seconds.source == "none"


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"extrakt": []}, 'there is no such step. Did you mean "extract"'),
        ({"check": 7}, "must be the list of what its tasks gave"),
        ({"check": [1]}, "has 1 element, but the step has 3 tasks"),
        ({"extract": {1, 2}}, "extract"),
    ],
)
def test_outputs_that_no_step_could_have(outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        simulate_flow(ETL, outputs=outputs)


def test_what_is_not_known_is_said() -> None:
    found = simulate_flow(
        flow_of(
            {"slug": "a"},
            {"slug": "each", "type": "map", "depends_on": ["a"]},
            {"slug": "more", "type": "map", "depends_on": ["each"]},
            {"slug": "end", "depends_on": ["more"], "inputs": {"rows": "more/0", "n": "run/n"}},
        )
    )
    assert found.ok
    assert [step.tasks for step in found.steps] == [1, None, None, 1]
    assert {step.output_from for step in found.steps} == {"unknown"}
    assert step_of(found, "end").unknown == ("more", "rows", "n", "run")
    assert found.output == {}
    more = {"slug": "more", "type": "map", "depends_on": ["each"]}
    known = simulate_flow(flow_of({"slug": "each", "type": "map"}, more), [1, 2])
    assert [step.tasks for step in known.steps] == [2, 2]


def test_a_large_map_is_counted_and_not_played() -> None:
    step = {"slug": "a", "type": "map", "initial_tasks": 1_000_000, "uses": "sim.load"}
    after = {"slug": "b", "type": "map", "uses": "sim.load", "depends_on": ["a"]}
    found = simulate_flow(flow_of(step, after), {"n": 1})
    assert [(one.tasks, one.output) for one in found.steps] == [(1_000_000, None)] * 2
    assert found.totals.tasks == 2_000_000


def test_two_thousand_large_maps_are_simulated_in_bounded_time() -> None:
    steps = [
        {"slug": f"s{n}", "type": "map", "initial_tasks": 1_000, "uses": "sim.check"}
        for n in range(1_999)
    ]
    steps.append({"slug": "end", "uses": "sim.load"})
    began = perf_counter()
    found = simulate_flow(flow_of(*steps), {"n": 1})
    assert perf_counter() - began < 5
    assert found.totals.tasks == 1_999_001
    sources = [found.steps[n].output_from for n in (19, 20, 1_999)]
    assert sources == ["example", "unknown", "schema"]


def test_problems_of_the_document_end_it() -> None:
    found = simulate_flow(flow_of({"slug": "a", "depends_on": ["b"]}))
    assert not found.ok
    assert [problem.code for problem in found.problems] == ["missing_dependencies"]
    assert (found.steps, found.waves, found.output) == ((), (), None)
    for value in (None, 7, [], {"workflow_slug": "x"}):
        assert not simulate_flow(value).steps


def test_problems_that_only_values_show() -> None:
    each = {"slug": "each", "type": "map", "depends_on": ["a"]}
    read = {"slug": "b", "depends_on": ["a"], "inputs": {"x": "a/rows/3", "day": "run/day"}}
    found = simulate_flow(
        flow_of({"slug": "a"}, each, read, input_schema={"required": ["day"]}),
        {"week": 7},
        outputs={"a": {"rows": []}},
    )
    assert not found.ok
    assert [(one.code, one.pointer) for one in found.problems if one.severity == "error"] == [
        ("invalid_input", "/day"),
        ("type_violation", "/steps/1"),
        ("input_unresolved", "/steps/2/inputs/x"),
        ("input_unresolved", "/steps/2/inputs/day"),
    ]


def test_a_stored_flow_and_an_input_of_its_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}}
    build("stored", {"a": []}, input_schema=schema, options={"a": {"uses": "sim.load"}})
    found = simulate_flow("stored")
    assert step_of(found, "a").input == {"n": 3, "run": {"n": 3}}
    with pytest.raises(WorkflowNotFound, match="stored"):
        simulate_flow("stord")


def test_an_examples_output_is_what_would_be_stored() -> None:
    @step_function("sim.day", examples=[Example(output=date(2026, 1, 31))])
    def day(input: dict[str, Any]) -> date:
        raise AssertionError("called")

    found = simulate_flow(flow_of({"slug": "a", "uses": "sim.day"}))
    assert found.output == {"a": "2026-01-31"}


def run_by_hand(slug: str, steps: int, seconds: float) -> None:
    """Run a chain, each of its tasks in so many seconds."""
    executor.start_flow(slug)
    worker = HandWorker()
    for _ in range(steps):
        worker.complete(*worker.claim(1))
    worker.leave()
    query(
        "update workflow_step_tasks set started_at = ended_at - make_interval(secs => %s) "
        "where ended_at - started_at < interval '1 second'",
        seconds,
    )


def test_times_are_those_of_the_flow_then_of_its_functions_then_the_timeout() -> None:
    options = {"a": {"uses": "sim.load"}, "b": {"uses": "sim.check", "start_delay": 0}}
    build("old", {"a": [], "b": ["a"]}, options=options)
    for seconds in (2, 4, 6):
        run_by_hand("old", 2, seconds)
    found = simulate_flow("old")
    assert step_of(found, "a").seconds.to_dict() == {
        "p50": 4.0, "p95": 5.8, "from": "history", "n": 3
    }  # fmt: skip
    assert found.totals.critical_path_seconds.to_dict() | {"n": 0} == {
        "p50": 8.0, "p95": 11.6, "from": "history", "n": 0
    }  # fmt: skip
    new = simulate_flow(
        flow_of(
            {"slug": "x", "uses": "sim.load", "start_delay": 10},
            {"slug": "y", "uses": "sim.extract", "timeout": 7, "depends_on": ["x"]},
        )
    )
    assert [(step.seconds.source, step.seconds.p50) for step in new.steps] == [
        ("history", 4.0), ("timeout", 7.0)
    ]  # fmt: skip
    assert new.totals.critical_path_seconds.p50 == 21.0


def test_three_hundred_steps_take_little_time() -> None:
    steps = [
        {"slug": f"s{n}", "uses": "sim.load", "depends_on": [f"s{n - 1}"] if n else []}
        for n in range(300)
    ]
    simulate_flow(flow_of(*steps))
    began = perf_counter()
    assert len(simulate_flow(flow_of(*steps)).waves) == 300
    assert perf_counter() - began < 2  # 0.2 s on a quiet machine: the benchmark says


# -- the oracle --------------------------------------------------------------------------------


def register_exact(steps: list[Step], run_input: Any) -> dict[str, Any]:
    """Register the functions of random steps, with an example for each of their calls."""
    expected = expect(steps, run_input, healed=True)
    for step in steps:
        examples, deps = [], {dep: expected.outputs[dep] for dep in step.deps}
        source = deps[step.deps[0]] if step.deps else run_input
        for index, output in enumerate(expected.tasks[step.slug]):
            item = source[index] if step.is_map and isinstance(source, list) else source
            given = {"item": item, "index": index} if step.is_map else deps
            examples.append(Example(input={**given, "run": run_input}, output=output))
        step_function(f"sim.{step.slug}", examples=examples)(_pure(step))
    return expected.outputs


def _pure(step: Step) -> Any:
    return lambda input: work(step, input)


def document_of(steps: list[Step]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for step in steps:
        row: dict[str, Any] = {
            "slug": step.slug,
            "uses": f"sim.{step.slug}",
            "depends_on": [*step.deps],
        }
        if step.is_map:
            row |= {"type": "map", "initial_tasks": step.initial_tasks}
        rows.append(row)
    return flow_of(*rows)


@settings(max_examples=15, deadline=None)
@given(steps=flows(), run_input=st.sampled_from([{"n": 1}, [1, 2], []]))
def test_what_is_simulated_is_what_happens(steps: list[Step], run_input: Any) -> None:
    if expect(steps, run_input, healed=True).violating:
        return
    clean()
    register_exact(steps, run_input)
    document = document_of(steps)
    flow_builder.create_flow_from_spec(document)
    found = simulate_flow(document, run_input)
    output = executor.execute_dynamic("flow", run_input)
    assert found.output == output
    states = {row.step_slug: row for row in WorkflowStepState.objects.all()}
    assert {step.slug: step.tasks for step in found.steps} == {
        slug: row.initial_tasks for slug, row in states.items()
    }
    started: dict[str, Any] = {slug: row.started_at for slug, row in states.items()}
    for step in steps:
        wave = step_of(found, step.slug).wave
        waves = [step_of(found, dep).wave for dep in step.deps]
        assert wave == max(waves, default=-1) + 1
        assert all(started[dep] <= started[step.slug] for dep in step.deps)


# -- samples -----------------------------------------------------------------------------------


def test_samples_follow_references_and_end() -> None:
    some = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    many = {"type": "array", "items": {"$ref": "#"}}
    tree = {"properties": {"left": some, "all": many, "up": {"$ref": "#"}, "n": {"type": "null"}}}
    assert make_sample(tree) == {"left": None, "all": [], "up": {}, "n": None}
    wide = {f"p{n}": {"$ref": "#/$defs/next"} for n in range(20)}
    rows = {"next": {"properties": {n: {"$ref": "#/$defs/last"} for n in "abcdefgh"}}}
    rows["last"] = {"properties": {str(n): {"type": "null"} for n in range(900)}}
    assert len(json.dumps(make_sample({"$defs": rows, "properties": wide}))) < 3_000_000
    schema = {
        "$defs": {"row": {"properties": {"n": {"type": "integer"}}}},
        "properties": {
            "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}},
            "some": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "lost": {"$ref": "#/$defs/none"},
            "far": {"$ref": "https://example.com/x"},
        },
    }
    assert make_sample(schema) == {"rows": [{"n": 0}], "some": "", "lost": {}, "far": {}}
