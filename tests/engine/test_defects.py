"""The fourteen defects of the ancestors, one test each: none of them is here."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from pgflow_django import PgflowError, RunFailed, executor, flow_builder
from pgflow_django.models import (
    Workflow,
    WorkflowRun,
    WorkflowStep,
    WorkflowStepDependency,
    WorkflowTaskAttempt,
)
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import messages, query, step_statuses, task_statuses, value
from tests.engine.invariants import check_all_ended
from tests.engine.threads import Background, at_once
from tests.engine.workers import HandWorker, sweep
from tests.waiting import wait_for, wait_until


def test_defect_01_two_claims_of_one_message_at_once_give_its_task_to_one_of_them() -> None:
    build("flow", {"a": []})
    for _ in range(10):
        executor.start_flow("flow", {})
        workers = [HandWorker() for _ in range(6)]
        claimed = at_once([lambda worker=worker: worker.claim(1) for worker in workers])
        assert sum(map(len, claimed)) == 1
        for worker, tasks in zip(workers, claimed, strict=True):
            worker.complete(*tasks)
            worker.leave()
    check_all_ended()


def test_defect_02_a_step_may_take_its_whole_timeout_and_is_not_run_twice(
    settings: Any, register: Register
) -> None:
    settings.PGFLOW = {"LEASE_SECONDS": 1.5}
    build("flow", {"a": []}, timeout=3600)
    calls: list[float] = []

    def longer_than_any_lease(input: dict[str, Any]) -> int:
        calls.append(time.monotonic())
        while time.monotonic() < calls[0] + 2.0:
            pass
        return len(calls)

    register({"a": longer_than_any_lease})
    run = executor.start_flow("flow", {})
    drains = [Background(executor.drain) for _ in range(2)]
    assert [drain.result() for drain in drains]
    assert executor.drain()
    assert executor.wait(run.id) == {"a": 1}
    build("short", {"a": []}, timeout=1, max_attempts=1)

    def loop(input: dict[str, Any]) -> None:
        while True:
            pass

    with pytest.raises(RunFailed, match="StepTimeout"):
        executor.execute_dynamic("short", {}, {"a": loop})


def test_defect_03_a_task_that_is_lost_again_and_again_fails_with_its_run() -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=3)
    run = executor.start_flow("flow", {})
    for _ in range(3):
        worker = HandWorker()
        assert len(worker.claim()) == 1
        worker.die()
        sweep()
    run.refresh_from_db()
    assert (run.status, run.error["code"]) == ("failed", "worker_lost")
    assert step_statuses(run.id) == {"a": "failed", "b": "cancelled"}
    check_all_ended()


def test_defect_04_a_step_behind_an_empty_map_starts_like_any_other(register: Register) -> None:
    # Conditions are for later: what holds now is that such a step takes no way of its own.
    build(
        "flow",
        {"each*": [], "after": ["each"], "far": ["after"]},
        options={"after": {"start_delay": 1, "params": {"p": 1}, "queue": "slow"}},
    )
    register({"after": lambda i: [i["each"], i["params"]], "far": lambda i: i["after"]})
    run = executor.start_flow("flow", [])
    assert step_statuses(run.id) == {"each": "completed", "after": "started", "far": "created"}
    (message,) = messages(run.id)
    assert message["queue"] == "pgmq.q_pgflow_slow"
    assert value("select %s > clock_timestamp()", message["vt"])
    executor.drain()
    assert executor.wait(run.id) == {"far": [[], {"p": 1}]}


def test_defect_05_a_dependency_can_not_be_given_twice_and_no_step_can_be_added_again() -> None:
    build("flow", {"a": [], "b": ["a"]})
    for slug, deps, code in [
        ("c", ["a", "a"], "duplicate_dependency"),
        ("a", ["b"], "duplicate_step_slug"),
        ("b", [], "duplicate_step_slug"),
        ("c", ["c"], "self_dependency"),
    ]:
        with pytest.raises(PgflowError) as caught:
            flow_builder.add_step("flow", slug, deps)
        assert caught.value.code == code
    with pytest.raises(Exception, match="cycle: a → b → a|cycle: b → a → b"):
        WorkflowStepDependency.objects.create(workflow_slug="flow", dep_slug="b", step_slug="a")
    assert executor.execute_dynamic("flow", {}, {"a": lambda i: 1, "b": lambda i: i["a"]}) == {
        "b": 1
    }


def test_defect_06_a_chain_of_hundreds_of_empty_maps_completes() -> None:
    count = 300
    steps = {f"m{i}*": [f"m{i - 1}"] if i else [] for i in range(count)}
    build("flow", steps)
    run = executor.start_flow("flow", [])
    assert (run.status, run.output) == ("completed", {f"m{count - 1}": []})
    check_all_ended()


def test_defect_07_a_failed_run_leaves_no_sibling_queued_or_started() -> None:
    build(
        "flow",
        {"bad": [], "started": [], "queued": [], "map*": []},
        max_attempts=1,
        options={"map": {"initial_tasks": 5}},
    )
    run = executor.start_flow("flow", {})
    worker = HandWorker(functions=["bad"])
    (bad,) = worker.claim()
    other = HandWorker(functions=["started", "map"])
    other.claim(3)
    worker.fail(bad)
    assert step_statuses(run.id) == {
        "bad": "failed",
        "started": "cancelled",
        "queued": "cancelled",
        "map": "cancelled",
    }
    assert set(task_statuses(run.id, "map")) == {"cancelled"}
    worker.leave()
    other.leave()
    check_all_ended()


def test_defect_08_long_slugs_work_and_slugs_that_differ_by_case_share_nothing(
    register: Register,
) -> None:
    slugs = ["x" * 48, "X" * 48, "x" * 128, "x" * 127 + "X"]
    for slug in slugs:
        build(slug, {"step_of_" + "y" * 100: []}, options={})
    register({"step_of_" + "y" * 100: lambda i: i["slug"]})
    runs = [executor.start_flow(slug, {"slug": slug}) for slug in slugs]
    assert executor.drain()
    for slug, run in zip(slugs, runs, strict=True):
        assert executor.wait(run.id) == {"step_of_" + "y" * 100: slug}
        assert WorkflowRun.objects.get(id=run.id).workflow_slug == slug


@pytest.mark.parametrize("falsy", [None, False, 0, "", [], {}], ids=repr)
def test_defect_09_falsy_outputs_stay_what_they_are(falsy: Any) -> None:
    build("flow", {"a": [], "b": ["a"], "each*": []}, options={"each": {"initial_tasks": 1}})
    output = executor.execute_dynamic(
        "flow", {}, {"a": lambda i: falsy, "b": lambda i: i["a"], "each": lambda i: falsy}
    )
    assert output == {"b": falsy, "each": [falsy]}
    assert type(output["b"]) is type(output["each"][0]) is type(falsy)


def test_defect_10_map_tasks_get_their_item_and_dependents_the_whole_list() -> None:
    build("flow", {"give": [], "each*": ["give"], "all": ["each"]})
    functions = {
        "give": lambda i: ["a", "b"],
        "each": lambda i: f"{i['index']}:{i['item']}",
        "all": lambda i: i["each"],
    }
    assert executor.execute_dynamic("flow", {}, functions) == {"all": ["0:a", "1:b"]}


def test_defect_11_executions_of_one_flow_at_once_run_their_own_functions_only() -> None:
    build("flow", {"a": [], "each*": ["a"]})
    everybody = threading.Barrier(4)

    def execute(n: int) -> Any:
        def a(input: dict[str, Any]) -> list[int]:
            everybody.wait(30)
            return [n] * 5

        functions = {"a": a, "each": lambda i: (n, i["item"])}
        return executor.execute_dynamic("flow", {}, functions)

    outputs = at_once([lambda n=n: execute(n) for n in range(4)])
    assert outputs == [{"each": [[n, n]] * 5} for n in range(4)]


@pytest.mark.parametrize(
    ("deps", "code"),
    [
        (["nowhere"], "missing_dependencies"),
        (["a", "nowhere"], "missing_dependencies"),
        (["a", "a"], "duplicate_dependency"),
        (["bad"], "self_dependency"),
    ],
)
def test_defect_12_a_step_with_a_bad_dependency_leaves_nothing_behind(
    deps: list[str], code: str
) -> None:
    build("flow", {"a": []})
    before = Workflow.objects.get().version
    with pytest.raises(PgflowError) as caught:
        flow_builder.add_step("flow", "bad", deps)
    assert caught.value.code == code
    assert list(WorkflowStep.objects.values_list("step_slug", flat=True)) == ["a"]
    assert not WorkflowStepDependency.objects.exists()
    assert Workflow.objects.get().version == before


@pytest.mark.parametrize("attempts", [28, 29, 30, 31, 62, 63, 64, 500, 1000])
def test_defect_13_no_retry_delay_overflows(attempts: int) -> None:
    build("flow", {"a": []}, base_delay=604_800, max_attempts=1000)
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    (task,) = worker.claim()
    query("update workflow_step_tasks set attempts_count = %s", attempts)
    assert worker.fail(task) == 1
    if attempts < 1000:
        attempt = WorkflowTaskAttempt.objects.get()
        assert attempt.retry_at is not None
        assert 3599 < (attempt.retry_at - attempt.ended_at).total_seconds() < 3601
        assert task_statuses(run.id, "a") == ["queued"]
    else:
        assert executor.get_run_status(run.id).status == "failed"


def test_defect_14_a_worker_that_stops_hands_its_batch_to_others_at_once(
    register: Register,
) -> None:
    build("flow", {"each*": []})
    begun, go_on = threading.Event(), threading.Event()

    def each(input: dict[str, Any]) -> int:
        begun.set()
        wait_for(go_on)
        return input["index"]

    register({"each": each})
    run = executor.start_flow("flow", list(range(30)))
    for timeout in (0.1, 0.5, 2.0, 8.0):  # a busy machine may not get to a step in a short one
        stopping = Background(lambda timeout=timeout: executor.drain(timeout=timeout))
        wait_until(lambda call=stopping: begun.is_set() or not call.is_running)
        if begun.is_set():
            break
    other = HandWorker()
    taken: list[Any] = []

    def take() -> bool:
        taken.extend(other.claim_in_another_thread(30))
        return len(taken) >= 26  # all but one for each thread of the one that stops

    wait_until(take, "the rest of the batch")
    go_on.set()
    stopping.result()
    assert {task.attempt for task in taken} == {1}
    assert other.complete(*taken, output=-1) == len(taken)
    other.leave()
    executor.drain()
    assert executor.get_run_status(run.id).status == "completed"
    assert not WorkflowTaskAttempt.objects.exists()
    check_all_ended()
