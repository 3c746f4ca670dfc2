"""Failed attempts: retries and their delays, what is kept of them, and how a run fails."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from pgflow_django import PermanentFailure, RetryAfter, RunFailed, executor
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import (
    attempts_counts,
    messages,
    step_statuses,
    task_statuses,
    value,
)
from tests.engine.doors import Door
from tests.engine.invariants import check_all_ended
from tests.engine.workers import HandWorker
from tests.waiting import wait_for


class Flaky:
    """A step function that fails so many times, then gives how many calls it took."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or ValueError("not yet")
        self.calls = 0

    def __call__(self, input: dict[str, Any]) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


def test_a_task_is_tried_max_attempts_times(door: Door) -> None:
    build("flow", {"a": []}, max_attempts=3)
    assert door.output("flow", {}, {"a": Flaky(2)}) == {"a": 3}
    function = Flaky(3)
    run = door.run("flow", {}, {"a": function})
    assert (run.status, function.calls) == ("failed", 3)


@pytest.mark.parametrize(("max_attempts", "calls"), [(0, 1), (1, 1), (2, 2), (7, 7)])
def test_max_attempts_counts_every_try_and_0_means_1(
    door: Door, max_attempts: int, calls: int
) -> None:
    build("flow", {"a": []}, max_attempts=max_attempts)
    function = Flaky(99)
    assert door.run("flow", {}, {"a": function}).status == "failed"
    assert function.calls == calls


def test_a_steps_own_max_attempts_wins(door: Door) -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=1, options={"a": {"max_attempts": 4}})
    assert door.output("flow", {}, {"a": Flaky(3), "b": Flaky(0)}) == {"b": 1}
    assert door.run("flow", {}, {"a": Flaky(0), "b": Flaky(1)}).status == "failed"


def test_a_permanent_failure_ends_the_retries(door: Door) -> None:
    build("flow", {"a": []}, max_attempts=5)
    function = Flaky(5, PermanentFailure("no use"))
    run = door.run("flow", {}, {"a": function})
    assert (run.status, function.calls) == ("failed", 1)
    assert run.error["error_type"] == "PermanentFailure"
    assert run.error["error_message"] == "no use"
    assert run.error["attempt"] == 1


def test_each_failed_attempt_is_kept_with_what_went_wrong(door: Door) -> None:
    build("flow", {"each*": []}, max_attempts=2)

    def fail_on_one(input: dict[str, Any]) -> None:
        if input["item"] == "bad":
            raise LookupError("nothing there: é\0")

    run = door.run("flow", ["good", "bad"], {"each": fail_on_one})
    attempts = list(WorkflowTaskAttempt.objects.filter(run_id=run.id))
    assert [(a.step_slug, a.task_index, a.attempt) for a in attempts] == [
        ("each", 1, 1),
        ("each", 1, 2),
    ]
    for attempt in attempts:
        assert attempt.code == "step_failed"
        assert attempt.error_type == "LookupError"
        assert attempt.error_message == "nothing there: é\\u0000"
        assert "fail_on_one" in attempt.traceback
        assert "raise LookupError" in attempt.traceback
        assert "invoke.py" not in attempt.traceback
        assert attempt.worker
        assert attempt.started_at is not None
        assert attempt.started_at <= attempt.ended_at
    assert attempts[0].retry_at is not None
    assert attempts[1].retry_at is None


def test_the_error_of_a_failed_run_tells_which_attempt_of_what_failed() -> None:
    build("flow", {"first": [], "each*": ["first"]}, max_attempts=2)

    def fail(input: dict[str, Any]) -> None:
        raise KeyError("who")

    with pytest.raises(RunFailed) as caught:
        executor.execute_dynamic("flow", {}, {"first": lambda input: [0], "each": fail})
    error = caught.value
    assert error.code == "run_failed"
    assert error.run_id == WorkflowRun.objects.get().id
    assert (error.step_slug, error.task_index, error.attempt) == ("each", 0, 2)
    assert (error.error_type, error.error_message) == ("KeyError", "'who'")
    assert error.traceback is not None
    assert 'raise KeyError("who")' in error.traceback
    assert 'step "each"' in str(error)
    assert "'who'" in str(error)


def test_a_failed_run_leaves_nothing_queued_or_started(register: Register) -> None:
    build(
        "flow",
        {"bad": [], "later": ["bad"], "sibling": [], "wide*": [], "delayed": []},
        max_attempts=1,
        options={"wide": {"initial_tasks": 250}, "delayed": {"start_delay": 3600}},
    )
    run = executor.start_flow("flow", {})
    worker = HandWorker(functions=["bad"])
    (bad,) = worker.claim()
    elsewhere = HandWorker(functions=["sibling", "wide"])
    running = elsewhere.claim(30)
    assert worker.fail(bad) == 1
    assert step_statuses(run.id) == {
        "bad": "failed",
        "later": "cancelled",
        "sibling": "cancelled",
        "wide": "cancelled",
        "delayed": "cancelled",
    }
    assert task_statuses(run.id, "wide") == ["cancelled"] * 250
    assert messages(run.id) == []
    assert elsewhere.complete(*running, output=1) == 0
    assert elsewhere.fail(*running) == 0
    for one in (worker, elsewhere):
        one.leave()
    check_all_ended()


