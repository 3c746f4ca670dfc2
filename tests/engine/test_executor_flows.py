"""Flows in code, doors inside transactions and TestCase, and async callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from django.test import TestCase

from pgflow_django import Flow, PgflowError, RunFailed, executor, flow_builder, step
from pgflow_django.models import (
    Workflow,
    WorkflowRun,
    WorkflowStep,
    WorkflowStepDependency,
    WorkflowVersion,
)
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import query
from tests.engine.invariants import check_all_ended


class EngineReport(Flow):
    max_attempts = 2
    base_delay = 0

    @step
    def fetch(input: dict[str, Any]) -> list[int]:  # noqa: N805 - steps take no self
        return list(range(input["n"]))

    @step(depends_on=["fetch"], step_type="map", timeout=7)
    def render(input: dict[str, Any]) -> int:  # noqa: N805
        return input["item"] * 10

    @step(depends_on=["render"])
    def join(input: dict[str, Any]) -> int:  # noqa: N805
        return sum(input["render"])


class Plain:
    """A flow as the guide's modules are: no base class."""

    def __workflow_steps__(self) -> list[Any]:
        return [
            ("one", lambda i: i["n"]),
            ("two", lambda i: i["one"] + 1),
            ("side", lambda i: -i["one"], {"depends_on": ["one"]}),
            ("last", lambda i: [i["two"], i["side"]], {"depends_on": ["two", "side"]}),
        ]


def _rows(slug: str) -> list[Any]:
    steps = WorkflowStep.objects.filter(workflow_slug=slug).order_by("step_index")
    fields = ["step_slug", "step_type", "step_index", "deps_count", "timeout", "max_attempts"]
    edges = WorkflowStepDependency.objects.filter(workflow_slug=slug)
    return [
        list(steps.values_list(*fields)),
        sorted(edges.values_list("dep_slug", "step_slug")),
        list(
            Workflow.objects.filter(workflow_slug=slug).values_list(
                "max_attempts", "timeout", "base_delay"
            )
        ),
    ]


def test_a_code_flow_executes_and_is_stored_under_its_slug() -> None:
    assert executor.execute(EngineReport, {"n": 4}) == {"join": 60}
    assert executor.execute(EngineReport, {"n": 4}) == {"join": 60}
    flow = Workflow.objects.get()
    assert (flow.workflow_slug, flow.origin, flow.max_attempts) == ("engine_report", "code", 2)
    assert WorkflowVersion.objects.count() == 1
    check_all_ended()


def test_a_code_flow_and_the_same_stored_flow_give_the_same_rows_and_outputs() -> None:
    flow_builder.create_flow("stored", max_attempts=2, base_delay=0)
    flow_builder.add_step("stored", "fetch")
    flow_builder.add_step("stored", "render", ["fetch"], step_type="map", timeout=7)
    flow_builder.add_step("stored", "join", ["render"])
    functions = {slug: function for slug, function, _ in EngineReport.__workflow_steps__()}
    stored = executor.execute_dynamic("stored", {"n": 3}, functions)
    assert executor.execute(EngineReport, {"n": 3}) == stored == {"join": 30}
    assert _rows("engine_report") == _rows("stored")


def test_a_code_flow_starts_for_the_workers() -> None:
    run = EngineReport.start({"n": 2}, key="k")
    assert EngineReport.start({"n": 9}, key="k").id == run.id
    runs = executor.start_flows(EngineReport, [{"n": 1}, {"n": 3}])
    assert executor.drain()
    assert executor.wait(run.id) == {"join": 10}
    assert [executor.wait(run.id) for run in runs] == [{"join": 0}, {"join": 30}]
    check_all_ended()


def test_tuples_without_dependencies_run_in_sequence() -> None:
    assert executor.execute(Plain(), {"n": 5}) == {"last": [6, -5]}
    assert Workflow.objects.get().workflow_slug == "plain"
    assert sorted(WorkflowStepDependency.objects.values_list("dep_slug", "step_slug")) == [
        ("one", "side"),
        ("one", "two"),
        ("side", "last"),
        ("two", "last"),
    ]


def test_a_plain_objects_slug_may_be_its_workflow_slug() -> None:
    class Named(Plain):
        workflow_slug: ClassVar[str] = "my_own_name"

    executor.execute(Named(), {"n": 1})
    assert Workflow.objects.get().workflow_slug == "my_own_name"


def test_a_changed_code_flow_writes_a_new_version_and_runs_in_flight_keep_theirs() -> None:
    def flow(extra: bool) -> Any:
        steps: list[Any] = [("a", lambda i: 1)]
        if extra:
            steps.append(("b", lambda i: i["a"] + 1))
        return type(
            "Changing",
            (),
            {"workflow_slug": "changing", "__workflow_steps__": lambda self: steps},
        )()

    before = executor.start_flow(flow(False), {})
    assert executor.execute(flow(True), {}) == {"b": 2}
    assert executor.execute(flow(True), {}) == {"b": 2}
    after = executor.start_flow(flow(True), {})
    registry.register(lambda i: 10, "a")
    registry.register(lambda i: i["a"] + 1, "b")
    try:
        executor.drain()
    finally:
        registry.unregister("a")
        registry.unregister("b")
    assert executor.wait(before.id) == {"a": 10}
    assert executor.wait(after.id) == {"b": 11}
    assert WorkflowVersion.objects.count() == 2


