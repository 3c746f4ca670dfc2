"""Lost callers, stopping workers, and leases that are kept."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from pgflow_django import engine, executor
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import (
    attempts_counts,
    end_leases,
    messages,
    query,
    step_statuses,
    task_statuses,
)
from tests.engine.invariants import check_all_ended
from tests.engine.workers import HandWorker, sweep
from tests.waiting import wait_until


def test_a_run_whose_caller_is_lost_fails_and_says_so() -> None:
    build("flow", {"a": [], "b": ["a"]})
    worker = HandWorker(queues=["in_process"])
    (run_id,) = engine.start_flow("flow", "[{}]", using="default", owner=worker.id)
    (task,) = worker.claim(run=run_id)
    worker.die()
    assert sweep() == 1
    run = WorkflowRun.objects.get(id=run_id)
    assert (run.status, run.error["code"]) == ("failed", "caller_lost")
    assert "retry_run" in run.error["error_message"]
    assert step_statuses(run_id) == {"a": "cancelled", "b": "cancelled"}
    assert worker.complete(task, output=1) == 0
    check_all_ended()


def test_a_paused_run_whose_caller_is_lost_does_not_stop_the_sweep() -> None:
    build("flow", {"a": []})
    worker = HandWorker(queues=["in_process"])
    engine.start_flow("flow", "[{}]", using="default", owner=worker.id)
    query("update workflow_runs set status = 'paused'")
    worker.die()
    assert sweep() == 1
    check_all_ended()


def test_a_run_whose_caller_is_lost_can_be_taken_up_again_with_functions() -> None:
    build("flow", {"a": [], "b": ["a"]})
    worker = HandWorker(queues=["in_process"])
    (run_id,) = engine.start_flow(
        "flow", "[{}]", using="default", owner=worker.id, has_caller_functions=True
    )
    (task,) = worker.claim(run=run_id)
    worker.complete(task, output="kept")
    worker.die()
    sweep()
    calls: list[str] = []
    functions = {"a": lambda input: calls.append("a"), "b": lambda input: [input["a"], "b"]}
    run = executor.retry_run(run_id, step_functions=functions)
    assert (run.status, run.output) == ("completed", {"b": ["kept", "b"]})
    assert calls == []
    check_all_ended()


@pytest.mark.parametrize("door", ["execute_dynamic", "drain"])
def test_whoever_works_next_sweeps_first(door: str, register: Register) -> None:
    build("lost", {"a": []}, max_attempts=1)
    build("next", {"b": []})
    run = executor.start_flow("lost", {})
    HandWorker().claim()
    end_leases()
    register({"b": lambda input: 1})
    if door == "drain":
        executor.drain()
    else:
        executor.execute_dynamic("next", {})
    run.refresh_from_db()
    assert (run.status, run.error["code"]) == ("failed", "worker_lost")


def test_a_stopping_worker_hands_its_claim_back_without_spending_attempts() -> None:
    build("flow", {"each*": []})
    run = executor.start_flow("flow", [1, 2, 3])
    worker = HandWorker()
    worker.claim(2)
    worker.leave()
    assert attempts_counts(run.id, "each") == [0, 0, 0]
    assert sum(message["count"] for message in messages(run.id)) == 3
    assert len(HandWorker().claim(10)) == 3
    assert not WorkflowTaskAttempt.objects.exists()


def test_a_worker_that_vanishes_from_the_table_with_work_gives_it_back() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    worker.claim()
    engine.remove_worker(worker.id, using="default")  # it could not stop its function
    assert task_statuses(run.id, "a") == ["queued"]
    assert not query("select 1 from workflow_workers")


def test_a_lease_is_renewed_for_everything_that_a_worker_holds(settings: Any) -> None:
    settings.PGFLOW = {"LEASE_SECONDS": 1.5}
    build("flow", {"a": []}, timeout=30)
    began = connection.vendor  # the connection is up
    assert began == "postgresql"

    def longer_than_the_lease(input: dict[str, Any]) -> str:
        lease = query("select max(lease_until) from workflow_workers")[0][0]
        wait_until(
            lambda: query("select clock_timestamp() > %s + interval '0.1 second'", lease)[0][0]
        )
        sweep()
        return "done"

    output = executor.execute_dynamic("flow", {}, {"a": longer_than_the_lease})
    assert output == {"a": "done"}
    check_all_ended()
