"""Starting runs: transactions, keys, pinned definitions, delays, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from pgflow_django import (
    PgflowError,
    RunFailed,
    WorkflowNotFound,
    executor,
    flow_builder,
)
from pgflow_django.models import Workflow, WorkflowRun, WorkflowStep, WorkflowVersion
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import messages, step_statuses
from tests.engine.doors import Door
from tests.engine.invariants import check_all_ended
from tests.engine.threads import at_once

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1.5,
    2**53 + 1,
    10**30,
    "",
    "é \U0001f600 \\u0000 \"'",
    [],
    [1, [2, [None]]],
    {},
    {"": 1, "a b": {"c": [{}]}},
]


def one(input: dict[str, Any]) -> int:
    return 1


class Rollback(Exception):
    pass


def test_run_inputs_of_every_json_type_arrive_as_they_are(door: Door) -> None:
    build("echo", {"echo": [], "again": ["echo"]})
    functions = {"echo": lambda input: input["run"], "again": lambda input: input["echo"]}
    for value in VALUES:
        output = door.output("echo", value, functions)
        assert output == {"again": value}
        assert type(output["again"]) is type(value)


def test_without_input_a_run_gets_an_empty_object() -> None:
    build("flow", {"a": []})
    assert executor.execute_dynamic("flow", step_functions={"a": lambda i: i["run"]}) == {"a": {}}
    assert WorkflowRun.objects.get(id=executor.start_flow("flow").id).input == {}


def test_starting_commits_with_the_callers_own_rows() -> None:
    build("flow", {"a": []})
    with transaction.atomic():
        run = executor.start_flow("flow", {})
        Workflow.objects.create(workflow_slug="mine")
        assert at_once([_count_runs_and_messages]) == [(0, 0)]
    assert at_once([_count_runs_and_messages]) == [(1, 1)]
    assert executor.get_run_status(run.id).status == "started"


def _count_runs_and_messages() -> tuple[int, int]:
    return WorkflowRun.objects.count(), len(messages())


def test_starting_rolls_back_with_the_callers_own_rows() -> None:
    build("flow", {"a": []})
    with pytest.raises(Rollback), transaction.atomic():
        executor.start_flow("flow", {})
        executor.start_flows("flow", [1, 2])
        executor.execute_dynamic("flow", {}, {"a": one})
        raise Rollback
    assert not WorkflowRun.objects.exists()
    assert messages() == []
    check_all_ended()


def test_a_flow_made_and_started_in_one_transaction_that_rolls_back_leaves_nothing() -> None:
    with pytest.raises(Rollback), transaction.atomic():
        build("flow", {"a": []}, queue="brand_new")
        executor.start_flow("flow", {})
        raise Rollback
    assert not Workflow.objects.exists()
    assert not WorkflowVersion.objects.exists()
    assert messages() == []


def test_errors_inside_a_transaction_leave_it_usable() -> None:
    build("flow", {"a": [], "each*": []}, max_attempts=1)
    build("steps", {"a": []}, max_attempts=1)
    flow_builder.create_flow("bare")
    refused: list[Any] = [
        lambda: executor.start_flow("nowhere"),
        lambda: executor.start_flow("bare"),
        lambda: executor.start_flow("flow", {"no": "array"}),
        lambda: executor.start_flow("flow", float("nan")),
        lambda: executor.execute_dynamic("flow", {}, {"a": one}),
        lambda: executor.execute_dynamic("nowhere", {}, {}),
        lambda: executor.execute_dynamic("steps", {}, {"a": lambda input: 1 / 0}),
        lambda: executor.execute_dynamic("steps", {}, {"a": _break_the_transaction}),
        lambda: flow_builder.create_flow("flow"),
        lambda: flow_builder.add_step("flow", "a"),
    ]
    with transaction.atomic():
        for call in refused:
            with pytest.raises(PgflowError):
                call()
            Workflow.objects.count()
        Workflow.objects.create(workflow_slug="survives")
    assert Workflow.objects.filter(workflow_slug="survives").exists()


def _break_the_transaction(input: dict[str, Any]) -> None:
    WorkflowStep.objects.create(workflow_slug="nowhere", step_slug="x", step_index=0)


def test_an_unknown_flow_is_refused_with_the_nearest_names() -> None:
    build("reports", {"a": []})
    for call in (executor.start_flow, executor.execute_dynamic):
        with pytest.raises(WorkflowNotFound, match='"report".*"reports"') as caught:
            call("report")
        assert caught.value.code == "workflow_not_found"
    for slug in ("", "no slug!", "x" * 200, "é", "a\0b"):
        with pytest.raises(PgflowError):
            executor.start_flow(slug)
        with pytest.raises(PgflowError):
            executor.execute_dynamic(slug, {}, {})


def test_a_flow_without_steps_is_refused() -> None:
    flow_builder.create_flow("bare")
    for call in (executor.start_flow, executor.execute_dynamic):
        with pytest.raises(PgflowError, match="has no steps") as caught:
            call("bare")
        assert caught.value.code == "workflow_has_no_steps"
    assert not WorkflowRun.objects.exists()
    check_all_ended()


def test_an_inactive_flow_is_refused_and_its_keys_still_answer() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {}, key="k")
    Workflow.objects.update(is_active=False)
    with pytest.raises(PgflowError, match="inactive") as caught:
        executor.start_flow("flow", {})
    assert caught.value.code == "workflow_inactive"
    with pytest.raises(PgflowError, match="inactive"):
        executor.execute_dynamic("flow", {}, {"a": one})
    assert executor.start_flow("flow", {}, key="k").id == run.id
    assert WorkflowRun.objects.count() == 1


def test_a_run_keeps_the_definition_that_it_started_with(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=1)
    register({"a": lambda i: "a", "b": lambda i: i["a"] + "b", "c": lambda i: i["b"] + "c"})
    before = executor.start_flow("flow", {})
    flow_builder.add_step("flow", "c", ["b"])
    after = executor.start_flow("flow", {})
    WorkflowStep.objects.filter(step_slug="b").update(params={"late": True}, max_attempts=9)
    executor.drain()
    assert executor.wait(before.id) == {"b": "ab"}
    assert executor.wait(after.id) == {"c": "abc"}
    versions = WorkflowRun.objects.order_by("started_at").values_list("version", flat=True)
    assert len(set(versions)) == 2


def test_a_run_survives_that_its_flow_is_made_anew_under_the_same_slug(register: Register) -> None:
    register({"a": lambda i: "a", "b": lambda i: i.get("a", "") + "b"})
    build("flow", {"a": [], "b": ["a"]})
    run = executor.start_flow("flow", {})
    from pgtrigger import ignore

    with ignore("pgflow_django.Workflow:active_flow_cannot_be_deleted"):
        Workflow.objects.all().delete()
    build("flow", {"b": []})
    other = executor.start_flow("flow", {})
    executor.drain()
    assert executor.wait(run.id) == {"b": "ab"}
    assert executor.wait(other.id) == {"b": "b"}
    assert WorkflowVersion.objects.values("version").distinct().count() == 2


def test_deleting_a_flow_with_active_runs_cancels_them_only_by_force() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    with pytest.raises(PgflowError, match="active run") as caught:
        flow_builder.delete_flow("flow")
    assert caught.value.code == "workflow_has_active_runs"
    flow_builder.delete_flow("flow", force=True)
    assert executor.get_run_status(run.id).status == "cancelled"
    assert step_statuses(run.id) == {"a": "cancelled"}
    assert not Workflow.objects.exists()
    check_all_ended()


def test_start_delay_holds_a_step_back_and_no_other(register: Register) -> None:
    build("flow", {"now": [], "later": ["now"]}, options={"later": {"start_delay": 3600}})
    register({"now": one, "later": one})
    run = executor.start_flow("flow", {})
    assert executor.drain(timeout=0.3) is False
    assert step_statuses(run.id) == {"now": "completed", "later": "started"}
    (message,) = messages(run.id)
    assert message["step_slug"] == "later"


def test_steps_have_their_own_timeout_queue_function_and_params(register: Register) -> None:
    build(
        "flow",
        {"a": [], "b": []},
        queue="flow_queue",
        options={"a": {"uses": "shared.work", "params": {"n": 1}, "queue": "own", "timeout": 7}},
    )
    seen = {}

    def work(input: dict[str, Any], context: Any) -> Any:
        seen[context.step_slug] = context.heartbeat()
        return input.get("params")

    register({"shared.work": work, "b": work})
    run = executor.start_flow("flow", {})
    assert {m["step_slug"]: m["queue"] for m in messages(run.id)} == {
        "a": "pgmq.q_pgflow_own",
        "b": "pgmq.q_pgflow_flow_queue",
    }
    assert executor.drain(["own"])
    assert step_statuses(run.id) == {"a": "completed", "b": "started"}
    assert executor.drain(["flow_queue"])
    assert executor.wait(run.id) == {"a": {"n": 1}, "b": None}
    assert 5 < seen["a"] <= 7
    assert 28 < seen["b"] <= 30


def test_a_failed_run_does_not_touch_others_of_the_same_flow(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=1)

    def b(input: dict[str, Any]) -> int:
        return 1 // input["n"]

    register({"a": one, "b": b})
    runs = executor.start_flows("flow", [{"n": n} for n in (0, 1, 0, 1)])
    executor.drain()
    for run, n in zip(runs, (0, 1, 0, 1), strict=True):
        if n:
            assert executor.wait(run.id) == {"b": 1}
        else:
            with pytest.raises(RunFailed, match="ZeroDivisionError"):
                executor.wait(run.id)
    check_all_ended()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (float("nan"), r"\$ is nan"),
        ({"a": [1, float("inf")]}, r"\$\.a\[1\] is inf"),
        ({"a": {"b": "x\0y"}}, r"\$\.a\.b.*u0000"),
        ({"a\0": 1}, r"key.*u0000"),
        (["\udc00"], r"\$\[0\].*surrogate"),
        ({"a": {1, 2}}, r"\$\.a is of type set"),
        (object(), r"\$ is of type object"),
    ],
)
@pytest.mark.parametrize("call", [executor.start_flow, executor.execute_dynamic])
def test_an_input_that_is_no_json_is_refused_and_says_where(
    call: Any, given: Any, match: str
) -> None:
    build("flow", {"a*": []})
    options = {} if call is executor.start_flow else {"step_functions": {"a": one}}
    with pytest.raises(PgflowError, match=f'flow "flow".*{match}') as caught:
        call("flow", given, **options)
    assert caught.value.code == "invalid_input"
    assert not WorkflowRun.objects.exists()


def test_an_input_over_the_limit_is_refused(settings: Any) -> None:
    settings.PGFLOW = {"MAX_INPUT_BYTES": 100}
    build("flow", {"a": []})
    with pytest.raises(PgflowError, match="101 bytes.*at most 100") as caught:
        executor.start_flow("flow", "x" * 99)
    assert caught.value.code == "input_too_large"
    executor.start_flow("flow", "x" * 98)
    with pytest.raises(PgflowError):
        executor.start_flows("flow", [1, "é" * 50])
    assert WorkflowRun.objects.count() == 1
