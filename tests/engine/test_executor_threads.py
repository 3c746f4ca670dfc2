"""Batches and long steps, and steps that commit with their own completion."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from pgflow_django import Flow, RunCancelled, RunFailed, executor, step, step_function
from pgflow_django.models import Workflow, WorkflowRun, WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import task_statuses, value
from tests.engine.invariants import check_all_ended
from tests.engine.threads import Background
from tests.engine.workers import sweep
from tests.waiting import wait_for, wait_until


def one(input: dict[str, Any]) -> int:
    return 1


def completed(step_slug: str) -> int:
    """How many tasks of a step have completed, for everybody to see."""
    return int(
        value(
            "select count(*) from workflow_step_tasks "
            "where step_slug = %s and status = 'completed'",
            step_slug,
        )
    )


def test_finished_work_is_committed_while_the_next_step_of_its_batch_is_long(
    settings: Any, register: Register
) -> None:
    settings.PGFLOW = {"THREADS": 1}
    build("quick", {"quick": []})
    build("long", {"long": []})
    go_on = threading.Event()
    register({"quick": one, "long": lambda i: go_on.wait(30)})
    executor.start_flows("quick", [{}] * 5)
    executor.start_flow("long", {})
    drain = Background(executor.drain)
    wait_until(lambda: completed("quick") == 5, "what was finished to be committed")
    go_on.set()
    assert drain.result() is True
    check_all_ended()


def test_tasks_claimed_with_a_long_one_go_to_other_threads(register: Register) -> None:
    build("flow", {"each*": []})
    long_runs, go_on = threading.Event(), threading.Event()

    def each(input: dict[str, Any]) -> int:
        if input["index"] == 0:
            long_runs.set()
            assert go_on.wait(30)
        return input["index"]

    register({"each": each})
    run = executor.start_flow("flow", list(range(60)))
    drain = Background(executor.drain)
    wait_for(long_runs)
    wait_until(lambda: completed("each") == 59, "the neighbours of the long task")
    go_on.set()
    assert drain.result() is True
    assert executor.wait(run.id) == {"each": list(range(60))}
    counts = value("select max(attempts_count) from workflow_step_tasks")
    assert counts == 1
    assert not WorkflowTaskAttempt.objects.exists()


def test_as_many_long_steps_as_threads_still_let_results_of_others_be_seen(
    settings: Any, register: Register
) -> None:
    settings.PGFLOW = {"THREADS": 3}
    build("flow", {"each*": []})
    go_on = threading.Event()
    begun = threading.Barrier(4)

    def each(input: dict[str, Any]) -> int:
        if input["item"]:
            begun.wait(30)
            assert go_on.wait(30)
        return 1

    register({"each": each})
    executor.start_flow("flow", [0, 1, 0, 1, 0, 1])
    drain = Background(executor.drain)
    begun.wait(30)
    assert drain.is_running
    go_on.set()
    assert drain.result() is True
    check_all_ended()


class AtomicFlow(Flow):
    max_attempts = 2
    base_delay = 0
    then: Any = None

    @step(atomic=True)
    def write(input: dict[str, Any], context: Any) -> Any:  # noqa: N805 - steps take no self
        Workflow.objects.create(workflow_slug=f"written_{context.attempt}")
        return AtomicFlow.then(context)


@pytest.fixture
def then(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what the atomic step does after its write."""

    def choose(function: Any) -> None:
        monkeypatch.setattr(AtomicFlow, "then", staticmethod(function))

    return choose


def written() -> list[str]:
    slugs = Workflow.objects.filter(workflow_slug__startswith="written")
    return sorted(slugs.values_list("workflow_slug", flat=True))


@pytest.mark.parametrize("in_transaction", [False, True])
def test_an_atomic_step_commits_its_writes_with_its_completion(
    then: Any, in_transaction: bool
) -> None:
    then(lambda context: connection.in_atomic_block)
    if in_transaction:
        with transaction.atomic():
            output = executor.execute(AtomicFlow)
    else:
        output = executor.execute(AtomicFlow)
    assert output == {"write": True}
    assert written() == ["written_1"]
    check_all_ended()


