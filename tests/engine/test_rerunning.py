"""Reruns: a new run with the input of another one, from its beginning or from one of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from pgflow_django import RunFailed, RunNotFound, StepFunctionMissing, executor, flow_builder
from pgflow_django.exceptions import ActionRefused, InvalidInput, WorkflowConflict, WorkflowNotFound
from pgflow_django.models import Workflow, WorkflowRun, WorkflowRunEvent
from pgflow_django.runs import control, delivery
from tests.engine.building import build, chain
from tests.engine.conftest import Register
from tests.engine.database import query, step_statuses, task_statuses, value
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.workers import HandWorker

STEPS = {"a": [], "each*": ["a"], "b": ["a"], "sum": ["each"], "end": ["sum", "b"]}
Calls = list[str]


@pytest.fixture
def calls(register: Register) -> Calls:
    """Functions that note down that they were called."""
    called: Calls = []

    def say(name: str, give: Callable[[Any], Any]) -> Any:
        def run(input: dict[str, Any]) -> Any:
            called.append(name)
            return give(input)

        return run

    register(
        {
            "a": say("a", lambda i: i["numbers"]),
            "each": say("each", lambda i: i["item"] * 10),
            "b": say("b", lambda i: len(i["a"])),
            "sum": say("sum", lambda i: sum(i["each"])),
            "end": say("end", lambda i: [i["sum"], i["b"], i["numbers"]]),
        }
    )
    return called


def completed(calls: Calls) -> WorkflowRun:
    build("flow", STEPS)
    run = executor.start_flow("flow", {"numbers": [1, 2]})
    assert executor.drain(timeout=60)
    calls.clear()
    return WorkflowRun.objects.get(id=run.id)


def test_a_rerun_is_a_new_run_with_the_same_input(calls: Calls) -> None:
    old = completed(calls)
    new = executor.rerun(old.id, by="admin:ada")
    assert (new.id != old.id, new.rerun_of, new.input) == (True, old.id, {"numbers": [1, 2]})
    assert executor.drain(timeout=60)
    assert executor.wait(new.id) == executor.wait(old.id)
    assert sorted(calls) == ["a", "b", "each", "each", "end", "sum"]
    event = WorkflowRunEvent.objects.get()
    assert (event.run_id, event.kind) == (new.id, "rerun")
    assert event.data == {"by": "admin:ada", "rerun_of": str(old.id)}
    check_all_ended()


def test_its_input_may_be_another_one_and_the_flow_is_that_of_today(calls: Calls) -> None:
    old = completed(calls)
    flow_builder.add_step("flow", "more", ["end"], function="b")
    done = control.rerun(old.id, input={"numbers": [5]})
    assert (done.action, done.did, done.run_id, done.before) == (
        *("rerun", True, old.id),
        "completed",
    )
    assert done.new_run_id is not None
    new = WorkflowRun.objects.get(id=done.new_run_id)
    assert (new.input, new.version) == ({"numbers": [5]}, old.version + 1)
    assert WorkflowRun.objects.get(id=old.id).input == {"numbers": [1, 2]}


@pytest.mark.parametrize("input", [None, [], 0, {"numbers": []}])
def test_any_json_may_be_the_input(input: Any, calls: Calls) -> None:
    old = completed(calls)
    assert WorkflowRun.objects.get(id=executor.rerun(old.id, input=input).id).input == input


def test_a_rerun_keeps_numbers_that_python_would_not() -> None:
    build("flow", chain(1))
    executor.start_flow("flow", {})
    run_id = value(
        "select (pgflow.start_flow('flow', '[{\"n\": 12345678901234567890.123456789}]'))[1]"
    )
    for new in (executor.rerun(run_id), executor.rerun(run_id, from_step="s0")):
        assert value("select input->>'n' from workflow_runs where id = %s", new.id) == (
            "12345678901234567890.123456789"
        )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("a", ["a", "b", "each", "each", "end", "sum"]),
        ("each", ["each", "each", "end", "sum"]),
        ("b", ["b", "end"]),
        ("sum", ["end", "sum"]),
        ("end", ["end"]),
    ],
)
def test_from_a_step_only_that_and_what_comes_after_it_is_done_again(
    step: str, expected: list[str], calls: Calls
) -> None:
    old = completed(calls)
    new = executor.rerun(old.id, from_step=step, by="admin:ada")
    check_consistency()
    assert executor.drain(timeout=60)
    assert executor.wait(new.id) == executor.wait(old.id)
    assert sorted(calls) == expected
    new.refresh_from_db()
    assert (new.rerun_of, new.version_id, new.round) == (old.id, old.version_id, 0)
    event = WorkflowRunEvent.objects.get()
    assert (event.run_id, event.step_slug) == (new.id, step)
    check_all_ended()


def test_from_a_step_it_may_have_another_input(calls: Calls) -> None:
    old = completed(calls)
    new = executor.rerun(old.id, from_step="end", input={"numbers": "edited"})
    assert executor.drain(timeout=60)
    assert executor.wait(new.id) == {"end": [30, 2, "edited"]}


def test_from_a_step_of_a_failed_run_what_was_done_beside_it_is_taken_over(calls: Calls) -> None:
    build("flow", STEPS, max_attempts=1)
    old = executor.start_flow("flow", {"numbers": [1, 2]})
    worker = HandWorker()
    worker.complete(*worker.claim(), output=[1, 2])
    by_step = {task.group.step_slug: task for task in worker.claim(10) if task.index == 0}
    worker.complete(by_step["b"], output=2)
    worker.fail(by_step["each"])
    worker.leave()
    new = executor.rerun(old.id, from_step="each")
    check_consistency()
    assert step_statuses(new.id)["b"] == "completed"
    assert executor.drain(timeout=60)
    assert executor.wait(new.id) == {"end": [30, 2, [1, 2]]}
    assert sorted(calls) == ["each", "each", "end", "sum"]
    assert step_statuses(old.id)["each"] == "failed"
    check_all_ended()


def test_what_was_decided_by_hand_is_taken_over(calls: Calls) -> None:
    build("flow", STEPS)
    old = executor.start_flow("flow", {"numbers": [1, 2]})
    executor.complete_step(old.id, "a", [4, 5])
    executor.skip_step(old.id, "b")
    executor.skip_step(old.id, "each", index=0)
    assert executor.drain(timeout=60) or True
    assert task_statuses(old.id, "each")[0] == "skipped"
    old_each = task_statuses(old.id, "each")
    query("delete from workflow_run_events")
    new = executor.rerun(old.id, from_step="sum")
    check_consistency()
    assert step_statuses(new.id)["b"] == "skipped"
    assert task_statuses(new.id, "each") == old_each


def test_a_run_that_goes_on_can_be_rerun_too(calls: Calls) -> None:
    build("flow", STEPS)
    old = executor.start_flow("flow", {"numbers": [1, 2]})
    worker = HandWorker()
    worker.complete(*worker.claim(), output=[1, 2])
    executor.rerun(old.id, from_step="each")
    executor.rerun(old.id)
    check_consistency()
    worker.leave()
    assert executor.drain(timeout=60)
    assert set(WorkflowRun.objects.values_list("status", flat=True)) == {"completed"}


def test_what_can_not_be_rerun_is_refused(calls: Calls) -> None:
    build("flow", STEPS, max_attempts=1)
    old = executor.start_flow("flow", {"numbers": [1, 2]})
    worker = HandWorker()
    worker.fail(*worker.claim())
    worker.leave()
    for code, unfit in [("step_not_found", "nowhere"), ("rerun_not_possible", "sum")]:
        with pytest.raises(ActionRefused) as caught:
            executor.rerun(old.id, from_step=unfit)
        assert caught.value.code == code
    with pytest.raises(RunNotFound):
        executor.rerun(UUID(int=5))
    with pytest.raises(InvalidInput):
        executor.rerun(old.id, input=object())
    Workflow.objects.update(input_schema={"type": "object", "required": ["numbers"]})
    for step in (None, "a"):
        with pytest.raises(InvalidInput, match="numbers") as refused:
            executor.rerun(old.id, input={"n": 1}, from_step=step)
        assert refused.value.code == "invalid_input"
    Workflow.objects.update(is_active=False)
    for step in (None, "a"):
        with pytest.raises(WorkflowConflict) as inactive:
            executor.rerun(old.id, from_step=step)
        assert inactive.value.code == "workflow_inactive"
    flow_builder.delete_flow("flow", force=True)
    with pytest.raises(WorkflowNotFound):
        executor.rerun(old.id)
    assert WorkflowRun.objects.count() == 1
    # Its version is still there.
    assert executor.rerun(old.id, from_step="a").rerun_of == old.id


def test_a_run_with_functions_of_its_caller_is_not_rerun_by_workers() -> None:
    build("flow", chain(1), max_attempts=1)
    with pytest.raises(RunFailed) as failed:
        executor.execute_dynamic("flow", {}, {"s0": lambda _: 1 / 0})
    assert failed.value.run_id is not None
    with pytest.raises(StepFunctionMissing):
        executor.rerun(failed.value.run_id)


@pytest.mark.parametrize("step", [None, "s1"])
def test_a_trial_is_rerun_as_a_trial(step: str | None, register: Register) -> None:
    register({"s0": lambda _: 1, "s1": lambda i: i["s0"] + 1})
    document = {
        "workflow_slug": "draft",
        "steps": [{"slug": "s0"}, {"slug": "s1", "depends_on": ["s0"]}],
    }
    old = executor.start_trial(document, {}, allow_effects=True)
    assert executor.drain(timeout=60)
    new = executor.rerun(old.id, from_step=step)
    assert executor.drain(timeout=60)
    assert executor.wait(new.id) == {"s1": 2}
    assert WorkflowRun.objects.get(id=new.id).is_trial


@pytest.mark.parametrize("step", [None, "end"])
def test_in_eager_mode_a_rerun_has_ended_when_it_is_given(
    step: str | None, calls: Calls, request: pytest.FixtureRequest
) -> None:
    old = completed(calls)
    delivery.set_eager(lambda: True)
    request.addfinalizer(lambda: delivery.set_eager(lambda: False))
    assert executor.rerun(old.id, from_step=step).output == {"end": [30, 2, [1, 2]]}
    check_all_ended()
