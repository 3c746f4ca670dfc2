"""Runs that are cancelled, and runs that are taken up again."""

from __future__ import annotations

import threading
from copy import copy
from typing import Any
from uuid import UUID

import pytest

from pgflow_django import (
    PgflowError,
    RunCancelled,
    RunFailed,
    RunNotFound,
    StepFunctionMissing,
    executor,
)
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import (
    attempts_counts,
    messages,
    query,
    step_statuses,
    task_statuses,
)
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.threads import Background
from tests.engine.workers import HandWorker
from tests.waiting import wait_for

UNKNOWN = UUID("01a20551-fe00-7df3-af3d-bec5f6bc8dcd")


def one(input: dict[str, Any]) -> int:
    return 1


def test_cancelling_ends_everything_that_is_left() -> None:
    build("flow", {"a": [], "b": ["a"], "wide*": []}, options={"wide": {"initial_tasks": 300}})
    run = executor.start_flow("flow", {})
    worker = HandWorker(functions=["a"])
    (task,) = worker.claim()
    status = executor.cancel_run(run.id, reason="no longer wanted")
    assert (status.status, status.error) == ("cancelled", None)
    assert set(step_statuses(run.id).values()) == {"cancelled"}
    assert messages(run.id) == []
    assert worker.complete(task, output=1) == 0
    event = WorkflowRunEvent.objects.get(run_id=run.id)
    assert (event.kind, event.message) == ("cancelled", "no longer wanted")
    worker.leave()
    check_all_ended()
    with pytest.raises(RunCancelled) as caught:
        executor.wait(run.id)
    assert caught.value.code == "run_cancelled"


def test_cancelling_again_or_after_the_end_changes_nothing() -> None:
    build("flow", {"a*": []})
    done = executor.start_flow("flow", [])
    assert executor.cancel_run(done.id).status == "completed"
    run = executor.start_flow("flow", [1])
    executor.cancel_run(run.id)
    ended_at = WorkflowRun.objects.get(id=run.id).ended_at
    assert executor.cancel_run(str(run.id)).status == "cancelled"
    assert WorkflowRun.objects.get(id=run.id).ended_at == ended_at
    assert WorkflowRunEvent.objects.count() == 1


@pytest.mark.parametrize("call", ["cancel_run", "get_run_status", "wait", "retry_run"])
@pytest.mark.parametrize("run_id", [UNKNOWN, str(UNKNOWN), "no uuid", "", 5])
def test_unknown_runs_are_not_found(call: str, run_id: Any) -> None:
    with pytest.raises(RunNotFound, match="there is no run") as caught:
        getattr(executor, call)(run_id)
    assert caught.value.code == "run_not_found"
    told = copy(caught.value)  # as other processes are told: by ``__reduce__``
    assert (str(told), told.run_id) == (str(caught.value), caught.value.run_id)


def test_cancelling_while_a_step_runs_refuses_its_result() -> None:
    build("flow", {"a": [], "b": ["a"]})
    started, go_on = threading.Event(), threading.Event()
    seen: list[bool] = []
    ids: list[Any] = []

    def a(input: dict[str, Any], context: Any) -> int:
        seen.append(context.cancelled())
        started.set()
        wait_for(go_on)
        seen.append(context.cancelled())
        return 1

    call = Background(
        lambda: executor.execute_dynamic("flow", {}, {"a": a, "b": one}, on_start=ids.append)
    )
    wait_for(started)
    executor.cancel_run(ids[0])
    go_on.set()
    with pytest.raises(RunCancelled):
        call.result()
    assert seen[0] is False
    assert seen[1:] in ([], [True])
    assert step_statuses(ids[0]) == {"a": "cancelled", "b": "cancelled"}
    check_all_ended()


