"""What a step function does with its ``context``: events of its run, and questions about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import transaction

from pgflow_django import RunCancelled, RunFailed, executor
from pgflow_django.models import WorkflowRunEvent
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.doors import Door
from tests.waiting import wait_until

ONE = {"a": []}


def told() -> list[dict[str, Any]]:
    events = WorkflowRunEvent.objects.filter(kind="progress").order_by("id")
    return [event.data for event in events]


def log_lines() -> list[str]:
    events = WorkflowRunEvent.objects.filter(kind="log").order_by("id")
    return [event.message for event in events]


def count_to(last: int, then: Callable[[], Any] = lambda: None) -> Callable[..., None]:
    def count(input: dict[str, Any], context: Any) -> None:
        for number in range(1, last + 1):
            context.progress(number, last)
        then()

    return count


def test_progress_is_told_at_once_and_at_the_end_however_often_it_is_called(door: Door) -> None:
    build("flow", ONE)
    assert door.run("flow", {}, {"a": count_to(500)}).status == "completed"
    assert told() == [{"done": 1, "total": 500}, {"done": 500, "total": 500}]


def test_progress_that_is_told_once_is_written_once() -> None:
    build("flow", ONE)
    executor.execute_dynamic("flow", {}, {"a": count_to(1)})
    assert told() == [{"done": 1, "total": 1}]


def test_progress_is_told_again_after_a_second() -> None:
    build("flow", ONE)

    def crawl(input: dict[str, Any], context: Any) -> int:
        calls = 0

        def is_told_twice() -> bool:
            nonlocal calls
            calls += 1
            context.progress(calls, 0)
            return len(told()) >= 2

        wait_until(is_told_twice)
        return calls

    calls = executor.execute_dynamic("flow", {}, {"a": crawl})["a"]
    assert calls > 2
    done = [one["done"] for one in told()]
    assert (done[0], done[-1]) == (1, calls)
    first, second, *_ = WorkflowRunEvent.objects.order_by("id")
    assert (second.at - first.at).total_seconds() >= 0.99


def test_each_task_has_its_own_progress() -> None:
    build("flow", {"each*": []})
    executor.execute_dynamic("flow", [1, 2, 3], {"each": count_to(10)})
    assert sorted(one["done"] for one in told()) == [1, 1, 1, 10, 10, 10]


def test_the_last_progress_of_an_attempt_that_fails_is_kept() -> None:
    build("flow", ONE, max_attempts=1)
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        executor.execute_dynamic("flow", {}, {"a": count_to(7, lambda: 1 // 0)})
    assert [one["done"] for one in told()] == [1, 7]


@pytest.fixture
def atomic() -> Iterator[Callable[[Any], None]]:
    def register(function: Any) -> None:
        registry.register(function, "a", atomic=True)

    yield register
    registry.unregister("a")


@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_an_atomic_step_tells_outlives_its_rollback(
    atomic: Callable[[Any], None], in_transaction: bool
) -> None:
    build("flow", ONE, max_attempts=2)

    def fail_once(input: dict[str, Any], context: Any) -> None:
        context.log(f"attempt {context.attempt}")
        count_to(5)(input, context)
        if context.attempt == 1:
            raise ValueError("again")

    atomic(fail_once)
    with transaction.atomic() if in_transaction else nullcontext():
        executor.execute_dynamic("flow")
    assert [one["done"] for one in told()] == [1, 5, 1, 5]
    assert log_lines() == ["attempt 1", "attempt 2"]


def test_a_run_that_is_cancelled_meanwhile_can_be_noticed() -> None:
    build("flow", ONE)
    seen: list[bool] = []

    def look(input: dict[str, Any], context: Any) -> None:
        seen.append(context.cancelled())
        executor.cancel_run(context.run_id)
        seen.append(context.cancelled())

    with pytest.raises(RunCancelled):
        executor.execute_dynamic("flow", {}, {"a": look})
    assert seen == [False, True]


def test_the_heartbeat_counts_down_to_the_timeout() -> None:
    build("flow", ONE, timeout=40)
    left: list[float] = []

    def wait(input: dict[str, Any], context: Any) -> None:
        wait_until(lambda: left.append(context.heartbeat()) or left[-1] < left[0])

    executor.execute_dynamic("flow", {}, {"a": wait})
    assert 30 < left[-1] < left[0] <= 40


def test_events_of_an_async_step(door: Door) -> None:
    build("flow", ONE)

    async def a(input: dict[str, Any], context: Any) -> None:
        context.log("x")
        context.progress(1, 2)
        assert not context.cancelled()

    assert door.run("flow", {}, {"a": a}).error is None
