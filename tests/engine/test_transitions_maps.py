"""How many tasks a map step gets: `initial_tasks`, arrays and what is no array."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_django import executor
from pgflow_django.exceptions import InvalidInput
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.engine.building import build
from tests.engine.database import query, step_statuses
from tests.engine.doors import Door
from tests.engine.invariants import check_all_ended

NO_ARRAYS: list[tuple[Any, str]] = [
    ({"a": 1}, "object"),
    ("text", "string"),
    (5, "number"),
    (True, "boolean"),
    (None, "null"),
]


def item(input: dict[str, Any]) -> Any:
    return [input["index"], input["item"]]


def warnings(run: WorkflowRun) -> list[tuple[str, Any]]:
    events = WorkflowRunEvent.objects.filter(run_id=run.id, level="warning")
    return list(events.values_list("kind", "data"))


def test_the_array_wins_over_initial_tasks_and_the_run_is_warned(door: Door) -> None:
    build("more", {"give": [], "each*": ["give"]}, options={"each": {"initial_tasks": 5}})
    run = door.run("more", {}, {"give": lambda input: "abc", "each": item})
    assert run.output == {"each": [[i, "abc"] for i in range(5)]}
    assert warnings(run) == []
    for count in (3, 8):
        functions = {"give": lambda input, count=count: list(range(count)), "each": item}
        run = door.run("more", {}, functions)
        assert run.output == {"each": [[i, i] for i in range(count)]}
        assert warnings(run) == [("map_size_differs", {"declared": 5, "found": count})]


def test_an_array_of_the_declared_size_is_no_reason_for_a_warning(door: Door) -> None:
    build("same", {"give": [], "each*": ["give"]}, options={"each": {"initial_tasks": 2}})
    run = door.run("same", {}, {"give": lambda input: [7, 8], "each": item})
    assert run.output == {"each": [[0, 7], [1, 8]]}
    assert warnings(run) == []


def test_an_empty_array_wins_over_initial_tasks(door: Door) -> None:
    build("none", {"give": [], "each*": ["give"]}, options={"each": {"initial_tasks": 2}})
    run = door.run("none", {}, {"give": lambda input: [], "each": item})
    assert run.output == {"each": []}
    assert warnings(run) == [("map_size_differs", {"declared": 2, "found": 0})]


@pytest.mark.parametrize("given", [[], [1], [1, 2, 3]])
def test_the_run_input_wins_over_initial_tasks_of_a_root_map(given: list[int]) -> None:
    build("root", {"each*": []}, options={"each": {"initial_tasks": 2}})
    run = executor.start_flow("root", given)
    data = {"declared": 2, "found": len(given)}
    assert warnings(run) == [("map_size_differs", data)]
    message = WorkflowRunEvent.objects.get().message
    assert '"each"' in message
    assert f"array of {len(given)}" in message


@pytest.mark.parametrize(("given", "kind"), NO_ARRAYS)
def test_initial_tasks_broadcasts_a_run_input_that_is_no_array(
    door: Door, given: Any, kind: str
) -> None:
    build("cast", {"each*": []}, options={"each": {"initial_tasks": 3}})
    output = door.output("cast", given, {"each": item})
    assert output == {"each": [[0, given], [1, given], [2, given]]}


@pytest.mark.parametrize(("given", "kind"), NO_ARRAYS)
def test_initial_tasks_broadcasts_an_output_that_is_no_array(
    door: Door, given: Any, kind: str
) -> None:
    build("cast", {"give": [], "each*": ["give"]}, options={"each": {"initial_tasks": 2}})
    output = door.output("cast", {}, {"give": lambda input: given, "each": item})
    assert output == {"each": [[0, given], [1, given]]}


@pytest.mark.parametrize(("given", "kind"), NO_ARRAYS)
def test_a_root_map_over_no_array_is_refused_and_leaves_nothing(given: Any, kind: str) -> None:
    build("refuse", {"each*": [], "other": []})
    with pytest.raises(InvalidInput, match=f'"each" maps over the run input.*{kind}') as caught:
        executor.start_flow("refuse", given)
    assert caught.value.code == "type_violation"
    with pytest.raises(InvalidInput, match=kind):
        executor.execute_dynamic("refuse", given, {"each": item, "other": item})
    assert not WorkflowRun.objects.exists()
    check_all_ended()


def test_one_bad_input_of_a_bulk_start_refuses_all_of_it() -> None:
    build("refuse", {"each*": []})
    with pytest.raises(InvalidInput):
        executor.start_flows("refuse", [[1], {"no": "array"}, [2]])
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(("given", "kind"), NO_ARRAYS)
def test_a_map_over_an_output_that_is_no_array_fails_the_run_and_names_both_steps(
    door: Door, given: Any, kind: str
) -> None:
    build("bad", {"give": [], "each*": ["give"], "after": ["each"], "side": ["give"]})
    functions = {
        "give": lambda input: given,
        "each": item,
        "after": item,
        "side": lambda input: 1,
    }
    run = door.run("bad", {}, functions)
    assert run.status == "failed"
    assert run.error["code"] == "type_violation"
    assert run.error["step_slug"] == "each"
    message = run.error["error_message"]
    assert '"give"' in message
    assert '"each"' in message
    assert kind in message
    assert step_statuses(run.id) == {
        "give": "completed",
        "each": "failed",
        "after": "cancelled",
        "side": "cancelled",
    }


def test_two_maps_that_can_not_be_sized_fail_the_run_once(door: Door) -> None:
    build("bad", {"give": [], "a*": ["give"], "b*": ["give"]})
    run = door.run("bad", {}, {"give": lambda input: 1, "a": item, "b": item})
    assert run.status == "failed"
    assert sorted(step_statuses(run.id).values()) == ["cancelled", "completed", "failed"]


def test_a_map_beside_an_empty_map_of_the_same_completion_still_fails_the_run(door: Door) -> None:
    build(
        "bad",
        {"root*": [], "empty*": ["root"], "single": ["root"], "bad*": ["single"], "end": ["empty"]},
    )
    functions = {"single": lambda input: "no array", "end": lambda input: 1}
    run = door.run("bad", [], {**functions, "root": item, "empty": item, "bad": item})
    assert (run.status, run.error["step_slug"]) == ("failed", "bad")


def test_a_map_of_a_thousand_elements_gets_a_thousand_tasks(door: Door) -> None:
    build("large", {"each*": [], "total": ["each"]})
    functions = {"each": lambda input: input["item"], "total": lambda input: sum(input["each"])}
    assert door.output("large", list(range(1000)), functions) == {"total": sum(range(1000))}
    assert query("select count(*) from workflow_step_tasks")[0][0] == 1001