def test_a_retried_run_calls_only_what_had_not_completed(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"], "c": ["b"]}, max_attempts=1)
    calls: list[str] = []
    broken = [True]

    def b(input: dict[str, Any]) -> str:
        calls.append("b")
        if broken:
            raise ValueError
        return input["a"] + "b"

    register({"a": lambda input: calls.append("a") or "a", "b": b, "c": lambda i: i["b"] + "c"})
    run = executor.start_flow("flow", {})
    executor.drain()
    with pytest.raises(RunFailed):
        executor.wait(run.id)
    broken.clear()
    again = executor.retry_run(run.id)
    assert again.id == run.id
    assert (again.status, again.error, again.ended_at) == ("started", None, None)
    check_consistency()
    executor.drain()
    assert executor.wait(run.id) == {"c": "abc"}
    assert calls == ["a", "b", "b"]
    check_all_ended()


def test_a_retried_map_runs_only_its_tasks_that_had_not_completed(register: Register) -> None:
    build("flow", {"each*": [], "sum": ["each"]}, max_attempts=1)
    calls: list[int] = []
    broken = [True]

    def each(input: dict[str, Any]) -> int:
        calls.append(input["index"])
        if broken and input["item"] in (3, 250):
            raise ValueError
        return input["item"]

    register({"each": each, "sum": lambda input: sum(input["each"])})
    run = executor.start_flow("flow", list(range(300)))
    worker = HandWorker(functions=["each"])
    tasks = {task.index: task for _ in range(3) for task in worker.claim_in_another_thread(100)}
    done = [tasks[i] for i in range(300) if i not in (3, 250)]
    for task in done:
        worker.complete(task, output=task.item)
    worker.fail(tasks[3])
    worker.leave()
    assert task_statuses(run.id, "each").count("completed") == 298
    executor.retry_run(run.id)
    check_consistency()
    assert sum(message["count"] for message in messages(run.id)) == 2, "only what is left"
    broken.clear()
    executor.drain()
    assert executor.wait(run.id) == {"sum": sum(range(300))}
    assert sorted(calls) == [3, 250]
    check_all_ended()


def test_a_retried_run_has_all_its_attempts_again(register: Register) -> None:
    build("flow", {"a": []}, max_attempts=2)
    calls: list[int] = []

    def a(input: dict[str, Any]) -> int:
        calls.append(1)
        if len(calls) < 4:
            raise ValueError
        return len(calls)

    register({"a": a})
    run = executor.start_flow("flow", {})
    executor.drain()
    assert attempts_counts(run.id, "a") == [2]
    executor.retry_run(run.id)
    executor.drain()
    assert executor.wait(run.id) == {"a": 4}
    assert attempts_counts(run.id, "a") == [2]


def test_a_cancelled_run_can_be_retried_and_delays_are_over(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"]}, base_delay=3600, options={"a": {"start_delay": 3600}})
    register({"a": one, "b": lambda input: input["a"] + 1})
    run = executor.start_flow("flow", {})
    executor.cancel_run(run.id)
    executor.retry_run(run.id)
    assert executor.drain(timeout=30)
    assert executor.wait(run.id) == {"b": 2}
    kinds = WorkflowRunEvent.objects.filter(run_id=run.id).values_list("kind", flat=True)
    assert list(kinds) == ["cancelled", "retried"]


def test_retrying_while_the_old_worker_still_runs_a_task_refuses_its_result() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    old = HandWorker()
    (task,) = old.claim()
    executor.cancel_run(run.id)
    executor.retry_run(run.id)
    new = HandWorker()
    (again,) = new.claim()
    assert old.complete(task, output="old") == 0
    assert old.fail(task, permanent=True) == 0
    assert new.complete(again, output="new") == 1
    assert executor.wait(run.id) == {"a": "new"}


@pytest.mark.parametrize("given", [[], [1, 2]])
def test_a_type_violation_fails_again_until_its_cause_is_gone(
    register: Register, given: list[int]
) -> None:
    build("flow", {"give": [], "each*": ["give"]})
    register({"give": lambda input: "no array", "each": one})
    run = executor.start_flow("flow", {})
    executor.drain()
    again = executor.retry_run(run.id)
    assert (again.status, again.error["code"]) == ("failed", "type_violation")
    check_all_ended()
    query(
        "update workflow_step_tasks set output = to_jsonb(%s::int[]) where step_slug = 'give'",
        given,
    )
    executor.retry_run(run.id)
    executor.drain()
    assert executor.wait(run.id) == {"each": [1] * len(given)}
    check_all_ended()


def test_runs_that_completed_or_still_run_are_not_retried() -> None:
    build("flow", {"a*": []})
    done = executor.start_flow("flow", [])
    live = executor.start_flow("flow", [1])
    for run, status in ((done, "completed"), (live, "started")):
        with pytest.raises(PgflowError, match=f"it is {status}") as caught:
            executor.retry_run(run.id)
        assert caught.value.code == "run_not_retryable"
        with pytest.raises(PgflowError) as caught:
            executor.retry_run(run.id, step_functions={"a": one})
        assert caught.value.code == "run_not_retryable"
    assert executor.get_run_status(live.id).status == "started"


def test_a_run_with_functions_of_its_caller_needs_them_for_a_retry() -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=1)

    def fail(input: dict[str, Any]) -> None:
        raise ValueError

    with pytest.raises(RunFailed) as caught:
        executor.execute_dynamic("flow", {"n": 1}, {"a": one, "b": fail})
    run_id = caught.value.run_id
    assert run_id is not None
    with pytest.raises(StepFunctionMissing) as missing:
        executor.retry_run(run_id)
    assert missing.value.code == "missing_step_functions"
    with pytest.raises(StepFunctionMissing, match='"b"'):
        executor.retry_run(run_id, step_functions={"a": one})
    assert executor.get_run_status(run_id).status == "failed"
    with pytest.raises(RunFailed):
        executor.retry_run(run_id, step_functions={"a": one, "b": fail})
    run = executor.retry_run(run_id, step_functions={"a": one, "b": lambda i: [i["a"], i["n"]]})
    assert (run.status, run.output) == ("completed", {"b": [1, 1]})
    check_all_ended()


def test_a_run_of_workers_can_be_retried_in_this_process(register: Register) -> None:
    build("flow", {"a": [], "wide*": ["a"]})
    run = executor.start_flow("flow", {})
    executor.cancel_run(run.id)
    run = executor.retry_run(
        run.id, step_functions={"a": lambda input: [1, 2], "wide": lambda input: input["item"]}
    )
    assert run.output == {"wide": [1, 2]}
    check_all_ended()


def test_a_run_that_ended_after_its_flow_was_deleted_can_be_retried(register: Register) -> None:
    from pgflow_django import flow_builder

    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    flow_builder.delete_flow("flow", force=True)
    register({"a": one})
    executor.retry_run(run.id)
    executor.drain()
    assert executor.wait(run.id) == {"a": 1}
