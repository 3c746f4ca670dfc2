"""`execute_dynamic`: functions, times, outputs that are refused, nesting, many at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pgflow_django import (
    RunFailed,
    StepFunctionMissing,
    executor,
    flow_builder,
)
from pgflow_django.models import WorkflowRun, WorkflowWorker
from pgflow_django.registry import registry
from tests.engine.building import build, chain
from tests.engine.conftest import Register
from tests.engine.doors import Door
from tests.engine.invariants import check_all_ended
from tests.engine.threads import Background, at_once
from tests.waiting import wait_for


def one(input: dict[str, Any]) -> int:
    return 1


def test_functions_of_the_caller_overlay_the_registered_ones(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"], "c": ["b"]}, options={"c": {"uses": "tests.c"}})
    register(
        {"a": lambda i: "registered", "b": lambda i: i["a"] + " b", "tests.c": lambda i: i["b"]}
    )
    assert executor.execute_dynamic("flow") == {"c": "registered b"}
    output = executor.execute_dynamic("flow", {}, {"a": lambda i: "mine"})
    assert output == {"c": "mine b"}
    assert executor.execute_dynamic("flow", {}, {"c": lambda i: "own c"}) == {"c": "own c"}


def test_keys_that_name_no_step_are_ignored() -> None:
    build("flow", {"a": []})
    functions = {"a": one, "nowhere": one, "A": lambda i: "not this one"}
    assert executor.execute_dynamic("flow", {}, functions) == {"a": 1}


def test_every_missing_function_is_named_before_anything_starts() -> None:
    build("flow", {"a": [], "b": ["a"], "c": ["b"]}, options={"c": {"uses": "else.where"}})
    for functions in ({"b": one}, {"b": one, "x": one}):
        with pytest.raises(StepFunctionMissing) as caught:
            executor.execute_dynamic("flow", {}, functions)
        assert caught.value.code == "missing_step_functions"
        assert caught.value.missing == [("a", "a"), ("c", "else.where")]
        assert '"a"' in str(caught.value)
        assert '"c" (function "else.where")' in str(caught.value)
    with pytest.raises(StepFunctionMissing):
        executor.execute_dynamic("flow")
    assert not WorkflowRun.objects.exists()
    assert not WorkflowWorker.objects.exists()


@pytest.mark.parametrize(
    ("output", "path", "kind"),
    [
        ({"a": [1, {"b": object()}]}, r"\$\.a\[1\]\.b", "object"),
        ({1, 2}, r"\$", "set"),
        ([b"x"], r"\$\[0\]", "bytes"),
        (float("nan"), r"\$", "nan"),
        ({"x": float("-inf")}, r"\$\.x", "inf"),
        ({"t": "a\0b"}, r"\$\.t", "u0000"),
        ("\ud800", r"\$", "surrogate"),
    ],
)
def test_an_output_that_is_no_json_fails_the_run_at_once_and_says_where(
    output: Any, path: str, kind: str
) -> None:
    build("flow", {"step_a": []}, max_attempts=5)
    calls: list[int] = []
    with pytest.raises(RunFailed, match=rf'step "step_a".*{path} .*{kind}') as caught:
        executor.execute_dynamic("flow", {}, {"step_a": lambda i: calls.append(1) or output})
    assert caught.value.error_code == "output_not_json"
    assert len(calls) == 1


def test_an_output_over_the_limit_fails_the_run_at_once(settings: Any) -> None:
    settings.PGFLOW = {"MAX_OUTPUT_BYTES": 1000}
    build("flow", {"a": []})
    with pytest.raises(RunFailed, match="1,002 bytes.*at most 1,000") as caught:
        executor.execute_dynamic("flow", {}, {"a": lambda i: "x" * 1000})
    assert caught.value.error_code == "output_too_large"
    assert executor.execute_dynamic("flow", {}, {"a": lambda i: "x" * 998}) == {"a": "x" * 998}


def test_a_megabyte_goes_in_and_out(door: Door) -> None:
    build("flow", {"a": [], "b": ["a"]})
    text = "x" * 1_000_000
    output = door.output("flow", {"t": text}, {"a": lambda i: i["t"], "b": lambda i: [i["a"]]})
    assert output == {"b": [text]}


def test_many_executions_of_one_flow_with_functions_of_their_own_never_mix() -> None:
    build("flow", {"make": [], "each*": ["make"], "join": ["each"]})

    def execute(n: int) -> Any:
        return executor.execute_dynamic(
            "flow",
            {"n": n},
            {
                "make": lambda i: [n] * 7,
                "each": lambda i: [n, i["item"], i["n"]],
                "join": lambda i: {"mine": n, "got": i["each"]},
            },
        )

    outputs = at_once([lambda n=n: execute(n) for n in range(8)])
    assert outputs == [{"join": {"mine": n, "got": [[n, n, n]] * 7}} for n in range(8)]
    check_all_ended()


def test_workers_leave_a_run_alone_that_its_caller_executes(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"], "wide*": ["a"]})
    register({name: lambda i: "worker" for name in ("a", "b", "wide")})
    started, go_on = threading.Event(), threading.Event()

    def a(input: dict[str, Any]) -> list[int]:
        started.set()
        wait_for(go_on)
        return [1, 2, 3]

    mine = {"a": a, "b": lambda i: "caller", "wide": lambda i: "caller"}
    call = Background(lambda: executor.execute_dynamic("flow", {}, mine))
    wait_for(started)
    other = executor.start_flow("flow", {})
    executor.cancel_run(other.id)
    assert executor.drain()
    go_on.set()
    assert executor.drain()
    assert call.result() == {"b": "caller", "wide": ["caller"] * 3}
    check_all_ended()


def test_a_step_may_build_and_execute_another_flow(door: Door) -> None:
    build("outer", {"plan": [], "done": ["plan"]})

    def plan(input: dict[str, Any]) -> Any:
        slug = f"inner_{door.__class__.__name__.lower()}"
        flow_builder.create_flow(slug)
        for i in range(input["n"]):
            flow_builder.add_step(slug, f"s{i}", [f"s{i - 1}"] if i else [])
        functions = {f"s{i}": (lambda i, n=i: n) for i in range(input["n"])}
        return executor.execute_dynamic(slug, {}, functions)

    run = door.run("outer", {"n": 4}, {"plan": plan, "done": lambda i: i["plan"]})
    assert run.output == {"done": {"s3": 3}}
    inner = WorkflowRun.objects.exclude(workflow_slug="outer").get()
    assert (inner.parent_run_id, run.parent_run_id) == (run.id, None)


def test_a_step_may_start_another_flow_for_the_workers(register: Register) -> None:
    build("outer", {"kick": []})
    build("inner", {"work": []})

    def kick(input: dict[str, Any]) -> str:
        return str(executor.start_flow("inner", {"from": "outer"}).id)

    register({"kick": kick, "work": lambda i: i["from"]})
    run = executor.start_flow("outer", {})
    executor.drain()
    inner = executor.wait(run.id)["kick"]
    assert executor.wait(inner) == {"work": "outer"}
    assert WorkflowRun.objects.get(id=inner).parent_run_id == run.id


def test_more_steps_than_threads_run_side_by_side_up_to_the_number_of_threads(
    settings: Any,
) -> None:
    settings.PGFLOW = {"THREADS": 3}
    build("flow", {f"s{i}": [] for i in range(6)})
    barrier = threading.Barrier(3)
    functions = {f"s{i}": (lambda input: barrier.wait(30) is not None) for i in range(6)}
    assert executor.execute_dynamic("flow", {}, functions) == dict.fromkeys(functions, True)


def test_a_chain_of_a_hundred_steps_runs(door: Door) -> None:
    build("line", chain(100))
    functions: dict[str, Any] = {
        f"s{i}": (lambda i, n=i: i[f"s{n - 1}"] + 1) for i in range(1, 100)
    }
    assert door.output("line", {}, {"s0": one, **functions}) == {"s99": 100}
    assert registry.get("s0") is None