def test_nobody_sees_the_writes_of_an_atomic_step_before_its_completion(then: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def pause(context: Any) -> int:
        begun.set()
        wait_for(go_on)
        return 1

    then(pause)
    call = Background(lambda: executor.execute(AtomicFlow))
    wait_for(begun)
    assert written() == []
    go_on.set()
    assert call.result() == {"write": 1}
    assert written() == ["written_1"]


@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_an_atomic_step_wrote_before_it_failed_is_rolled_back(
    then: Any, in_transaction: bool
) -> None:
    then(lambda context: 1 // (context.attempt - 1))
    if in_transaction:
        with transaction.atomic():
            executor.execute(AtomicFlow)
    else:
        executor.execute(AtomicFlow)
    assert written() == ["written_2"]
    attempt = WorkflowTaskAttempt.objects.get()
    assert attempt.error_type == "ZeroDivisionError"


def test_an_atomic_step_whose_output_is_no_json_is_rolled_back(then: Any) -> None:
    then(lambda context: object())
    with pytest.raises(RunFailed, match="can't be stored as JSON"):
        executor.execute(AtomicFlow)
    assert written() == []


def test_what_an_atomic_step_wrote_is_rolled_back_when_its_run_was_cancelled(then: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ids: list[Any] = []

    def pause(context: Any) -> int:
        ids.append(context.run_id)
        begun.set()
        wait_for(go_on)
        return 1

    then(pause)
    call = Background(lambda: executor.execute(AtomicFlow))
    wait_for(begun)
    executor.cancel_run(ids[0])
    go_on.set()
    with pytest.raises(RunCancelled):
        call.result()
    assert written() == []
    check_all_ended()


def test_what_an_atomic_step_wrote_is_rolled_back_when_its_claim_was_lost(then: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def pause(context: Any) -> int:
        if context.attempt == 1:
            begun.set()
            wait_for(go_on)
        return context.attempt

    then(pause)
    run = AtomicFlow.start()
    frozen = Background(executor.drain)
    wait_for(begun)
    value("update workflow_workers set lease_until = '-infinity' returning 1")
    assert sweep() == 1
    assert executor.drain()
    assert executor.wait(run.id) == {"write": 2}
    go_on.set()
    try:
        frozen.result()
    except Exception as error:  # noqa: BLE001 - it may say that it has lost its lease
        assert "lease" in str(error)  # noqa: PT017
    assert written() == ["written_2"]
    check_all_ended()


def test_an_atomic_step_at_its_timeout_writes_nothing() -> None:
    class AtomicLoop(Flow):
        max_attempts = 1
        timeout = 1

        @step(atomic=True)
        def loop(input: dict[str, Any]) -> None:  # noqa: N805
            Workflow.objects.create(workflow_slug="written_in_vain")
            while True:
                pass

    with pytest.raises(RunFailed, match="StepTimeout"):
        executor.execute(AtomicLoop)
    assert written() == []
    check_all_ended()


def test_an_atomic_map_step_writes_once_per_element_whatever_fails_on_the_way() -> None:
    class AtomicMap(Flow):
        max_attempts = 3
        base_delay = 0

        @step(atomic=True, step_type="map")
        def write(input: dict[str, Any], context: Any) -> int:  # noqa: N805
            Workflow.objects.create(workflow_slug=f"written_{input['index']}")
            if context.attempt <= input["item"]:
                raise ValueError
            return context.attempt

    assert executor.execute(AtomicMap, [0, 1, 2] * 4) == {"write": [1, 2, 3] * 4}
    assert len(written()) == 12
    check_all_ended()


def test_a_step_that_is_not_atomic_keeps_what_it_wrote_before_it_failed() -> None:
    build("flow", {"a": []}, max_attempts=1)

    def write_and_fail(input: dict[str, Any]) -> None:
        Workflow.objects.create(workflow_slug="written")
        raise ValueError

    with pytest.raises(RunFailed):
        executor.execute_dynamic("flow", {}, {"a": write_and_fail})
    assert written() == ["written"]


def test_an_atomic_function_passed_by_the_caller_stays_atomic() -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=1)

    @step_function("tests.atomic_and_passed", atomic=True)
    def write_and_fail(input: dict[str, Any]) -> None:
        Workflow.objects.create(workflow_slug="written")
        raise ValueError

    from pgflow_django.registry import registry

    try:
        with pytest.raises(RunFailed):
            executor.execute_dynamic("flow", {}, {"a": write_and_fail, "b": one})
    finally:
        registry.unregister("tests.atomic_and_passed")
    assert written() == []
    assert task_statuses(WorkflowRun.objects.get().id, "a") == ["failed"]
