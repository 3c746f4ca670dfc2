"""Statuses that somebody has set by hand: nothing raises over them, and nothing goes past them."""

from __future__ import annotations

import json

import pgtrigger
import pytest

from pgflow_django import engine, executor
from pgflow_django.engine import Settled
from pgflow_django.models import WorkflowRun
from pgflow_django.worker.claimed import ClaimedTask
from tests.engine.building import build, chain
from tests.engine.by_hand import COMPLETING, set_run, set_step, status
from tests.engine.conftest import Register
from tests.engine.database import messages, query, step_statuses, task_statuses
from tests.engine.invariants import check_all_ended, check_ended
from tests.engine.workers import HandWorker

#: What a person may make of a run or a step in which a task runs.
RUN_ENDS = ("completed", "failed", "cancelled")
STEP_ENDS = ("completed", "failed", "skipped", "cancelled")


# -- runs that have been ended by hand ---------------------------------------------------------


@pytest.mark.parametrize("way", COMPLETING)
@pytest.mark.parametrize("end", RUN_ENDS)
@pytest.mark.parametrize("steps", [chain(3), {"s0": [], "s1*": ["s0"]}], ids=["chain", "map"])
def test_nothing_follows_in_a_run_that_was_ended_by_hand(
    way: str, end: str, steps: dict[str, list[str]]
) -> None:
    build("flow", steps)
    run = executor.start_flow("flow", {})
    other = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim(10)
    set_run(run, end)
    COMPLETING[way](worker, tasks)
    assert status(run.id) == end
    assert step_statuses(run.id)["s1"] == "created"
    assert (step_statuses(other.id)["s1"] == "created") is (way == "one")
    assert not messages(run.id)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_run_that_was_ended_by_hand_can_be_taken_up_again(end: str, register: Register) -> None:
    build("flow", {**chain(3), "each*": ["s0"]})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim()
    set_run(run, end)
    worker.complete(*tasks, output=[1, 2])
    worker.leave()
    register({"s1": lambda _: 1, "s2": lambda _: 2, "each": lambda i: i["item"]})
    executor.retry_run(run.id)
    assert executor.drain(timeout=60)
    assert executor.wait(run.id, timeout=0) == {"s2": 2, "each": [1, 2]}
    check_all_ended()


def test_a_run_that_had_nothing_left_completes_when_it_is_taken_up_again() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim()
    set_run(run, "failed")
    worker.complete(*tasks, output=7)
    worker.leave()
    executor.retry_run(run.id)
    assert executor.wait(run.id, timeout=0) == {"a": 7}
    check_all_ended()


# -- steps that have been ended by hand --------------------------------------------------------


def settle(worker: HandWorker, tasks: list[ClaimedTask], *, is_link: bool) -> Settled:
    """Settle tasks and claim, as a lane does: a lone link of a chain takes the short path."""
    results = [{**task.ref, "o": []} for task in tasks]
    if is_link:
        results[0] |= {"v": tasks[0].group.version_id, "n": tasks[0].group.next}
    return engine.settle_and_claim(
        worker.id, json.dumps(results), worker.claim_id, 5, using="default", poll=not is_link
    )


@pytest.mark.parametrize("is_link", [True, False])
@pytest.mark.parametrize("end", STEP_ENDS)
def test_a_result_of_a_step_that_was_ended_by_hand_moves_nothing(end: str, is_link: bool) -> None:
    build("flow", chain(3))
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim()
    set_step(run, "s0", end)
    assert settle(worker, tasks, is_link=is_link).groups == ()
    assert step_statuses(run.id) == {"s0": end, "s1": "created", "s2": "created"}
    assert task_statuses(run.id, "s0") == ["completed"]
    assert not messages(run.id)


@pytest.mark.parametrize("end", STEP_ENDS)
def test_results_of_a_map_that_was_ended_by_hand_move_nothing(end: str) -> None:
    build("flow", {"each*": [], "after": ["each"]})
    run = executor.start_flow("flow", [1, 2, 3])
    worker = HandWorker()
    tasks = worker.claim(3)
    set_step(run, "each", end)
    worker.complete(tasks[0])
    worker.complete(*tasks[1:])
    assert step_statuses(run.id) == {"each": end, "after": "created"}
    assert status(run.id) == "started"