def test_siblings_that_run_when_a_run_fails_have_their_results_refused() -> None:
    build("flow", {"bad": [], "slow": []}, max_attempts=1)
    slow_runs, go_on = threading.Event(), threading.Event()

    def slow(input: dict[str, Any]) -> str:
        slow_runs.set()
        wait_for(go_on)
        return "too late"

    def bad(input: dict[str, Any]) -> None:
        wait_for(slow_runs)
        raise ValueError

    with pytest.raises(RunFailed, match='"bad"'):
        executor.execute_dynamic("flow", {}, {"bad": bad, "slow": slow})
    go_on.set()
    run = WorkflowRun.objects.get()
    assert step_statuses(run.id) == {"bad": "failed", "slow": "cancelled"}
    check_all_ended()


@pytest.mark.parametrize(
    ("base_delay", "attempt", "low", "high"),
    [
        (1, 1, 1, 1.1),
        (1, 2, 2, 2.2),
        (5, 4, 40, 44),
        (3, 0, 3, 3.3),
        (1, 12, 2048, 2253),
        (1, 13, 3600, 3600),
        (1, 29, 3600, 3600),
        (1, 31, 3600, 3600),
        (1, 32, 3600, 3600),
        (1, 64, 3600, 3600),
        (1, 1000, 3600, 3600),
        (604_800, 1, 3600, 3600),
        (604_800, 1000, 3600, 3600),
        (604_800, 2_147_483_647, 3600, 3600),
        (0, 1, 0, 0),
        (0, 1000, 0, 0),
    ],
)
def test_the_delay_doubles_with_each_attempt_up_to_an_hour(
    base_delay: int, attempt: int, low: float, high: float
) -> None:
    delays = [
        value("select pgflow.calculate_retry_delay(%s, %s)", base_delay, attempt) for _ in range(10)
    ]
    assert low <= min(delays) <= max(delays) <= high
    if low != high:
        assert len(set(delays)) > 1, "tasks that failed together would come back together"


def test_a_failed_task_waits_for_its_delay_in_the_queue() -> None:
    build("flow", {"a": [], "b": []}, base_delay=100, options={"b": {"base_delay": 7}})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    assert worker.fail(*worker.claim(2)) == 2
    waits = {
        message["step_slug"]: message["vt"]
        - WorkflowTaskAttempt.objects.get(step_slug=step).ended_at
        for message in messages(run.id)
        for step in [message["step_slug"]]
    }
    assert timedelta(seconds=99) < waits["a"] < timedelta(seconds=112)
    assert timedelta(seconds=6) < waits["b"] < timedelta(seconds=9)
    assert worker.claim(2) == []


def test_retry_after_chooses_the_delay_and_counts_as_an_attempt(register: Register) -> None:
    build("flow", {"a": []}, base_delay=500)

    def ask(input: dict[str, Any]) -> None:
        raise RetryAfter(42, "come back later")

    register({"a": ask})
    run = executor.start_flow("flow", {})
    assert executor.drain(timeout=0.5) is False
    (message,) = messages(run.id)
    attempt = WorkflowTaskAttempt.objects.get()
    assert timedelta(seconds=41) < message["vt"] - attempt.ended_at < timedelta(seconds=43)
    assert (attempt.error_type, attempt.error_message) == ("RetryAfter", "come back later")
    assert attempts_counts(run.id, "a") == [1]


def test_retry_after_on_the_last_attempt_fails_the_run(door: Door) -> None:
    build("flow", {"a": []}, max_attempts=2)
    run = door.run("flow", {}, {"a": Flaky(9, RetryAfter(0, "still not"))})
    assert run.status == "failed"
    assert run.error["error_message"] == "still not"


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -5, 1e12, 1e300, 0.0])
def test_odd_retry_delays_neither_break_the_worker_nor_lose_the_task(
    register: Register, seconds: float
) -> None:
    build("flow", {"a": []})
    register({"a": Flaky(1, RetryAfter(seconds))})
    run = executor.start_flow("flow", {})
    executor.drain(timeout=0.5)
    assert WorkflowTaskAttempt.objects.count() == 1
    run.refresh_from_db()
    assert (run.status == "completed") or task_statuses(run.id, "a") == ["queued"]


def test_an_error_that_can_not_be_printed_is_a_failed_attempt_like_any_other(door: Door) -> None:
    build("flow", {"a": []}, max_attempts=1)

    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    run = door.run("flow", {}, {"a": Flaky(1, Unprintable())})
    assert (run.status, run.error["error_type"]) == ("failed", "Unprintable")


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), BaseException("base")])
def test_even_errors_that_are_no_exceptions_are_failed_attempts(
    door: Door, error: BaseException
) -> None:
    build("flow", {"a": []}, max_attempts=1)

    def leave(input: dict[str, Any]) -> None:
        raise error

    run = door.run("flow", {}, {"a": leave})
    assert (run.status, run.error["error_type"]) == ("failed", type(error).__name__)


def test_failed_tasks_of_a_map_are_tried_again_and_the_others_are_not(door: Door) -> None:
    build("flow", {"each*": []}, max_attempts=3)
    calls = [0] * 5

    def each(input: dict[str, Any]) -> int:
        calls[input["index"]] += 1
        if calls[input["index"]] <= input["item"]:
            raise ValueError
        return calls[input["index"]]

    assert door.output("flow", [0, 1, 2, 1, 0], {"each": each}) == {"each": [1, 2, 3, 2, 1]}
    check_all_ended()
