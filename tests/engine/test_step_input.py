"""The one dict that a step function gets, and the context that it may ask for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pgflow_django import executor, step_function
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.doors import Door
from tests.engine.workers import HandWorker


def echo(input: dict[str, Any]) -> dict[str, Any]:
    return dict(input)


def test_a_root_step_gets_the_keys_of_the_run_input_and_the_whole_of_it(door: Door) -> None:
    build("flow", {"a": []})
    output = door.output("flow", {"prompt": "x", "n": [1]}, {"a": echo})
    assert output == {"a": {"prompt": "x", "n": [1], "run": {"prompt": "x", "n": [1]}}}


@pytest.mark.parametrize("given", [None, 0, "", [1, {"a": 1}], "text", True])
def test_a_run_input_that_is_no_object_comes_as_run_only(door: Door, given: Any) -> None:
    build("flow", {"a": []})
    assert door.output("flow", given, {"a": echo}) == {"a": {"run": given}}


def test_a_step_gets_the_outputs_of_its_dependencies_and_of_no_others(door: Door) -> None:
    build("flow", {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"]})
    functions = {"a": lambda i: 1, "b": lambda i: [2], "c": lambda i: None, "d": echo}
    assert door.output("flow", {"x": 9}, functions) == {
        "d": {"x": 9, "c": None, "a": 1, "run": {"x": 9}}
    }


def test_a_dependent_of_a_map_gets_the_list_of_its_outputs(door: Door) -> None:
    build("flow", {"each*": [], "all": ["each"]})
    functions = {"each": lambda i: {"v": i["item"]}, "all": echo}
    assert door.output("flow", [3, None], functions) == {
        "all": {"each": [{"v": 3}, {"v": None}], "run": [3, None]}
    }


def test_map_tasks_get_item_and_index_and_not_the_list(door: Door) -> None:
    build("flow", {"give": [], "each*": ["give"]})
    functions = {"give": lambda i: ["a", {"b": 1}], "each": echo}
    assert door.output("flow", {"k": 1}, functions) == {
        "each": [
            {"k": 1, "run": {"k": 1}, "item": "a", "index": 0},
            {"k": 1, "run": {"k": 1}, "item": {"b": 1}, "index": 1},
        ]
    }


def test_root_map_tasks_get_the_run_input_under_run(door: Door) -> None:
    build("flow", {"each*": []})
    assert door.output("flow", [7], {"each": echo}) == {
        "each": [{"item": 7, "index": 0, "run": [7]}]
    }


def test_a_dependency_wins_over_a_key_of_the_run_input(door: Door) -> None:
    build("flow", {"a": [], "b": ["a"]})
    functions = {"a": lambda i: "output", "b": echo}
    run_input = {"a": "input", "b": "kept"}
    assert door.output("flow", run_input, functions) == {
        "b": {"a": "output", "b": "kept", "run": run_input}
    }


def test_a_false_dependency_wins_as_well(door: Door) -> None:
    build("flow", {"a": [], "b": ["a"]})
    output = door.output("flow", {"a": "input"}, {"a": lambda i: None, "b": echo})
    assert output["b"]["a"] is None


def test_our_own_keys_win_over_the_run_inputs(door: Door) -> None:
    build("flow", {"each*": []}, options={"each": {"params": {"p": 1}, "initial_tasks": 1}})
    run_input = {"run": "r", "item": "i", "index": "x", "params": "p", "other": "o"}
    output = door.output("flow", run_input, {"each": echo})
    assert output == {
        "each": [
            {"run": run_input, "item": run_input, "index": 0, "params": {"p": 1}, "other": "o"}
        ]
    }


def test_without_params_and_items_the_run_inputs_keys_of_those_names_stay(door: Door) -> None:
    build("flow", {"a": []})
    run_input = {"item": 1, "index": 2, "params": 3}
    assert door.output("flow", run_input, {"a": echo}) == {"a": {**run_input, "run": run_input}}


def test_our_own_keys_win_over_dependencies_of_those_names(door: Door) -> None:
    build("flow", {"params": [], "item": [], "b": ["params", "item"]}, options={"b": {"params": 5}})
    functions = {"params": lambda i: "dep", "item": lambda i: "dep", "b": echo}
    assert door.output("flow", {}, functions) == {"b": {"params": 5, "item": "dep", "run": {}}}


@pytest.mark.parametrize("params", [0, False, "", [], {}, {"deep": [1, None]}])
def test_params_are_given_whatever_their_value(door: Door, params: Any) -> None:
    build("flow", {"a": []}, options={"a": {"params": params}})
    assert door.output("flow", {}, {"a": echo}) == {"a": {"params": params, "run": {}}}


def test_what_one_map_task_does_to_its_input_no_other_sees(door: Door) -> None:
    build("flow", {"each*": []}, options={"each": {"params": {"seen": []}, "initial_tasks": 40}})

    def mutate(input: dict[str, Any]) -> list[int]:
        for shared in (input["params"], input["run"], input["item"], input):
            shared["seen"] = [*shared.get("seen", []), input["index"]]
        input["list"].append(input["index"])
        input["run"]["list"].append("run")
        return [len(input["seen"]), len(input["list"]), len(input["params"]["seen"])]

    output = door.output("flow", {"list": [], "seen": []}, {"each": mutate})
    assert output == {"each": [output["each"][0]] * 40}


def test_what_one_step_does_to_its_input_no_other_step_sees(door: Door) -> None:
    sides = [f"s{i}" for i in range(12)]
    build("flow", {"root": [], **{side: ["root"] for side in sides}})

    def mutate(input: dict[str, Any]) -> list[int]:
        input["run"]["list"].append(1)
        input["root"].append(1)
        return [len(input["run"]["list"]), len(input["root"])]

    functions: dict[str, Any] = dict.fromkeys(sides, mutate)
    output = door.output("flow", {"list": []}, {"root": lambda i: [], **functions})
    assert output == {side: [1, 1] for side in sides}


def test_steps_of_one_run_that_are_claimed_together_share_no_objects() -> None:
    build("flow", {"a": [], "b": [], "each*": []}, options={"each": {"initial_tasks": 2}})
    executor.start_flow("flow", {"list": []})
    worker = HandWorker()
    tasks = worker.claim(10)
    assert len(tasks) == 4
    inputs = [task.build_input() for task in tasks]
    for built in inputs:
        built["run"]["list"].append(1)
    assert [built["run"]["list"] for built in inputs] == [[1]] * 4


def test_the_context_says_where_and_as_what_a_function_runs(door: Door) -> None:
    build("flow", {"each*": []}, timeout=50, max_attempts=4)
    seen: list[Any] = []

    def each(input: dict[str, Any], context: Any) -> bool:
        seen.append(context)
        assert 45 < context.heartbeat() <= 50
        assert context.deadline > time.monotonic()
        assert context.cancelled() is False
        if context.attempt == 1 and input["index"] == 1:
            raise ValueError
        return True

    run = door.run("flow", ["x", "y"], {"each": each})
    assert run.status == "completed"
    assert {
        (c.run_id, c.workflow_slug, c.step_slug, c.task_index, c.attempt, c.max_attempts)
        for c in seen
    } == {
        (run.id, "flow", "each", 0, 1, 4),
        (run.id, "flow", "each", 1, 1, 4),
        (run.id, "flow", "each", 1, 2, 4),
    }


def test_what_a_function_logs_is_kept_with_its_run(door: Door) -> None:
    build("flow", {"a": []})

    def a(input: dict[str, Any], context: Any) -> None:
        context.log("half way", level="warning", rows=7)
        context.progress(1, 2)
        with pytest.raises(ValueError, match="level must be one of"):
            context.log("?", level="loud")

    run = door.run("flow", {}, {"a": a})
    events = WorkflowRunEvent.objects.filter(run_id=run.id)
    assert list(events.values_list("kind", "level", "step_slug", "task_index", "message")) == [
        ("log", "warning", "a", 0, "half way"),
        ("progress", "info", "a", 0, "1 of 2"),
    ]
    assert events[0].data == {"attempt": 1, "rows": 7}
    assert events[1].data == {"done": 1, "total": 2}


def test_only_a_second_parameter_called_context_gets_it(door: Door) -> None:
    build("flow", {"a": [], "b": [], "c": [], "d": []})

    class Callable:
        def __call__(self, input: dict[str, Any], context: Any) -> str:
            return context.step_slug

    functions = {
        "a": lambda input, other="default": other,
        "b": lambda input, *, context: context.step_slug,
        "c": Callable(),
        "d": lambda input, **kwargs: sorted(kwargs),
    }
    assert door.output("flow", {}, functions) == {"a": "default", "b": "b", "c": "c", "d": []}


def test_coroutine_functions_are_awaited(door: Door) -> None:
    build("flow", {"a": [], "b": ["a"]})

    async def a(input: dict[str, Any], context: Any) -> str:
        return context.step_slug * 2

    async def b(input: dict[str, Any]) -> str:
        return input["a"] + "b"

    assert door.output("flow", {}, {"a": a, "b": b}) == {"b": "aab"}


def test_a_registered_function_stays_an_ordinary_function(register: Register) -> None:
    @step_function("tests.plain")
    def plain(input: dict[str, Any]) -> int:
        return len(input)

    register({"tests.plain": plain})
    assert plain({"a": 1, "b": 2}) == 2
    build("flow", {"a": []}, options={"a": {"uses": "tests.plain"}})
    assert executor.execute_dynamic("flow", {"x": 0}) == {"a": 2}
    assert WorkflowRun.objects.get().status == "completed"