@pytest.mark.parametrize("end", STEP_ENDS)
@pytest.mark.parametrize(
    ("steps", "is_link"),
    [
        (chain(3), True),
        (chain(3), False),
        ({"s0": [], "s1*": ["s0"]}, True),
        ({"s0": [], "s1*": ["s0"]}, False),
        ({"s0": [], "s1": ["s0"], "x": ["s0"]}, False),
    ],
    ids=["short link", "link", "short map", "map", "fan"],
)
def test_no_way_on_starts_a_step_that_was_ended_by_hand(
    steps: dict[str, list[str]], end: str, is_link: bool
) -> None:
    build("flow", steps)
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim()
    set_step(run, "s1", end)
    groups = settle(worker, tasks, is_link=is_link).groups
    assert "s1" not in [group.step_slug for group in groups]
    found = step_statuses(run.id)
    assert (found["s0"], found["s1"]) == ("completed", end)
    assert task_statuses(run.id, "s1") == []


def test_a_completed_step_before_a_skipped_one_counts_in_its_run() -> None:
    build("flow", chain(3))
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim()
    set_step(run, "s1", "skipped")
    set_step(run, "s2", "skipped")
    query("update workflow_runs set remaining_steps = 1 where id = %s", run.id)
    worker.complete(*tasks, output=1)
    worker.leave()
    run.refresh_from_db()
    assert (run.status, run.output) == ("completed", {})


# -- taking up again ---------------------------------------------------------------------------


def fail_last(steps: dict[str, list[str]], last: str) -> WorkflowRun:
    """A run in which all but the last step are done, and that one has failed."""
    build("flow", steps)
    run = executor.start_flow("flow", [1])
    worker = HandWorker()
    while tasks := worker.claim(10):
        if tasks[0].group.step_slug == last:
            worker.fail(*tasks, permanent=True)
        else:
            worker.complete(*tasks, output=[1])
    worker.leave()
    return run


@pytest.mark.parametrize("skipped", ["a", "b"])
def test_a_skipped_dependency_counts_as_ended_when_a_run_is_taken_up_again(
    skipped: str, register: Register
) -> None:
    run = fail_last({"a": [], "b": [], "end": ["a", "b"]}, "end")
    with pgtrigger.ignore("pgflow_django.WorkflowStepState:step_status_moves_as_allowed"):
        set_step(run, skipped, "skipped")
    register({"end": lambda i: sorted(i.keys())})
    executor.retry_run(run.id)
    assert executor.drain(timeout=60)
    run.refresh_from_db()
    assert run.status == "completed", run.error


def test_a_step_that_was_skipped_by_hand_stays_so_when_its_run_is_taken_up_again(
    register: Register,
) -> None:
    run = fail_last({"a": [], "b": ["a"], "end": ["b"]}, "b")
    set_step(run, "b", "skipped")
    register({"end": lambda _: "here"})
    executor.retry_run(run.id)
    assert executor.drain(timeout=60)
    run.refresh_from_db()
    assert (run.status, run.output) == ("completed", {"end": "here"})
    assert step_statuses(run.id) == {"a": "completed", "b": "skipped", "end": "completed"}
    check_ended(run.id)


def test_a_failed_step_that_was_completed_by_hand_is_done_when_its_run_is_taken_up_again(
    register: Register,
) -> None:
    run = fail_last({"a": [], "b": ["a"], "end": ["b"]}, "b")
    query(
        "update workflow_step_tasks set status = 'completed', output = '5', error = null "
        "where step_slug = 'b'"
    )
    query(
        "update workflow_step_states set status = 'completed', remaining_tasks = 0 "
        "where step_slug = 'b'"
    )
    register({"end": lambda i: i["b"]})
    executor.retry_run(run.id)
    assert executor.drain(timeout=60)
    assert executor.wait(run.id, timeout=0) == {"end": 5}
    check_all_ended()


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_step_whose_tasks_are_all_done_is_completed_when_its_run_is_taken_up_again(
    end: str, register: Register
) -> None:
    build("flow", {"each*": [], "end": ["each"]})
    run = executor.start_flow("flow", [1, 2])
    worker = HandWorker()
    tasks = worker.claim(2)
    set_step(run, "each", end)
    worker.complete(*tasks, output=1)
    worker.leave()
    set_run(run, end)
    register({"end": lambda i: i["each"]})
    executor.retry_run(run.id)
    assert executor.drain(timeout=60)
    assert executor.wait(run.id, timeout=0) == {"end": [1, 1]}
    check_all_ended()
