"""Where the keys of a step's input come from, when its step says so."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_django import Flow, executor, flow_builder, step
from pgflow_django.models import WorkflowTaskAttempt, WorkflowVersionStep
from tests.engine.building import build
from tests.engine.doors import Door

JSON = dict[str, Any]


def echo(input: JSON) -> JSON:
    return dict(input)


def test_names_are_put_above_run_and_dependencies(door: Door) -> None:
    inputs = {"rows": "check/valid/0", "day": "run/day", "all": "run", "check": "check/more~1"}
    build("flow", {"check": [], "load": ["check"]}, options={"load": {"inputs": inputs}})
    checked = {"valid": [{"a": 1}], "more/": None}
    given = {"day": "today", "rows": "of the run", "all": 1}
    output = door.output("flow", given, {"check": lambda i: checked, "load": echo})
    assert output["load"] == {
        "rows": {"a": 1},
        "day": "today",
        "all": given,
        "check": None,
        "run": given,
    }


def test_a_map_reads_its_item_its_index_and_what_it_maps_over(door: Door) -> None:
    inputs = {"code": "item/code", "number": "index", "first": "list/0/code", "day": "run/day"}
    build("flow", {"list": [], "each*": ["list"]}, options={"each": {"inputs": inputs}})
    rows = [{"code": "x"}, {"code": "y"}]
    output = door.output("flow", {"day": 1}, {"list": lambda i: rows, "each": echo})
    own = {"first": "x", "day": 1, "run": {"day": 1}}
    assert output["each"] == [
        {"code": "x", "number": 0, "item": rows[0], "index": 0, **own},
        {"code": "y", "number": 1, "item": rows[1], "index": 1, **own},
    ]


def test_a_map_over_a_map_reads_all_of_it(door: Door) -> None:
    inputs = {"all": "double"}
    build(
        "flow",
        {"list": [], "double*": ["list"], "share*": ["double"], "none*": ["double"]},
        options={"share": {"inputs": inputs}},
    )
    functions = {
        "list": lambda i: [1, 2],
        "double": lambda i: i["item"] * 2,
        "share": lambda i: i["item"] / sum(i["all"]),
        "none": sorted,
    }
    output = door.output("flow", {}, functions)
    assert output["share"] == [pytest.approx(1 / 3), pytest.approx(2 / 3)]
    assert output["none"] == [["index", "item", "run"]] * 2


def test_item_index_and_params_stay_what_they_are(door: Door) -> None:
    inputs = {"item": "run/a", "index": "run/a", "params": "run/a"}
    build("flow", {"each*": []}, options={"each": {"inputs": inputs, "params": 7}})
    given = [3]
    build("single", {"one": []}, options={"one": {"inputs": inputs}})
    assert door.output("single", {"a": 5}, {"one": echo})["one"]["item"] == 5
    flow_builder.delete_flow("flow")
    build("flow", {"each*": []}, options={"each": {"inputs": {"item": "index"}, "params": 7}})
    output = door.output("flow", given, {"each": echo})
    assert output["each"] == [{"item": 3, "index": 0, "params": 7, "run": [3]}]


@pytest.mark.parametrize(
    ("source", "given", "token"),
    [
        ("check/rows", {"row": 1}, "rows"),
        ("check/0", [], "0"),
        ("check/-", [1], "-"),
        ("check/01", [1, 2], "01"),
        ("check/length", "text", "length"),
        ("check/a/b", {"a": None}, "b"),
    ],
)
def test_a_source_that_leads_to_nothing_fails_the_task_at_once(
    door: Door, source: str, given: Any, token: str
) -> None:
    options = {"load": {"inputs": {"ro/ws": source}}}
    build("flow", {"check": [], "load": ["check"]}, options=options, max_attempts=3)
    run = door.run("flow", {}, {"check": lambda i: given, "load": echo})
    assert run.error is not None
    assert (run.error["code"], run.error["attempt"]) == ("input_unresolved", 1)
    text = f'step "load" of flow "flow": its input "ro/ws" for function load is "{source}"'
    assert text in run.error["error_message"]
    assert f'there is no "{token}"' in run.error["error_message"]
    (problem,) = WorkflowTaskAttempt.objects.get().problems
    assert problem["pointer"] == "/ro~1ws"


def test_runs_keep_the_inputs_that_they_started_with() -> None:
    build("flow", {"one": []}, options={"one": {"inputs": {"x": "run/a"}}})
    run = executor.start_flow("flow", {"a": 1, "b": 2})
    document = flow_builder.export_flow("flow")
    document["steps"][0]["inputs"] = {"x": "run/b"}
    flow_builder.create_flow_from_spec(document, replace=True)
    assert WorkflowVersionStep.objects.get().inputs == {"x": "run/a"}
    assert run.status == "started"


def test_a_flow_in_code_says_where_its_inputs_come_from() -> None:
    class Wired(Flow):
        @step
        def check(input: JSON) -> list[int]:  # noqa: N805
            return [1, 2]

        @step(depends_on=["check"], inputs={"rows": "check"})
        def count(input: JSON) -> int:  # noqa: N805
            return len(input["rows"])

    assert executor.execute(Wired) == {"count": 2}


def test_too_much_to_be_joined_for_a_map_fails_the_run(settings: Any) -> None:
    settings.PGFLOW = {**settings.PGFLOW, "MAX_JOINED_BYTES": 1000}
    options = {"share": {"inputs": {"all": "big"}}, "plain": {"inputs": {"one": "item"}}}
    functions = {
        "list": lambda i: [1, 2],
        "big": lambda i: "x" * 600,
        "share": echo,
        "plain": lambda i: len(i["one"]),
    }
    steps = {"list": [], "big*": ["list"]}
    build("plain", {**steps, "plain*": ["big"]}, options=options)
    assert executor.execute_dynamic("plain", {}, functions) == {"plain": [600, 600]}
    build("shared", {**steps, "share*": ["big"]}, options=options)
    with pytest.raises(Exception, match="may be joined") as caught:
        executor.execute_dynamic("shared", {}, functions)
    assert getattr(caught.value, "error_code", "") == "output_too_large"
