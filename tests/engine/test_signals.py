"""Django signals: what is told of runs and steps, when, and to whom."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from pgflow_django import PermanentFailure, RunFailed, executor, flow_builder, signals
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import end_leases, value
from tests.engine.doors import Door
from tests.engine.workers import HandWorker, sweep

NAMES = ("run_started", "run_ended", "step_completed", "step_failed", "attempt_failed")
CHAIN = {"a": [], "b": ["a"], "c": ["b"]}


@dataclass
class Ear:
    """What was told, in that order: the signal's name, the run, the other arguments."""

    heard: list[tuple[str, WorkflowRun, dict[str, Any]]] = field(default_factory=list)
    receivers: list[tuple[str, Callable[..., None]]] = field(default_factory=list)

    def listen(self, *names: str) -> None:
        for name in names:

            def receive(run: WorkflowRun, name: str = name, **facts: Any) -> None:
                assert facts.pop("sender") is WorkflowRun
                assert facts.pop("signal") is getattr(signals, name)
                assert facts.pop("using") == "default"
                assert not connection.in_atomic_block
                self.heard.append((name, run, facts))

            getattr(signals, name).connect(receive)
            self.receivers.append((name, receive))

    @property
    def told(self) -> list[str]:
        """``name`` and what it is about, in short."""
        return [
            " ".join(
                str(part) for part in (name, facts.get("step_slug"), facts.get("status")) if part
            )
            for name, _, facts in self.heard
        ]

    def facts(self, name: str) -> list[dict[str, Any]]:
        return [facts for heard, _, facts in self.heard if heard == name]


@pytest.fixture
def ear() -> Iterator[Ear]:
    one = Ear()
    yield one
    for name, receive in one.receivers:
        getattr(signals, name).disconnect(receive)


@pytest.fixture
def all_ears(ear: Ear) -> Ear:
    ear.listen(*NAMES)
    return ear


def test_a_run_is_told_from_its_start_to_its_end_through_every_door(
    all_ears: Ear, door: Door
) -> None:
    build("flow", {"a": [], "each*": ["a"], "none*": ["b"], "b": ["each"]})
    functions = {"a": lambda i: [1, 2, 3], "each": lambda i: i["item"], "b": lambda i: []}
    run = door.run("flow", {}, {**functions, "none": lambda i: i["item"]})
    assert all_ears.told == [
        "run_started",
        "step_completed a",
        "step_completed each",
        "step_completed b",
        "step_completed none",
        "run_ended completed",
    ]
    assert {heard.id for _, heard, _ in all_ears.heard} == {run.id}
    assert {heard.workflow_slug for _, heard, _ in all_ears.heard} == {"flow"}
    assert all_ears.facts("run_started") == [{"retried": False}]


def test_the_run_of_a_signal_reads_the_rest_when_asked(ear: Ear) -> None:
    build("flow", CHAIN)
    ear.listen("run_ended")
    executor.execute_dynamic("flow", {"n": 1}, dict.fromkeys("abc", lambda i: i["n"]))
    ((_, run, _),) = ear.heard
    with CaptureQueriesContext(connection) as queries:
        assert run.workflow_slug == "flow"
    assert len(queries) == 0
    assert (run.status, run.output, run.input) == ("completed", {"c": 1}, {"n": 1})


def test_the_links_of_a_chain_are_told(ear: Ear, register: Register) -> None:
    ear.listen("step_completed", "run_ended")
    build("flow", CHAIN)
    register(dict.fromkeys("abc", lambda i: None))
    executor.start_flows("flow", [{}] * 3)
    executor.drain()
    assert sorted(ear.told) == sorted(
        [
            *["step_completed a", "step_completed b", "step_completed c"] * 3,
            *["run_ended completed"] * 3,
        ]
    )


def test_failed_attempts_tell_whether_there_will_be_another(all_ears: Ear) -> None:
    build("flow", {"a": []}, options={"a": {"max_attempts": 2}})

    def fail(input: dict[str, Any]) -> None:
        raise ValueError("no luck")

    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", {}, {"a": fail})
    assert all_ears.told == [
        "run_started",
        "attempt_failed a",
        "attempt_failed a",
        "step_failed a",
        "run_ended failed",
    ]
    first, last = all_ears.facts("attempt_failed")
    assert isinstance(first.pop("retry_at"), datetime)
    expected = {
        "step_slug": "a",
        "task_index": 0,
        "code": "step_failed",
        "error_type": "ValueError",
        "error_message": "no luck",
    }
    assert first == {**expected, "attempt": 1, "will_retry": True}
    assert last == {**expected, "attempt": 2, "will_retry": False, "retry_at": None}
    (failed,) = all_ears.facts("step_failed")
    assert failed["error"] == {
        "code": "step_failed",
        "step_slug": "a",
        "task_index": 0,
        "attempt": 2,
        "error_type": "ValueError",
        "error_message": "no luck",
    }


def test_a_step_that_gives_up_at_once_is_told_so(ear: Ear) -> None:
    build("flow", {"a": []}, options={"a": {"max_attempts": 5}})
    ear.listen("attempt_failed")

    def give_up(input: dict[str, Any]) -> None:
        raise PermanentFailure("never")

    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", {}, {"a": give_up})
    assert [(facts["attempt"], facts["will_retry"]) for facts in ear.facts("attempt_failed")] == [
        (1, False)
    ]


