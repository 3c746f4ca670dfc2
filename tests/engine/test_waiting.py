"""``get_run_status(...).waiting``: why nothing moves in a run, and what to do about it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pgflow_django import RunTimedOut, engine, executor, flow_builder
from pgflow_django.runs.waiting import Waiting
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import end_leases, query
from tests.engine.threads import Background
from tests.engine.workers import HandWorker
from tests.waiting import wait_for

ONE = {"a": []}


def waiting(run_id: UUID) -> Waiting | None:
    return executor.get_run_status(run_id).waiting


def reason(run_id: UUID) -> str | None:
    found = waiting(run_id)
    return found.reason if found else None


def test_no_live_worker_serves_the_queue() -> None:
    run = executor.start_flow(build("flow", {"a": [], "b": []}, queue="gpu"))
    HandWorker(["default"])
    found = waiting(run.id)
    assert found is not None
    assert (found.reason, found.steps, found.queues) == ("no_worker", ("a", "b"), ("gpu",))
    assert found.message == (
        'no live worker serves queue "gpu", where steps "a", "b" wait. '
        "Start one: celery -A tests worker --pgflow-queues gpu"
    )
    assert found.needs_help
    worker = HandWorker(["gpu"])
    assert waiting(run.id) is None
    worker.die()
    assert reason(run.id) == "no_worker"


def test_the_default_queue_needs_no_option() -> None:
    run = executor.start_flow(build("flow", ONE))
    found = waiting(run.id)
    assert found is not None
    assert found.message == (
        'no live worker serves queue "default", where step "a" waits. '
        "Start one: celery -A tests worker"
    )


def test_no_live_worker_has_the_function() -> None:
    run = executor.start_flow(build("flow", ONE, options={"a": {"uses": "shop.fetch"}}))
    HandWorker(functions=["shop.other"])
    found = waiting(run.id)
    assert found is not None
    assert (found.reason, found.functions) == ("no_function", ("shop.fetch",))
    assert found.message.startswith(
        'no live worker of queue "default" has function "shop.fetch" (step "a"). '
    )
    HandWorker(functions=["shop.other", "shop.fetch"])
    assert waiting(run.id) is None


def test_a_worker_that_can_run_anything_has_every_function() -> None:
    run = executor.start_flow(build("flow", ONE))
    HandWorker(functions=None)
    assert waiting(run.id) is None


def test_all_workers_that_could_run_it_are_busy() -> None:
    build("long", {"hold": []})
    build("flow", {"a": [], "b": []})
    workers = [HandWorker(functions=["hold", "a", "b"]) for _ in range(2)]
    HandWorker(["gpu"])
    HandWorker(functions=["hold"])
    executor.start_flows("long", [{}, {}])
    held = [worker.claim() for worker in workers]
    run = executor.start_flow("flow")
    found = waiting(run.id)
    assert found is not None
    assert (found.reason, found.steps, found.queues) == ("busy", ("a", "b"), ("default",))
    assert found.message == (
        'all 2 workers of queue "default" are busy: steps "a", "b" wait for their turn'
    )
    assert not found.needs_help
    workers[0].complete(*held[0])
    assert waiting(run.id) is None
    (task,) = workers[0].claim()
    assert waiting(run.id) is None
    workers[0].complete(task)


def test_the_only_worker_is_busy() -> None:
    build("long", {"hold": []})
    worker = HandWorker()
    executor.start_flow("long")
    worker.claim()
    run = executor.start_flow(build("flow", ONE))
    found = waiting(run.id)
    assert found is not None
    assert found.message == (
        'the only worker of queue "default" is busy: step "a" waits for its turn'
    )


def test_a_step_that_waits_for_a_worker_is_told_while_others_run() -> None:
    build("flow", {"a": [], "b": []}, options={"b": {"queue": "gpu"}})
    run = executor.start_flow("flow")
    worker = HandWorker()
    assert worker.claim()
    found = waiting(run.id)
    assert found is not None
    assert (found.reason, found.steps) == ("no_worker", ("b",))


def test_a_run_whose_step_runs_waits_for_nothing() -> None:
    run = executor.start_flow(build("flow", ONE))
    worker = HandWorker()
    (task,) = worker.claim()
    assert waiting(run.id) is None
    worker.complete(task)
    status = executor.get_run_status(run.id)
    assert (status.status, status.waiting) == ("completed", None)


def test_what_a_dead_worker_holds_does_not_run() -> None:
    run = executor.start_flow(build("flow", ONE))
    worker = HandWorker()
    worker.claim()
    worker.die()
    assert reason(run.id) == "no_worker"


def test_a_retry_is_waited_for_until_its_time() -> None:
    build("flow", ONE, options={"a": {"max_attempts": 2}})
    run = executor.start_flow("flow")
    worker = HandWorker()
    worker.fail(*worker.claim(), delay=100)
    found = waiting(run.id)
    assert found is not None
    assert (found.reason, found.steps) == ("delayed", ("a",))
    assert found.until is not None
    assert timedelta(seconds=90) < found.until - timezone.now() <= timedelta(seconds=100)
    assert found.message.startswith('step "a" is due in ')
    assert not found.needs_help


def test_a_map_of_which_one_task_is_due_now_waits_for_nothing() -> None:
    build("flow", {"a*": []}, options={"a": {"max_attempts": 2}})
    run = executor.start_flow("flow", [1, 2])
    worker = HandWorker()
    first, second = worker.claim(2)
    worker.fail(first, delay=100)
    worker.release(second)
    assert waiting(run.id) is None
    worker.complete(*worker.claim(2))
    assert reason(run.id) == "delayed"


def test_a_delayed_start_is_waited_for() -> None:
    run = executor.start_flow(build("flow", ONE, options={"a": {"start_delay": 50}}))
    HandWorker()
    found = waiting(run.id)
    assert found is not None
    assert found.reason == "delayed"
    assert found.until is not None
    assert timedelta(seconds=40) < found.until - timezone.now() <= timedelta(seconds=50)


def test_a_paused_run_waits_to_go_on() -> None:
    run = executor.start_flow(build("flow", ONE))
    query("update workflow_runs set status = 'paused' where id = %s", run.id)
    assert reason(run.id) == "paused"


def test_a_run_of_a_process_waits_for_that_process() -> None:
    build("flow", ONE)
    worker = HandWorker(["in_process"])
    (run_id,) = engine.start_flow("flow", "[{}]", owner=worker.id, using="default")
    found = waiting(run_id)
    assert found is not None
    assert found.reason == "caller"
    assert "by-hand, pid " in found.message
    end_leases()
    found = waiting(run_id)
    assert found is not None
    assert "is gone" in found.message


def test_an_execution_that_goes_on_waits_for_nothing() -> None:
    build("flow", ONE)
    has_begun, may_end = threading.Event(), threading.Event()
    ids: list[UUID] = []

    def hold(_: Mapping[str, Any]) -> None:
        has_begun.set()
        wait_for(may_end)

    execution = Background(
        lambda: executor.execute_dynamic("flow", {}, {"a": hold}, on_start=ids.append)
    )
    wait_for(has_begun)
    assert waiting(ids[0]) is None
    may_end.set()
    execution.result()


def test_a_drain_serves(register: Register) -> None:
    build("flow", {"hold": []})
    has_begun, may_end = threading.Event(), threading.Event()

    def hold(_: Mapping[str, Any]) -> None:
        has_begun.set()
        wait_for(may_end)

    register({"hold": hold})
    run = executor.start_flow("flow")
    assert reason(run.id) == "no_worker"
    drain = Background(lambda: executor.drain(timeout=60))
    wait_for(has_begun)
    assert waiting(run.id) is None
    may_end.set()
    assert drain.result()
    assert executor.get_run_status(run.id).status == "completed"


def test_waiting_in_vain_says_why() -> None:
    run = executor.start_flow(build("flow", ONE))
    with pytest.raises(RunTimedOut, match=r"0 of 1 steps are completed. It waits: no live worker"):
        executor.wait(run.id, timeout=0.01)


def test_the_number_of_queries_does_not_grow_with_the_run() -> None:
    flow_builder.create_flow("wide")
    for number in range(30):
        flow_builder.add_step("wide", f"s{number}", queue=f"queue_{number}")
    run = executor.start_flow("wide")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = waiting(run.id)
    assert found is not None
    assert len(found.steps) == 30
    assert "and 27 more" in found.message
    assert len(queries) == 4
