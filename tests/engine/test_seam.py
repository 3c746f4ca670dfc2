"""Between a step function and the engine: time, hooks, receivers, async, what waiting sees."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction

from pgflow_django import RetryAfter, RunFailed, executor, signals
from pgflow_django.exceptions import InvalidInput, WaitRefused
from pgflow_django.models import Workflow, WorkflowRun, WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import query, value
from tests.engine.invariants import check_all_ended
from tests.engine.threads import at_once
from tests.waiting import wait_until

Step = Callable[..., Any]


# Waiting where it could never end.


def test_waiting_in_the_transaction_that_started_the_run_is_refused_at_once() -> None:
    build("flow", {"a": []})
    with transaction.atomic():
        run = executor.start_flow("flow", {})
        with pytest.raises(WaitRefused, match="in this very transaction") as caught:
            executor.wait(run.id, timeout=30)
    assert caught.value.run_id == run.id


def test_so_it_is_where_a_savepoint_started_it_or_it_was_taken_up_again(
    register: Register,
) -> None:
    build("flow", {"a": []}, max_attempts=1)
    register({"a": lambda i: 1 / 0})
    failed = executor.start_flow("flow", {})
    assert executor.drain(timeout=30)
    with transaction.atomic():
        with transaction.atomic():
            run = executor.start_flow("flow", {})
        executor.retry_run(failed.id)
        for one in (run, failed):
            with pytest.raises(WaitRefused):
                executor.wait(one.id, timeout=30)


def test_a_run_of_others_is_waited_for_in_any_transaction(register: Register) -> None:
    build("flow", {"a": []})
    register({"a": lambda i: 1})
    run = executor.start_flow("flow", {})
    with transaction.atomic():
        Workflow.objects.create(workflow_slug="own_work")
        drain = lambda: executor.drain(timeout=30)  # noqa: E731 - in a thread of its own
        assert at_once([drain]) == [True]
        assert executor.wait(run.id, timeout=30) == {"a": 1}


def test_a_transaction_that_sees_nothing_new_waits_for_no_run() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    with transaction.atomic():
        query("set transaction isolation level repeatable read")
        with pytest.raises(WaitRefused, match="REPEATABLE READ"):
            executor.wait(run.id, timeout=30)


def test_a_run_that_has_ended_is_given_in_any_transaction() -> None:
    build("flow", {"a*": []})
    with transaction.atomic():
        run = executor.start_flow("flow", [])
        assert executor.wait(run.id) == {"a": []}


# Async steps.


@pytest.mark.parametrize("in_transaction", [False, True])
def test_an_async_step_ends_at_its_timeout(in_transaction: bool) -> None:
    build("flow", {"a": []}, timeout=1, max_attempts=1)

    async def sleep(input: Any) -> None:
        await asyncio.sleep(30)

    began = time.monotonic()
    with (
        pytest.raises(RunFailed, match="StepTimeout"),
        transaction.atomic() if in_transaction else nullcontext(),
    ):
        executor.execute_dynamic("flow", {}, {"a": sleep})
    assert time.monotonic() - began < 10


def test_an_async_step_that_waits_for_nothing_ends_at_its_timeout() -> None:
    build("flow", {"a": []}, timeout=1, max_attempts=1)

    async def spin(input: Any) -> None:
        while True:
            time.sleep(0)  # noqa: ASYNC251

    with pytest.raises(RunFailed, match="StepTimeout"):
        executor.execute_dynamic("flow", {}, {"a": spin})


def test_an_async_step_works_on_the_connection_of_its_lane(atomic: Any) -> None:
    build("flow", {"a": []}, max_attempts=2)

    async def write(input: Any, context: Any) -> int:
        await Workflow.objects.acreate(workflow_slug=f"written_{context.attempt}")
        if context.attempt == 1:
            raise ValueError
        return await Workflow.objects.filter(workflow_slug__startswith="written").acount()

    atomic(write)
    assert executor.execute_dynamic("flow") == {"a": 1}
    assert not Workflow.objects.filter(workflow_slug="written_1").exists()


def test_an_async_step_sees_the_callers_rows() -> None:
    build("flow", {"a": []})

    async def look(input: Any) -> bool:
        return await Workflow.objects.filter(workflow_slug="of_the_caller").aexists()

    with transaction.atomic():
        Workflow.objects.create(workflow_slug="of_the_caller")
        assert executor.execute_dynamic("flow", {}, {"a": look}) == {"a": True}


def test_async_steps_run_side_by_side_each_on_a_connection_of_its_own() -> None:
    build("flow", {"each*": []})
    pids: set[int] = set()

    async def meet(input: Any) -> int:
        pids.add(await sync_to_async(value)("select pg_backend_pid()"))
        for _ in range(3_000):
            if len(pids) == 3:
                return 1
            await asyncio.sleep(0.01)
        raise AssertionError(pids)

    assert executor.execute_dynamic("flow", [1, 2, 3], {"each": meet}) == {"each": [1, 1, 1]}


# Hooks and receivers.


def test_a_hook_that_raises_is_told_of_and_changes_nothing(
    atomic: Any, caplog: pytest.LogCaptureFixture
) -> None:
    build("flow", {"a": []}, max_attempts=1)
    called: list[int] = []

    def register_hooks(input: Any) -> int:
        transaction.on_commit(lambda: 1 // 0)
        transaction.on_commit(lambda: called.append(1))
        return 1

    atomic(register_hooks)
    with caplog.at_level(logging.INFO, "pgflow_django"):
        assert executor.execute_dynamic("flow") == {"a": 1}
    assert called == [1]
    assert "the step is completed, but its on_commit hook" in caplog.text
    assert "attempt 1 of 1 failed" not in caplog.text
    assert not WorkflowTaskAttempt.objects.exists()


@pytest.mark.parametrize("name", ["run_started", "step_completed", "run_ended", "attempt_failed"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, ValueError])
def test_what_a_receiver_raises_stops_nobody(
    name: str, error: type[BaseException], register: Register
) -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=2)

    def fail_once(input: Any, context: Any) -> int:
        if context.attempt == 1:
            raise ValueError
        return 1

    def receive(**_: Any) -> None:
        raise error

    register({"a": fail_once, "b": lambda i: 1})
    signal = getattr(signals, name)
    runs = [] if name == "run_started" else [executor.start_flow("flow", {})]
    signal.connect(receive)
    try:
        if error is not KeyboardInterrupt:  # Ctrl-C of the caller is his
            runs.append(executor.start_flow("flow", {}))
        assert executor.drain(timeout=30)
    finally:
        signal.disconnect(receive)
    assert executor.drain(timeout=30)
    assert [executor.wait(run.id) for run in runs] == [{"b": 1}] * len(runs)
    check_all_ended()


# Errors and values.


def test_a_long_message_is_cut_and_says_by_how_much() -> None:
    build("flow", {"a": []}, max_attempts=1)

    def fail(input: Any) -> None:
        raise ValueError("x" * 1_000_000)

    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", {}, {"a": fail})
    attempt = WorkflowTaskAttempt.objects.get()
    assert attempt.error_message.endswith("… (990,000 more characters)")
    assert 'raise ValueError("x" * 1_000_000)' in attempt.traceback
    assert value("select length(error::text) from workflow_runs") < 40_000


def test_a_retry_without_seconds_comes_after_the_usual_delay() -> None:
    build("flow", {"a": []}, max_attempts=2)

    class Again(RetryAfter):
        def __init__(self) -> None:
            Exception.__init__(self, "again")

    def fail_once(input: Any, context: Any) -> int:
        if context.attempt == 1:
            raise Again
        return context.attempt

    assert executor.execute_dynamic("flow", {}, {"a": fail_once}) == {"a": 2}


def test_what_numbers_become_on_their_way_through_the_database() -> None:
    build("flow", {"a": [], "b": ["a"]})
    seen: list[Any] = []
    output = executor.execute_dynamic(
        "flow", {}, {"a": lambda i: [1e22, -0.0, 1e-7], "b": lambda i: seen.append(i["a"])}
    )
    assert output == {"b": None}
    assert seen == [[10**22, 0.0, 1e-7]]
    assert [type(number) for number in seen[0]] == [int, float, float]


def test_an_input_that_grows_when_stored_is_measured_as_stored() -> None:
    build("flow", {"a": []})
    with pytest.raises(InvalidInput, match="bytes of JSON") as caught:
        executor.start_flow("flow", [1.7e308] * 200_000)
    assert caught.value.code == "input_too_large"
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize("data", [{1: "a", "1": "b"}, [{"x": {True: 1, "true": 2}}]])
def test_an_input_with_a_key_twice_is_refused(data: Any) -> None:
    build("flow", {"a": []})
    with pytest.raises(InvalidInput, match="twice"):
        executor.start_flow("flow", data)


# Whoever dies takes nobody along.


def test_a_step_whose_session_the_server_ends_fails_alone(register: Register) -> None:
    build("flow", {"each*": []}, max_attempts=1)
    build("plain", {"plain": []})

    def end_session(input: Any) -> int:
        if input["item"] == 2:
            with connection.cursor() as cursor:
                cursor.execute("select pg_terminate_backend(pg_backend_pid())")
        return 1

    register({"each": end_session, "plain": lambda i: 1})
    run = executor.start_flow("flow", [1, 2, 3])
    plain = executor.start_flows("plain", [{}] * 3)
    assert executor.drain(timeout=30)
    assert [executor.wait(one.id) for one in plain] == [{"plain": 1}] * 3
    with pytest.raises(RunFailed) as caught:
        executor.wait(run.id)
    assert caught.value.task_index == 1
    wait_until(lambda: WorkflowRun.objects.filter(status="started").count() == 0)


def test_a_block_left_open_on_another_database_fails_the_attempt_too(other: str) -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=1)

    def leave_open(input: Any) -> int:
        transaction.atomic(other).__enter__()
        Workflow.objects.using(other).create(workflow_slug="written")
        return 1

    for _ in range(2):
        with pytest.raises(RunFailed, match='atomic.. open, .*database "other"'):
            executor.execute_dynamic("flow", {}, {"a": leave_open, "b": lambda i: 1})
    with pytest.raises(RunFailed, match='database "other"'), transaction.atomic():
        executor.execute_dynamic("flow", {}, {"a": leave_open, "b": lambda i: 1})
    assert not Workflow.objects.filter(workflow_slug="written").exists()
    assert not connections[other].in_atomic_block
