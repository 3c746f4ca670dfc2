"""How steps follow one another: shapes of flows, maps of every kind, values on their way."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pgflow_django import executor
from pgflow_django.models import WorkflowRun
from tests.engine.building import build, chain
from tests.engine.database import step_statuses, task_statuses
from tests.engine.doors import Door
from tests.engine.invariants import check_all_ended

FALSY: list[Any] = [None, False, 0, "", [], {}]


def plus_one(step: str) -> Any:
    return lambda input: input[step] + 1


def double(input: dict[str, Any]) -> Any:
    return input["item"] * 2


def test_a_single_step_gives_the_run_its_output(door: Door) -> None:
    build("one", {"only": []})
    assert door.output("one", {"n": 1}, {"only": lambda input: input["n"] + 1}) == {"only": 2}


def test_steps_of_a_chain_run_one_after_another(door: Door) -> None:
    build("line", chain(5))
    functions = {f"s{i}": plus_one(f"s{i - 1}") for i in range(1, 5)}
    assert door.output("line", {}, {"s0": lambda input: 0, **functions}) == {"s4": 4}


def test_a_diamond_waits_for_both_sides(door: Door) -> None:
    build("diamond", {"top": [], "left": ["top"], "right": ["top"], "bottom": ["left", "right"]})
    functions = {
        "top": lambda input: 1,
        "left": lambda input: input["top"] + 10,
        "right": lambda input: input["top"] + 100,
        "bottom": lambda input: [input["left"], input["right"]],
    }
    assert door.output("diamond", {}, functions) == {"bottom": [11, 101]}


def test_fan_out_and_fan_in_over_many_steps(door: Door) -> None:
    sides = [f"side{i}" for i in range(30)]
    build("fan", {"root": [], **{side: ["root"] for side in sides}, "join": sides})
    functions: dict[str, Any] = {side: lambda input: input["root"] for side in sides}
    functions |= {
        "root": lambda input: 2,
        "join": lambda input: sum(input[side] for side in sides),
    }
    assert door.output("fan", {}, functions) == {"join": 60}


def test_several_roots_and_several_leaves(door: Door) -> None:
    build("many", {"a": [], "b": [], "c": ["a"], "d": ["a", "b"], "e": []})
    functions = {step: (lambda input, step=step: step) for step in "abcde"}
    assert door.output("many", {}, functions) == {"c": "c", "d": "d", "e": "e"}


def test_a_root_map_runs_once_per_element_of_the_run_input(door: Door) -> None:
    build("rootmap", {"each*": []})
    assert door.output("rootmap", [1, 2, 3], {"each": double}) == {"each": [2, 4, 6]}


def test_a_dependent_map_runs_once_per_element_of_its_dependency(door: Door) -> None:
    build("depmap", {"source": [], "each*": ["source"], "total": ["each"]})
    functions = {
        "source": lambda input: list(range(input["n"])),
        "each": double,
        "total": lambda input: sum(input["each"]),
    }
    assert door.output("depmap", {"n": 250}, functions) == {"total": 249 * 250}


def test_a_map_over_a_map_takes_its_outputs_element_by_element(door: Door) -> None:
    build("mapmap", {"first*": [], "second*": ["first"], "third*": ["second"]})
    functions = {"first": double, "second": double, "third": double}
    assert door.output("mapmap", [1, [2], "x"], functions) == {
        "third": [8, [2] * 8, "x" * 8],
    }


def test_several_maps_over_one_dependency(door: Door) -> None:
    build("maps", {"source": [], "a*": ["source"], "b*": ["source"], "join": ["a", "b"]})
    functions = {
        "source": lambda input: [1, 2],
        "a": double,
        "b": lambda input: -input["item"],
        "join": lambda input: input["a"] + input["b"],
    }
    assert door.output("maps", {}, functions) == {"join": [2, 4, -1, -2]}


def test_a_root_map_over_nothing_completes_inside_start_flow() -> None:
    build("empty", {"each*": [], "again*": ["each"]})
    run = executor.start_flow("empty", [])
    assert (run.status, run.output) == ("completed", {"again": []})
    check_all_ended()


def test_a_dependent_map_over_nothing_completes_with_its_dependents(door: Door) -> None:
    build("hollow", {"source": [], "each*": ["source"], "last": ["each"]})
    functions = {"source": lambda input: [], "last": lambda input: {"got": input["each"]}}
    assert door.output("hollow", {}, {**functions, "each": double}) == {"last": {"got": []}}


def test_a_chain_of_sixty_empty_maps_completes(door: Door) -> None:
    build("sixty", {"source": [], "m0*": ["source"], **_maps_after("m", 60), "end": ["m59"]})
    functions: dict[str, Any] = {f"m{i}": double for i in range(60)}
    functions |= {"source": lambda input: [], "end": lambda input: input["m59"]}
    assert door.output("sixty", {}, functions) == {"end": []}


def test_a_run_of_sixty_empty_maps_completes_inside_start_flow() -> None:
    build("sixty", {"m0*": [], **_maps_after("m", 60)})
    run = executor.start_flow("sixty", [])
    assert (run.status, run.output) == ("completed", {"m59": []})
    assert set(step_statuses(run.id).values()) == {"completed"}
    check_all_ended()


def test_empty_maps_complete_for_each_run_of_a_bulk_start() -> None:
    build("bulk", {"each*": [], "after*": ["each"]})
    runs = executor.start_flows("bulk", [[], [1], []])
    assert [run.status for run in runs] == ["completed", "started", "completed"]


def _maps_after(prefix: str, count: int) -> dict[str, list[str]]:
    return {f"{prefix}{i}*": [f"{prefix}{i - 1}"] for i in range(1, count)}


@pytest.mark.parametrize("falsy", FALSY, ids=repr)
def test_falsy_values_survive_as_output_and_as_dependency(door: Door, falsy: Any) -> None:
    build("falsy", {"give": [], "pass_on": ["give"], "leaf": []})
    seen = []

    def pass_on(input: dict[str, Any]) -> Any:
        seen.append(input["give"])
        return input["give"]

    functions = {"give": lambda input: falsy, "pass_on": pass_on, "leaf": lambda input: falsy}
    assert door.output("falsy", {}, functions) == {"pass_on": falsy, "leaf": falsy}
    assert seen == [falsy]
    assert type(seen[0]) is type(falsy)


def test_falsy_values_survive_as_items_and_in_lists_of_outputs(door: Door) -> None:
    build("items", {"each*": [], "again*": ["each"], "all": ["again"]})
    functions = {
        "each": lambda input: input["item"],
        "again": lambda input: input["item"],
        "all": lambda input: input["again"],
    }
    output = door.output("items", FALSY, functions)
    assert output == {"all": FALSY}
    assert [type(value) for value in output["all"]] == [type(value) for value in FALSY]


@pytest.mark.parametrize("falsy", FALSY, ids=repr)
def test_falsy_run_inputs_reach_the_steps(door: Door, falsy: Any) -> None:
    build("input", {"echo": []})
    output = door.output("input", falsy, {"echo": lambda input: input["run"]})
    assert output == {"echo": falsy}
    assert type(output["echo"]) is type(falsy)


def test_a_maps_output_is_in_task_order_whatever_order_its_tasks_finish_in() -> None:
    build("order", {"each*": []})
    count = 4
    turns = [threading.Event() for _ in range(count + 1)]
    turns[count].set()

    def wait_for_the_next_one(input: dict[str, Any]) -> int:
        assert turns[input["index"] + 1].wait(30)
        turns[input["index"]].set()
        return int(input["item"])

    output = executor.execute_dynamic("order", list(range(count)), {"each": wait_for_the_next_one})
    assert output == {"each": [0, 1, 2, 3]}


def test_the_run_output_has_the_completed_leaf_steps_and_no_others(door: Door) -> None:
    build("leaves", {"a": [], "b": ["a"], "c*": ["a"]})
    functions = {"a": lambda input: [7], "b": lambda input: "b", "c": double}
    assert door.output("leaves", {}, functions) == {"b": "b", "c": [14]}


def test_a_flow_of_two_thousand_steps_runs() -> None:
    build("huge", {f"s{i}": [] for i in range(2000)})
    output = executor.execute_dynamic("huge", {}, {f"s{i}": lambda input: 1 for i in range(2000)})
    assert len(output) == 2000
    check_all_ended()


def test_slugs_that_differ_only_by_case_are_different_flows_and_steps(door: Door) -> None:
    build("Case", {"step": [], "Step": []})
    build("case", {"STEP": ["step"], "step": []})
    upper = {"step": lambda input: "s", "Step": lambda input: "S"}
    lower = {"STEP": lambda input: input["step"] * 2, "step": lambda input: "x"}
    assert door.output("Case", {}, upper) == {"step": "s", "Step": "S"}
    assert door.output("case", {}, lower) == {"STEP": "xx"}


def test_slugs_of_128_characters_run(door: Door) -> None:
    slug, step = "f" * 128, "s" * 128
    build(slug, {step: []})
    assert door.output(slug, {}, {step: lambda input: 1}) == {step: 1}


def test_bulk_starts_give_each_run_its_own_input() -> None:
    build("bulk", {"a*": []})
    runs = executor.start_flows("bulk", [[1], [2, 3], []])
    assert [task_statuses(run.id, "a") for run in runs] == [["queued"], ["queued"] * 2, []]
    assert [WorkflowRun.objects.get(id=run.id).input for run in runs] == [[1], [2, 3], []]