def test_a_slug_of_another_origin_is_refused() -> None:
    build("engine_report", {"mine": []})
    for call in (executor.execute, executor.start_flow):
        with pytest.raises(PgflowError) as caught:
            call(EngineReport, {"n": 1})
        assert caught.value.code == "workflow_origin_conflict"
    assert not WorkflowRun.objects.exists()


def test_loading_a_definition_that_has_not_changed_costs_no_query_of_its_own() -> None:
    build("stored", {"a": []})
    executor.start_flow("stored", {})
    executor.start_flow(EngineReport, {"n": 1})
    for flow in ("stored", EngineReport):
        statements: list[str] = []

        def watch(execute: Any, sql: str, *args: Any, seen: list[str] = statements) -> Any:
            seen.append(sql)
            return execute(sql, *args)

        with connection.execute_wrapper(watch):
            executor.start_flow(flow, {"n": 1})
        assert len(statements) == 1, statements


class InsideTestCase(TestCase):
    """What a site's own tests do: nothing is committed, and nothing hangs."""

    def test_execute_sees_what_the_test_has_not_committed(self) -> None:
        build("flow", {"a": [], "each*": ["a"], "b": ["each"]})
        functions: dict[str, Any] = {
            "a": lambda i: list(Workflow.objects.values_list("workflow_slug", flat=True)),
            "each": lambda i: i["item"],
            "b": lambda i: i["each"],
        }
        assert executor.execute_dynamic("flow", {}, functions) == {"b": ["flow"]}
        assert executor.execute(EngineReport, {"n": 2}) == {"join": 10}

    def test_drain_works_off_what_the_test_has_started(self) -> None:
        run = executor.start_flow(EngineReport, {"n": 3})
        assert executor.drain()
        assert executor.wait(run.id) == {"join": 30}

    def test_a_failing_step_does_not_break_the_test_s_transaction(self) -> None:
        build("flow", {"a": []}, max_attempts=2)

        def duplicate(input: dict[str, Any]) -> None:
            Workflow.objects.create(workflow_slug="flow")

        with pytest.raises(RunFailed, match="IntegrityError"):
            executor.execute_dynamic("flow", {}, {"a": duplicate})
        assert Workflow.objects.count() == 1

    def test_what_a_failed_attempt_wrote_is_undone_and_what_a_good_one_wrote_stays(self) -> None:
        build("flow", {"a": []}, max_attempts=2)

        def write(input: dict[str, Any], context: Any) -> None:
            Workflow.objects.create(workflow_slug=f"attempt_{context.attempt}")
            if context.attempt == 1:
                raise ValueError

        executor.execute_dynamic("flow", {}, {"a": write})
        assert set(Workflow.objects.values_list("workflow_slug", flat=True)) == {
            "flow",
            "attempt_2",
        }

    def test_nested_blocks_roll_back_what_was_executed_in_them(self) -> None:
        build("flow", {"a": []})
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            executor.execute_dynamic("flow", {}, {"a": lambda i: 1})
            raise ZeroDivisionError
        assert not WorkflowRun.objects.exists()


def run_async(function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine function, and close the connection that asgiref's thread keeps."""

    async def run_and_close() -> Any:
        try:
            return await function()
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(run_and_close())


def test_async_twins_do_what_their_twins_do(register: Register) -> None:
    build("flow", {"a": []})
    register({"a": lambda i: i["n"]})

    async def use_all() -> None:
        assert await executor.aexecute_dynamic("flow", {"n": 1}) == {"a": 1}
        assert await executor.aexecute(EngineReport, {"n": 2}) == {"join": 10}
        run = await executor.astart_flow("flow", {"n": 3})
        runs = await executor.astart_flows("flow", [{"n": 4}, {"n": 5}])
        assert (await executor.aget_run_status(run.id)).status == "started"
        assert (await executor.acancel_run(runs[1].id)).status == "cancelled"
        assert await executor.adrain()
        assert await executor.await_(run.id) == {"a": 3}
        await executor.aretry_run(runs[1].id)
        await executor.adrain()
        assert await executor.await_(runs[1].id, timeout=5) == {"a": 5}
        with pytest.raises(PgflowError):
            await executor.astart_flow("nowhere")

    run_async(use_all)
    check_all_ended()


def test_two_executions_awaited_together_run_side_by_side() -> None:
    build("flow", {"a": []}, max_attempts=1)
    both = threading.Barrier(2)

    async def gather() -> list[Any]:
        functions = {"a": lambda i: both.wait(5) is not None}
        return await asyncio.gather(
            executor.aexecute_dynamic("flow", {}, functions),
            executor.aexecute_dynamic("flow", {}, functions),
        )

    assert run_async(gather) == [{"a": True}] * 2
    assert not query("select 1 from workflow_workers")