def test_a_map_over_no_array_fails_its_step_without_an_attempt(all_ears: Ear) -> None:
    build("flow", {"a": [], "each*": ["a"]})
    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", {}, {"a": lambda i: 5, "each": lambda i: None})
    assert all_ears.told == [
        "run_started",
        "step_completed a",
        "step_failed each",
        "run_ended failed",
    ]


def test_a_run_that_completes_in_its_start_is_told_at_once(all_ears: Ear) -> None:
    build("flow", {"a*": []})
    executor.start_flow("flow", [])
    assert all_ears.told == ["run_started", "step_completed a", "run_ended completed"]


def test_cancelling_and_retrying_are_told_once(all_ears: Ear) -> None:
    run = executor.start_flow(build("flow", CHAIN))
    executor.cancel_run(run.id)
    executor.cancel_run(run.id)
    executor.retry_run(run.id)
    assert all_ears.told == ["run_started", "run_ended cancelled", "run_started"]
    assert all_ears.facts("run_started") == [{"retried": False}, {"retried": True}]


def test_deleting_a_flow_by_force_tells_of_the_runs_that_it_cancels(ear: Ear) -> None:
    executor.start_flow(build("flow", CHAIN))
    ear.listen("run_ended")
    flow_builder.delete_flow("flow", force=True)
    assert ear.told == ["run_ended cancelled"]


def test_the_start_of_a_run_that_is_there_already_is_not_told(ear: Ear) -> None:
    build("flow", CHAIN)
    ear.listen("run_started")
    executor.start_flow("flow", key="one")
    executor.start_flow("flow", key="one")
    assert ear.told == ["run_started"]


def test_a_sweep_tells_of_what_lost_workers_held(all_ears: Ear) -> None:
    build("flow", {"a": []}, options={"a": {"max_attempts": 1}})
    executor.start_flow("flow")
    HandWorker().claim()
    end_leases()
    sweep()
    assert all_ears.told == ["run_started", "attempt_failed a", "step_failed a", "run_ended failed"]
    assert all_ears.facts("attempt_failed")[0]["code"] == "worker_lost"


def test_results_that_come_too_late_are_not_told(ear: Ear) -> None:
    run = executor.start_flow(build("flow", {"a": []}))
    worker = HandWorker()
    (task,) = worker.claim()
    executor.cancel_run(run.id)
    ear.listen(*NAMES)
    worker.complete(task)
    worker.fail(task)
    assert ear.told == []


def test_what_is_rolled_back_is_not_told_and_what_commits_is_told_then(all_ears: Ear) -> None:
    build("flow", CHAIN)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        executor.start_flow("flow")
        raise ZeroDivisionError
    assert all_ears.told == []
    with transaction.atomic():
        executor.start_flow("flow")
        assert all_ears.told == []
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            executor.start_flow("flow")
            raise ZeroDivisionError
    assert all_ears.told == ["run_started"]


def test_an_atomic_step_is_told_after_its_commit(ear: Ear, register: Register) -> None:
    build("flow", {"atomic_one": []})
    registry.register(lambda i: 1, "atomic_one", atomic=True)
    ear.listen("step_completed", "run_ended")
    try:
        assert executor.execute_dynamic("flow") == {"atomic_one": 1}
    finally:
        registry.unregister("atomic_one")
    assert ear.told == ["step_completed atomic_one", "run_ended completed"]


def test_a_receiver_that_raises_stops_nobody_and_is_logged(
    ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: Any) -> None:
        raise ValueError("the receiver is broken")

    signals.step_completed.connect(broken)
    try:
        ear.listen("step_completed")
        build("flow", CHAIN)
        with caplog.at_level(logging.ERROR):
            executor.execute_dynamic("flow", {}, dict.fromkeys("abc", lambda i: None))
    finally:
        signals.step_completed.disconnect(broken)
    assert len(ear.told) == 3
    assert sum("broken" in record.getMessage() for record in caplog.records) == 3


def test_a_receiver_may_start_another_run(ear: Ear, register: Register) -> None:
    build("first", {"a": []})
    build("second", {"a": []})
    register({"a": lambda i: None})

    def go_on(run: WorkflowRun, status: str, **_: Any) -> None:
        if run.workflow_slug == "first" and status == "completed":
            executor.start_flow("second", {"after": str(run.id)})

    signals.run_ended.connect(go_on)
    try:
        run = executor.start_flow("first")
        executor.drain()
    finally:
        signals.run_ended.disconnect(go_on)
    second = WorkflowRun.objects.get(workflow_slug="second")
    assert (second.status, second.input) == ("completed", {"after": str(run.id)})


def test_without_receivers_nothing_more_is_asked_of_the_database(ear: Ear) -> None:
    build("flow", CHAIN)
    with CaptureQueriesContext(connection) as before:
        executor.start_flow("flow")
    assert not any("pgflow.tell" in query["sql"] for query in before.captured_queries)
    ear.listen("run_ended")
    with CaptureQueriesContext(connection) as after:
        executor.start_flow("flow")
    assert len(after) == len(before)
    assert value("select coalesce(current_setting('pgflow.told', true), '')") == ""


class InATestCase(TestCase):
    """Django's own way to test what waits for the commit."""

    def test_captured_callbacks_send_the_signals(self) -> None:
        told = []

        def receive(run: WorkflowRun, **_: Any) -> None:
            told.append(run.workflow_slug)

        signals.run_ended.connect(receive)
        self.addCleanup(signals.run_ended.disconnect, receive)
        build("flow", CHAIN)
        with self.captureOnCommitCallbacks(execute=True):
            executor.execute_dynamic("flow", {}, dict.fromkeys("abc", lambda i: None))
            assert told == []
        assert told == ["flow"]
