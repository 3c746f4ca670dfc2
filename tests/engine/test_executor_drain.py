"""`drain`, `wait` and `get_run_status`: acting as a worker, and looking at runs."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection, transaction

from pgflow_django import RetryAfter, RunFailed, executor
from pgflow_django.models import WorkflowTaskAttempt, WorkflowWorker
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import attempts_counts, messages, step_statuses, value
from tests.engine.effort import EFFORT
from tests.engine.invariants import check_all_ended
from tests.engine.threads import Background
from tests.waiting import wait_for, wait_until


def one(input: dict[str, Any]) -> int:
    return 1


def test_drain_has_nothing_to_do_on_an_empty_system() -> None:
    assert executor.drain() is True
    assert executor.drain(timeout=30) is True
    check_all_ended()


def test_drain_works_off_many_runs_of_many_flows(register: Register) -> None:
    build("first", {"a": [], "b": ["a"]})
    build("second", {"wide*": [], "b": ["wide"]})
    register({"a": one, "b": lambda i: sum(i.get("wide", [0])), "wide": lambda i: i["item"]})
    firsts = executor.start_flows("first", [{}] * 30)
    seconds = executor.start_flows("second", [list(range(n)) for n in range(30)])
    assert executor.drain()
    assert [executor.wait(run.id) for run in firsts] == [{"b": 0}] * 30
    assert [executor.wait(run.id) for run in seconds] == [{"b": sum(range(n))} for n in range(30)]
    check_all_ended()


def test_drain_waits_for_what_is_due_later(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"]}, options={"b": {"start_delay": 1}})
    calls: list[float] = []

    def a(input: dict[str, Any]) -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise RetryAfter(0.4)

    register({"a": a, "b": lambda i: calls.append(time.monotonic())})
    run = executor.start_flow("flow", {})
    assert executor.drain() is True
    assert executor.wait(run.id) == {"b": None}
    assert calls[1] - calls[0] >= 0.4
    assert calls[2] - calls[1] >= 0.99


@pytest.mark.parametrize("in_transaction", [False, True])
def test_drain_gives_up_at_its_timeout_and_leaves_what_is_due_later(
    register: Register, in_transaction: bool
) -> None:
    build("flow", {"a": []}, options={"a": {"start_delay": 3600}})
    register({"a": one})
    run = executor.start_flow("flow", {})
    before = time.monotonic()
    if in_transaction:
        with transaction.atomic():
            assert executor.drain(timeout=0.2) is False
    else:
        assert executor.drain(timeout=0.2) is False
    assert 0.2 <= time.monotonic() - before < 3
    assert len(messages(run.id)) == 1
    assert not WorkflowWorker.objects.exists()


@pytest.mark.parametrize("in_transaction", [False, True])
def test_drain_finishes_what_runs_at_its_timeout_and_hands_back_the_rest(
    register: Register, in_transaction: bool
) -> None:
    build("flow", {"each*": []})
    ends: list[int] = []

    def each(input: dict[str, Any]) -> int:
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            pass
        ends.append(input["index"])
        return input["index"]

    register({"each": each})
    run = executor.start_flow("flow", list(range(40)))
    if in_transaction:
        with transaction.atomic():
            assert executor.drain(timeout=0.2) is False
    else:
        assert executor.drain(timeout=0.2) is False
    assert 1 <= len(ends) <= 12
    done = value("select count(*) from workflow_step_tasks where status = 'completed'")
    assert done == len(ends)
    assert sum(attempts_counts(run.id, "each")) == len(ends)
    assert sum(message["count"] for message in messages(run.id)) == 40 - len(ends)
    assert not WorkflowWorker.objects.exists()
    assert not WorkflowTaskAttempt.objects.exists()


@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_this_process_has_no_function_for_is_left_alone(
    register: Register, in_transaction: bool
) -> None:
    build("flow", {"known": [], "unknown": [], "after": ["known"], "foreign": ["known"]})
    register({"known": one, "after": one})
    run = executor.start_flow("flow", {})
    if in_transaction:
        with transaction.atomic():
            assert executor.drain() is True
    else:
        assert executor.drain() is True
    assert step_statuses(run.id) == {
        "known": "completed",
        "unknown": "started",
        "after": "completed",
        "foreign": "started",
    }
    assert attempts_counts(run.id, "unknown") == [0]
    assert attempts_counts(run.id, "foreign") == [0]
    assert sorted(message["step_slug"] for message in messages(run.id)) == ["foreign", "unknown"]
    register({"unknown": one, "foreign": one})
    assert executor.drain()
    assert executor.get_run_status(run.id).status == "completed"
    check_all_ended()


def test_unknown_functions_in_front_do_not_hide_known_ones_behind(register: Register) -> None:
    build("unknown", {"nobody_has_this": []})
    build("known", {"a": []})
    register({"a": one})
    executor.start_flows("unknown", [{}] * 300)
    runs = executor.start_flows("known", [{}] * 20)
    assert executor.drain()
    assert all(executor.get_run_status(run.id).status == "completed" for run in runs)


def test_drain_serves_only_the_queues_that_it_is_told_to(register: Register) -> None:
    build("cpu", {"a": []})
    build("gpu", {"a": [], "b": ["a"]}, queue="gpu", options={"b": {"queue": "default"}})
    register({"a": one, "b": one})
    cpu, gpu = executor.start_flow("cpu", {}), executor.start_flow("gpu", {})
    assert executor.drain(["gpu"])
    assert step_statuses(gpu.id) == {"a": "completed", "b": "started"}
    assert step_statuses(cpu.id) == {"a": "started"}
    assert executor.drain(["default", "gpu"])
    assert executor.wait(cpu.id) == {"a": 1}
    assert executor.wait(gpu.id) == {"b": 1}
    assert executor.drain(["never_heard_of"])


def test_drains_of_several_threads_share_the_work(register: Register) -> None:
    build("flow", {"each*": [], "sum": ["each"]})
    register({"each": lambda i: i["item"], "sum": lambda i: sum(i["each"])})
    runs = executor.start_flows("flow", [list(range(100))] * 10)
    drains = [Background(executor.drain) for _ in range(3)]
    assert [drain.result() for drain in drains] == [True] * 3
    assert executor.drain()
    assert [executor.wait(run.id) for run in runs] == [{"sum": sum(range(100))}] * 10
    check_all_ended()


@pytest.mark.parametrize("attempt", range(3 * EFFORT))
def test_drain_does_not_leave_before_short_delays_are_over(
    register: Register, attempt: int
) -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=6)
    tries: dict[str, int] = {}

    def a(input: dict[str, Any], context: Any) -> int:
        if context.attempt < 6:
            raise RetryAfter(0.001 * (hash((context.run_id, context.attempt)) % 7))
        return context.attempt

    register({"a": a, "b": lambda i: i["a"]})
    runs = executor.start_flows("flow", [{}] * 12)
    assert executor.drain() is True
    assert [executor.get_run_status(run.id).status for run in runs] == ["completed"] * 12, tries
    check_all_ended()


def _sessions() -> int:
    return int(value("select count(*) from pg_stat_activity where datname = current_database()"))


def test_connections_of_worker_threads_are_closed_afterwards(register: Register) -> None:
    build("flow", {"each*": []})

    def query_on_purpose(input: dict[str, Any]) -> int:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        return 1

    register({"each": query_on_purpose})
    before = _sessions()
    threads_before = threading.active_count()
    executor.execute_dynamic("flow", list(range(50)))
    executor.start_flow("flow", list(range(50)))
    executor.drain()
    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", [1, 2, 3], {"each": lambda i: 1 / 0})
    wait_until(lambda: _sessions() == before, "sessions to end")
    assert threading.active_count() == threads_before


def test_the_registry_is_as_it_was() -> None:
    assert not [name for name in registry.names() if name in {"a", "b", "each", "wide"}]


def test_a_function_may_leave_its_connection_in_any_state(register: Register) -> None:
    build("flow", {"each*": [], "end": ["each"]}, max_attempts=1)

    def leave_a_mess(input: dict[str, Any]) -> int:
        match input["item"]:
            case 0:
                connection.set_autocommit(False)
                connection.cursor().execute("create temp table mess (x int)")
            case 1:
                connection.close()
            case 2:
                connection.cursor().execute("set search_path to nowhere")
            case 3:
                connection.cursor().execute("begin")
            case 4:
                connection.cursor().execute("set session_replication_role = 'replica'")
            case _:
                transaction.set_autocommit(False)
        return input["item"]

    output = executor.execute_dynamic(
        "flow", list(range(12)), {"each": leave_a_mess, "end": lambda i: i["each"]}
    )
    assert output == {"end": list(range(12))}
    check_all_ended()


def test_two_events_prove_that_a_run_is_worked_off_while_another_step_is_long(
    register: Register,
) -> None:
    build("long", {"long": []})
    build("short", {"a": [], "b": ["a"]})
    begun, go_on = threading.Event(), threading.Event()

    def long(input: dict[str, Any]) -> bool:
        begun.set()
        return go_on.wait(30)

    register({"long": long, "a": one, "b": one})
    long_run = executor.start_flow("long", {})
    drain = Background(executor.drain)
    wait_for(begun)
    run = executor.start_flow("short", {})
    assert executor.wait(run.id, timeout=20, poll_interval=0.02) == {"b": 1}
    assert drain.is_running
    go_on.set()
    assert drain.result() is True
    assert executor.wait(long_run.id) == {"long": True}
