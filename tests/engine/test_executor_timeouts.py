"""Runs and steps that take too long, and runs that are cancelled meanwhile."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import UUID

import pytest

from pgflow_django import (
    RunFailed,
    RunTimedOut,
    executor,
)
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.database import query, step_statuses
from tests.engine.doors import Door
from tests.engine.invariants import check_all_ended
from tests.engine.threads import Background, at_once
from tests.waiting import wait_for


def one(input: dict[str, Any]) -> int:
    return 1


def test_a_run_that_takes_too_long_is_cancelled_and_the_call_comes_back() -> None:
    build("flow", {"quick": [], "slow": ["quick"], "never": ["slow"]})
    stop = threading.Event()

    def slow(input: dict[str, Any]) -> None:
        stop.wait(60)  # nothing can interrupt this: it sleeps in C

    before = time.monotonic()
    with pytest.raises(RunTimedOut, match=r"0\.3 s.*1 of 3 steps") as caught:
        executor.execute_dynamic(
            "flow", {}, {"quick": one, "slow": slow, "never": one}, timeout=0.3
        )
    took = time.monotonic() - before
    stop.set()
    assert took < 5
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.code == "run_timed_out"
    run = WorkflowRun.objects.get(id=caught.value.run_id)
    assert run.status == "cancelled"
    assert step_statuses(run.id) == {
        "quick": "completed",
        "slow": "cancelled",
        "never": "cancelled",
    }
    check_all_ended()


def test_a_python_loop_is_stopped_at_once_when_the_run_takes_too_long() -> None:
    build("flow", {"loop": []})
    loops = [0]

    def loop(input: dict[str, Any]) -> None:
        while True:
            loops[0] += 1

    before = time.monotonic()
    with pytest.raises(RunTimedOut):
        executor.execute_dynamic("flow", {}, {"loop": loop}, timeout=0.3)
    assert time.monotonic() - before < 5
    seen = loops[0]
    at_once([lambda: query("select pg_sleep(0.05)")])
    assert loops[0] == seen, "the loop goes on behind the caller's back"


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_run_that_takes_too_long_inside_a_transaction_is_cancelled(attempts: int) -> None:
    from django.db import transaction

    build("flow", {"loop": [], "b": ["loop"]}, max_attempts=attempts)

    def loop(input: dict[str, Any]) -> None:
        while True:
            pass

    with transaction.atomic():
        with pytest.raises(RunTimedOut) as caught:
            executor.execute_dynamic("flow", {}, {"loop": loop, "b": one}, timeout=0.2)
        assert WorkflowRun.objects.get(id=caught.value.run_id).status == "cancelled"
    check_all_ended()


def test_a_run_that_ends_in_time_is_not_called_too_late(door: Door) -> None:
    build("flow", {"a": []})
    for _ in range(3):
        assert executor.execute_dynamic("flow", {}, {"a": one}, timeout=60) == {"a": 1}


def test_a_step_is_stopped_at_its_timeout_and_the_attempt_counts() -> None:
    build("flow", {"a": []}, timeout=1, max_attempts=2)
    attempts: list[int] = []

    def loop_at_first(input: dict[str, Any], context: Any) -> int:
        attempts.append(context.attempt)
        while context.attempt == 1:
            pass
        return context.attempt

    assert executor.execute_dynamic("flow", {}, {"a": loop_at_first}) == {"a": 2}
    attempt = WorkflowTaskAttempt.objects.get()
    assert (attempt.code, attempt.error_type) == ("step_timeout", "StepTimeout")
    assert "timeout of 1 s" in attempt.error_message
    assert attempts == [1, 2]
    check_all_ended()


def test_a_step_that_sleeps_in_c_is_given_up_at_its_timeout() -> None:
    build("flow", {"a": [], "b": []}, timeout=1, max_attempts=1)
    stop = threading.Event()
    before = time.monotonic()
    with pytest.raises(RunFailed, match=r"StepTimeout.*timeout of 1 s") as caught:
        executor.execute_dynamic("flow", {}, {"a": lambda i: stop.wait(60), "b": one})
    assert time.monotonic() - before < 6
    stop.set()
    assert caught.value.error_code == "step_timeout"
    assert step_statuses(WorkflowRun.objects.get().id) == {"a": "failed", "b": "completed"}
    check_all_ended()


def test_a_function_that_swallows_its_interruption_completes_nothing() -> None:
    build("flow", {"a": []}, timeout=1, max_attempts=1)

    def stubborn(input: dict[str, Any]) -> str:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001 - that is what it does
            return "as if nothing had happened"

    with pytest.raises(RunFailed, match="StepTimeout"):
        executor.execute_dynamic("flow", {}, {"a": stubborn})
    check_all_ended()


def test_an_error_on_the_way_out_of_a_timeout_is_still_a_timeout() -> None:
    build("flow", {"a": []}, timeout=1, max_attempts=1)

    def fail_in_finally(input: dict[str, Any]) -> None:
        try:
            while True:
                pass
        finally:
            raise ValueError("clean-up failed")

    with pytest.raises(RunFailed, match="StepTimeout"):
        executor.execute_dynamic("flow", {}, {"a": fail_in_finally})
    check_all_ended()


def test_a_run_that_is_cancelled_elsewhere_is_noticed_within_the_poll_interval() -> None:
    build("flow", {"a": []})
    started, stop = threading.Event(), threading.Event()
    ids: list[UUID] = []

    def a(input: dict[str, Any]) -> None:
        started.set()
        stop.wait(60)

    call = Background(
        lambda: executor.execute_dynamic(
            "flow", {}, {"a": a}, poll_interval=0.02, on_start=ids.append
        )
    )
    wait_for(started)
    executor.cancel_run(ids[0])
    with pytest.raises(Exception, match="was cancelled"):
        call.result(10)
    stop.set()
