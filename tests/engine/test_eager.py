"""Eager mode: a Celery app with ``task_always_eager`` runs flows where they are started."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from celery import Celery
from django.db import connection, transaction
from django.test import TestCase, override_settings

from pgflow_django import (
    Flow,
    RunFailed,
    StepFunctionMissing,
    WorkflowNotFound,
    engine,
    executor,
    signals,
    step,
)
from pgflow_django.celery import install
from pgflow_django.models import WorkflowRun, WorkflowWorker
from pgflow_django.runs import delivery
from tests.commands.calling import call
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import messages
from tests.engine.invariants import check_all_ended
from tests.engine.workers import HandWorker
from tests.waiting import wait_until

CHAIN = {"a": [], "each*": ["a"], "sum": ["each"]}


def fail(input: dict[str, Any]) -> None:
    raise ValueError("no luck")


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    """The site's Celery app, as a site's tests set it."""
    one = Celery("site", set_as_current=False)
    one.conf.task_always_eager = True
    install(one)
    yield one
    delivery.set_eager(lambda: False)


@pytest.fixture
def functions(register: Register) -> None:
    register(
        {
            "a": lambda i: list(range(i["n"])),
            "each": lambda i: i["item"] * 2,
            "sum": lambda i: sum(i["each"]),
        }
    )


def test_a_run_has_ended_when_its_start_returns(functions: None) -> None:
    run = executor.start_flow(build("flow", CHAIN), {"n": 4})
    assert (run.status, run.output, run.workflow_slug) == ("completed", {"sum": 12}, "flow")
    check_all_ended()
    assert not WorkflowWorker.objects.exists()


def test_many_runs_are_executed_in_order(register: Register) -> None:
    seen: list[int] = []
    register({"note": lambda i: seen.append(i["n"])})
    runs = executor.start_flows(build("flow", {"note": []}), [{"n": n} for n in range(5)])
    assert seen == [0, 1, 2, 3, 4]
    assert {run.status for run in runs} == {"completed"}


def test_steps_run_in_the_calling_thread(register: Register) -> None:
    threads: list[threading.Thread] = []
    register({"note": lambda i: threads.append(threading.current_thread())})
    executor.start_flow(build("flow", {"note*": []}), [1, 2])
    assert threads == [threading.current_thread()] * 2


def test_inside_a_transaction_they_see_what_is_not_committed(register: Register) -> None:
    build("flow", {"look": []})
    register({"look": lambda i: connection.in_atomic_block})
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        run = executor.start_flow("flow")
        assert (run.status, run.output) == ("completed", {"look": True})
        raise ZeroDivisionError
    assert not WorkflowRun.objects.exists()


def test_a_failed_run_is_given_as_any_other(register: Register) -> None:
    register({"fail": fail})
    run = executor.start_flow(build("flow", {"fail": []}, max_attempts=2))
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["attempt"] == 2


def test_with_propagation_a_failed_run_raises_when_all_have_ended(
    app: Celery, register: Register
) -> None:
    app.conf.task_eager_propagates = True

    def fail_at_1(input: dict[str, Any]) -> int:
        if input["n"] == 1:
            raise ValueError("no luck")
        return input["n"]

    register({"step": fail_at_1})
    build("flow", {"step": []}, max_attempts=1)
    with pytest.raises(RunFailed, match="ValueError: no luck") as caught:
        executor.start_flows("flow", [{"n": n} for n in range(3)])
    assert WorkflowRun.objects.filter(status="completed").count() == 2
    failed = WorkflowRun.objects.get(status="failed")
    assert caught.value.run_id == failed.id


def test_what_the_app_says_counts_at_each_start(app: Celery, functions: None) -> None:
    build("flow", CHAIN)
    app.conf.task_always_eager = False
    run = executor.start_flow("flow", {"n": 1})
    assert (run.status, run.owner_id) == ("started", None)
    assert executor.drain()


def test_a_flow_in_code_runs_too() -> None:
    class EagerFlow(Flow):
        @step
        def one(input: dict[str, Any]) -> int:  # noqa: N805 - steps take no self
            return 1

    run = executor.start_flow(EagerFlow)
    assert run.output == {"one": 1}
    assert EagerFlow.start().output == {"one": 1}


def test_a_missing_function_is_told_before_anything_starts() -> None:
    build("flow", {"nowhere": []})
    with pytest.raises(StepFunctionMissing, match='"nowhere"'):
        executor.start_flow("flow")
    assert not WorkflowRun.objects.exists()


def test_an_unknown_flow_is_told() -> None:
    with pytest.raises(WorkflowNotFound):
        executor.start_flow("nothing")


def test_a_key_gives_the_run_that_is_there(functions: None) -> None:
    build("flow", CHAIN)
    first = executor.start_flow("flow", {"n": 2}, key="one")
    assert executor.start_flow("flow", {"n": 3}, key="one").id == first.id
    assert WorkflowRun.objects.get().output == {"sum": 2}


def test_a_run_of_somebody_else_with_that_key_is_left_to_him(functions: None) -> None:
    build("flow", CHAIN)
    owner = HandWorker(["in_process"])
    (run_id,) = engine.start_flow("flow", '[{"n": 1}]', key="one", owner=owner.id, using="default")
    run = executor.start_flow("flow", {"n": 1}, key="one")
    assert (run.id, run.status) == (run_id, "started")
    assert len(messages(run_id)) == 1


def test_a_retry_executes_too(app: Celery, register: Register) -> None:
    build("flow", {"step": []}, max_attempts=1)
    register({"step": fail})
    run = executor.start_flow("flow")
    app.conf.task_eager_propagates = True
    with pytest.raises(RunFailed):
        executor.retry_run(run.id)
    register({"step": lambda i: "mended"})
    assert executor.retry_run(run.id).output == {"step": "mended"}


def test_a_step_may_start_a_run_that_ends_within_it(register: Register) -> None:
    build("outer", {"outer": []})
    build("inner", {"inner": []})

    def outer(input: dict[str, Any]) -> Any:
        return executor.start_flow("inner").output

    register({"outer": outer, "inner": lambda i: "from within"})
    run = executor.start_flow("outer")
    assert run.output == {"outer": {"inner": "from within"}}
    assert WorkflowRun.objects.get(workflow_slug="inner").parent_run_id == run.id


def test_the_lease_is_renewed_while_a_step_runs(register: Register) -> None:
    build("flow", {"long": []})

    def wait_for_two_renewals(input: dict[str, Any]) -> None:
        leases: set[datetime] = set()

        def has_been_renewed() -> bool:
            leases.add(WorkflowWorker.objects.get().lease_until)
            return len(leases) == 3

        wait_until(has_been_renewed)

    register({"long": wait_for_two_renewals})
    with override_settings(PGFLOW={"LEASE_SECONDS": 1.5}):
        assert executor.start_flow("flow").status == "completed"


def test_a_step_beyond_its_timeout_is_stopped(register: Register) -> None:
    build("flow", {"long": []}, max_attempts=1, timeout=1)

    def sleep(input: dict[str, Any]) -> None:
        while True:
            time.sleep(0.01)

    register({"long": sleep})
    run = executor.start_flow("flow")
    assert run.error is not None
    assert run.error["code"] == "step_timeout"
    assert connection.is_usable()


def test_signals_are_sent_as_ever(functions: None) -> None:
    told: list[str] = []

    def receive(status: str, **_: Any) -> None:
        told.append(status)

    signals.run_ended.connect(receive)
    try:
        executor.start_flow(build("flow", CHAIN), {"n": 1})
    finally:
        signals.run_ended.disconnect(receive)
    assert told == ["completed"]


def test_runflow_celery_shows_a_run_that_has_ended_already(functions: None) -> None:
    build("flow", CHAIN)
    answer = call("runflow", "flow", celery=True, input='{"n": 3}')
    assert (answer.status, answer.json) == (0, {"sum": 6})
    assert "completed after" in answer.stderr
    assert call("runflow", "flow", detach=True, json=True, input='{"n": 3}').json["status"] == (
        "completed"
    )


@pytest.mark.usefixtures("functions")
class InATestCase(TestCase):
    """What a site's own test sees."""

    def test_the_run_has_ended_and_is_rolled_back_afterwards(self) -> None:
        run = executor.start_flow(build("flow", CHAIN), {"n": 3})
        assert (run.status, run.output) == ("completed", {"sum": 6})
