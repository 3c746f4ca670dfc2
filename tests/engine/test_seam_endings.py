"""However steps, hooks and receivers end, who waits for them hears of it, and nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.test import TestCase
from django.utils import translation

from pgflow_django import RunFailed, executor, flow_builder, signals
from pgflow_django.exceptions import RunCancelled, StepInterrupted
from pgflow_django.models import Workflow, WorkflowRun, WorkflowRunEvent, WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.database import query, value
from tests.engine.invariants import check_all_ended
from tests.engine.threads import at_once
from tests.hostile import TABLE, Odd, nothing_left
from tests.waiting import wait_until

Step = Callable[..., Any]


# Steps that end their own run.


def cancel(run_id: Any) -> None:
    executor.cancel_run(run_id)


def cancel_in_a_savepoint(run_id: Any) -> None:
    with transaction.atomic():
        executor.cancel_run(run_id)


def delete(run_id: Any) -> None:
    flow_builder.delete_flow("flow", force=True)


@pytest.mark.parametrize("end", [cancel, cancel_in_a_savepoint, delete])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_an_atomic_step_that_ends_its_own_run_has_ended_it(
    end: Callable[[Any], None], in_transaction: bool, atomic: Any
) -> None:
    build("flow", {"a": []})

    def end_own_run(input: Any, context: Any) -> int:
        end(context.run_id)
        Workflow.objects.create(workflow_slug="written")
        return 1

    atomic(end_own_run)
    with transaction.atomic() if in_transaction else nullcontext(), suppress(RunCancelled):
        executor.execute_dynamic("flow", timeout=10)
    assert WorkflowRun.objects.get().status == "cancelled"
    assert Workflow.objects.filter(workflow_slug="written").exists()
    check_all_ended()


def test_an_atomic_step_whose_run_another_has_ended_keeps_nothing(atomic: Any) -> None:
    build("flow", {"a": []})

    def end_elsewhere(input: Any, context: Any) -> int:
        Workflow.objects.create(workflow_slug="written")
        at_once([lambda: cancel(context.run_id)])  # in a thread, on a connection of its own
        return 1

    atomic(end_elsewhere)
    with pytest.raises(RunCancelled):
        executor.execute_dynamic("flow", timeout=10)
    assert not Workflow.objects.filter(workflow_slug="written").exists()
    check_all_ended()


# Timeouts, and whose they are.


def test_the_timeout_of_a_step_is_not_that_of_a_run_inside_it() -> None:
    build("outer", {"a": []}, timeout=1, max_attempts=1)
    build("inner", {"a": []}, timeout=30, max_attempts=1)
    seen: list[Any] = []

    def inner(input: Any) -> int:
        wait_until(lambda: False, patience=3)
        return 1

    def outer(input: Any) -> int:
        try:
            executor.execute_dynamic("inner", {}, {"a": inner})
        except BaseException as error:
            seen.append(type(error).__name__)
            raise
        return 1

    with transaction.atomic(), pytest.raises(RunFailed, match='flow "outer".*StepTimeout'):
        executor.execute_dynamic("outer", {}, {"a": outer})
    assert seen == ["StepInterrupted"]


def test_a_lane_s_timeout_is_not_that_of_a_run_inside_its_step() -> None:
    build("outer", {"a": []}, timeout=1, max_attempts=1)
    build("inner", {"a": []}, timeout=30, max_attempts=1)
    seen: list[Any] = []

    def inner(input: Any) -> int:
        with suppress(AssertionError):
            wait_until(lambda: False, patience=3)
        return 1

    def outer(input: Any) -> int:
        try:
            with transaction.atomic():
                executor.execute_dynamic("inner", {}, {"a": inner})
        except BaseException as error:
            seen.append(type(error).__name__)
            raise
        return 1

    with pytest.raises(RunFailed, match="StepTimeout"):
        executor.execute_dynamic("outer", {}, {"a": outer})
    wait_until(lambda: seen == ["StepInterrupted"])


# Async steps.


def test_an_async_step_that_goes_on_after_its_timeout_disturbs_no_other() -> None:
    build("flow", {"each*": []}, timeout=1, max_attempts=1)
    build("quick", {"a": []}, max_attempts=1)
    is_over = False

    async def stay(input: Any) -> int:
        while not is_over:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return 1

    async def quick(input: Any) -> int:
        nonlocal is_over
        is_over = True
        await asyncio.sleep(0.1)  # meanwhile the other one ends
        return 1

    with transaction.atomic():
        with pytest.raises(RunFailed, match="StepTimeout"):
            executor.execute_dynamic("flow", [1], {"each": stay})
        assert executor.execute_dynamic("quick", {}, {"a": quick}) == {"a": 1}


@pytest.mark.parametrize("step", ["leaves_a_task_that_stays", "leaves_a_thread_that_stays"])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_an_async_step_leaves_running_holds_nobody_up(step: str, in_transaction: bool) -> None:
    build("flow", {"a": []}, max_attempts=1)
    began = time.monotonic()
    with nothing_left(), transaction.atomic() if in_transaction else nullcontext():
        assert executor.execute_dynamic("flow", {}, {"a": TABLE[step].function}) == {"a": 1}
    assert time.monotonic() - began < 3


def test_an_async_step_that_leaves_what_stays_ends_at_its_timeout() -> None:
    build("flow", {"a": []}, timeout=1, max_attempts=1)

    async def wait(input: Any) -> None:
        await TABLE["leaves_a_task_that_stays"].function(input)
        await asyncio.sleep(30)

    began = time.monotonic()
    with pytest.raises(RunFailed, match="StepTimeout"), transaction.atomic():
        executor.execute_dynamic("flow", {}, {"a": wait})
    assert time.monotonic() - began < 5


# Receivers.


class Fatal(BaseException):
    pass


@pytest.mark.parametrize("error", [asyncio.CancelledError, Fatal, Odd, StepInterrupted])
def test_what_a_receiver_raises_is_not_its_caller_s(error: type[BaseException]) -> None:
    build("flow", {"a": []})

    def receive(**_: Any) -> None:
        raise error

    signals.step_completed.connect(receive)
    try:
        assert executor.execute_dynamic("flow", {}, {"a": lambda i: 1}) == {"a": 1}
        with transaction.atomic():
            assert executor.execute_dynamic("flow", {}, {"a": lambda i: 1}) == {"a": 1}
    finally:
        signals.step_completed.disconnect(receive)
    check_all_ended()


def test_a_receiver_leaves_nothing_behind() -> None:
    build("flow", {"a": [], "b": ["a"]})
    loop = asyncio.new_event_loop()
    seen: list[Any] = []

    def receive(**_: Any) -> None:
        translation.activate("de")
        with connection.cursor() as cursor:
            cursor.execute("set search_path to nowhere")
        asyncio._set_running_loop(loop)

    def look(input: Any) -> int:
        seen.append((translation.get_language(), value("show search_path")))
        return 1

    before = (translation.get_language(), value("show search_path"))
    signals.step_completed.connect(receive)
    try:
        executor.execute_dynamic("flow", {}, {"a": look, "b": look})
        with transaction.atomic():
            executor.execute_dynamic("flow", {}, {"a": look, "b": look})
    finally:
        signals.step_completed.disconnect(receive)
        loop.close()
    assert {*seen, (translation.get_language(), value("show search_path"))} == {before}


# Log lines.


@pytest.mark.parametrize("sql", ["begin", "set search_path to nowhere", "select 1"])
def test_no_line_is_lost_whatever_the_step_has_done_to_its_connection(sql: str) -> None:
    build("flow", {"a": []}, max_attempts=1)

    def tell(input: Any, context: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql)
        for number in range(150):
            context.log(f"line {number}")
        return 1

    assert executor.execute_dynamic("flow", {}, {"a": tell}) == {"a": 1}
    assert WorkflowRunEvent.objects.filter(kind="log").count() == 150


# Transactions of others.


class TestInATestCase(TestCase):
    def test_a_plain_step_may_have_a_durable_block(self) -> None:
        build("flow", {"a": []}, max_attempts=1)

        def write(input: Any) -> int:
            with transaction.atomic(durable=True):
                Workflow.objects.create(workflow_slug="written")
            return 1

        assert executor.execute_dynamic("flow", {}, {"a": write}) == {"a": 1}


def test_a_durable_block_inside_a_caller_s_transaction_is_refused() -> None:
    build("flow", {"a": []}, max_attempts=1)

    def write(input: Any) -> None:
        with transaction.atomic(durable=True):
            pass

    with pytest.raises(RunFailed, match="durable"), transaction.atomic():
        executor.execute_dynamic("flow", {}, {"a": write})


def test_a_block_of_the_caller_s_on_another_database_is_left_as_it_was(other: str) -> None:
    build("flow", {"a": []}, max_attempts=1)

    def swallow(input: Any) -> int:
        with suppress(Error):
            Workflow.objects.using(other).create(workflow_slug="a" * 1000)
        return 1

    with transaction.atomic(other):
        Workflow.objects.using(other).create(workflow_slug="of_the_caller")
        with transaction.atomic(), suppress(RunFailed):
            executor.execute_dynamic("flow", {}, {"a": swallow})
    assert Workflow.objects.filter(workflow_slug="of_the_caller").exists()


# What an atomic step has set for its transaction.


@pytest.mark.parametrize("setting", ["role pg_read_all_data", "search_path to nowhere"])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_an_atomic_step_sets_ends_before_it_is_settled(
    setting: str, in_transaction: bool, atomic: Any
) -> None:
    build("flow", {"a": []}, max_attempts=1)

    def set_locally(input: Any) -> int:
        query(f"set local {setting}")
        return 1

    atomic(set_locally)
    with transaction.atomic() if in_transaction else nullcontext():
        assert executor.execute_dynamic("flow") == {"a": 1}


def test_an_atomic_step_that_lets_nothing_be_written_fails_by_name(atomic: Any) -> None:
    build("flow", {"a": []}, max_attempts=1)
    atomic(lambda i: query("set transaction read only") and 1)
    with pytest.raises(RunFailed, match="read only|read-only"):
        executor.execute_dynamic("flow")
    assert WorkflowTaskAttempt.objects.get().error_type == "TransactionMisused"
