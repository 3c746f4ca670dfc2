"""Lost workers: what they held comes back, and what they still say is not believed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from pgflow_django import engine, executor
from pgflow_django.exceptions import LeaseLost, RunFailed
from pgflow_django.models import WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.database import (
    attempts_counts,
    messages,
    query,
    step_statuses,
    task_statuses,
)
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.threads import Background, at_once
from tests.engine.workers import HandWorker, sweep


def test_a_live_workers_tasks_are_left_alone() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    worker.claim()
    assert sweep() == 0
    assert task_statuses(run.id, "a") == ["started"]


def test_a_lost_workers_single_task_returns_and_loses_an_attempt() -> None:
    build("flow", {"a": []})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    worker.claim()
    worker.die()
    assert sweep() == 1
    assert task_statuses(run.id, "a") == ["queued"]
    assert attempts_counts(run.id, "a") == [1]
    attempt = WorkflowTaskAttempt.objects.get()
    assert (attempt.code, attempt.error_type, attempt.attempt) == ("worker_lost", "WorkerLost", 1)
    assert attempt.worker.startswith("by-hand:")
    assert HandWorker().claim()[0].attempt == 2
    check_consistency()


def test_tasks_that_were_lost_together_spend_no_attempt_and_come_back_one_by_one() -> None:
    build("flow", {"each*": []})
    run = executor.start_flow("flow", [0, 1, 2])
    worker = HandWorker()
    assert len(worker.claim(10)) == 3
    worker.die()
    sweep()
    assert attempts_counts(run.id, "each") == [0, 0, 0]
    assert not WorkflowTaskAttempt.objects.exists()
    others = [HandWorker() for _ in range(3)]
    claimed = [other.claim(10) for other in others]
    assert [[(task.index, task.attempt) for task in tasks] for tasks in claimed] == [
        [(0, 1)],
        [(1, 1)],
        [(2, 1)],
    ]
    check_consistency()


def test_the_one_that_kills_its_process_spends_nobody_elses_attempts() -> None:
    build("flow", {"each*": []}, max_attempts=2)
    run = executor.start_flow("flow", [0, 1, 2])
    poison = 1
    for _ in range(20):
        worker = HandWorker()
        tasks = worker.claim(10)
        if not tasks:
            break
        if poison in [task.index for task in tasks]:
            worker.die()
            sweep()
        else:
            worker.complete(*tasks)
            worker.leave()
    run.refresh_from_db()
    assert run.status == "failed"
    assert run.error["task_index"] == poison
    assert run.error["code"] == "worker_lost"
    attempts = WorkflowTaskAttempt.objects.values_list("task_index", "attempt")
    assert list(attempts) == [(poison, 1), (poison, 2)]
    worker.leave()
    check_all_ended()


def test_a_task_that_must_be_alone_is_not_claimed_beside_fed_tasks() -> None:
    build("poison", {"bad*": []})
    build("chain", {"a": [], "b": ["a"]})
    executor.start_flow("poison", [0, 1])
    dead = HandWorker()
    assert len(dead.claim(2)) == 2
    dead.die()
    sweep()
    executor.start_flow("chain", {})
    worker = HandWorker(functions=["a", "b"])
    (first,) = worker.claim(1)
    query(
        "update workflow_workers set functions = null where id = %s", worker.id
    )  # as if it could run the poison, too
    settled = worker.exchange([(first, 1)], 10)
    steps = [group.step_slug for group in settled.groups for _ in group.tasks]
    assert "bad" not in steps or steps == ["bad"]


def test_a_task_whose_last_attempt_is_lost_fails_its_run() -> None:
    build("flow", {"a": [], "b": ["a"], "other": []}, max_attempts=1)
    run = executor.start_flow("flow", {})
    worker = HandWorker(functions=["a"])
    worker.claim()
    worker.die()
    sweep()
    run.refresh_from_db()
    assert run.status == "failed"
    assert run.error["code"] == "worker_lost"
    assert run.error["step_slug"] == "a"
    assert step_statuses(run.id) == {"a": "failed", "b": "cancelled", "other": "cancelled"}
    with pytest.raises(RunFailed, match=r'step "a".*WorkerLost.*by-hand'):
        executor.wait(run.id, timeout=0)
    check_all_ended()


@pytest.mark.parametrize("count", [1, 3])
def test_whatever_a_lost_worker_still_says_changes_nothing(count: int) -> None:
    build("flow", {"each*": []})
    run = executor.start_flow("flow", list(range(count)))
    lost = HandWorker()
    tasks = lost.claim(count)
    lost.die()
    sweep()
    before = _everything()
    assert lost.complete(*tasks, output="late") == 0
    assert lost.fail(*tasks) == 0
    assert lost.fail(*tasks, permanent=True) == 0
    assert lost.release(*tasks) == 0
    assert engine.release_claims([lost.claim_id], using="default") == 0
    assert engine.renew_leases([lost.id], using="default") == []
    assert _everything() == before
    other = HandWorker()
    for _ in range(count):
        again = other.claim(10)
        assert lost.complete(*tasks, output="late") == 0
        assert other.complete(*again, output="right") == 1
    assert lost.complete(*tasks, output="late") == 0
    other.leave()
    run.refresh_from_db()
    assert run.output == {"each": ["right"] * count}
    check_all_ended()


def _everything() -> list[Any]:
    return [
        query("select * from workflow_runs order by id"),
        query("select * from workflow_step_states order by run_id, step_slug"),
        query("select * from workflow_step_tasks order by run_id, step_slug, task_index"),
        query("select * from workflow_task_attempts order by id"),
        messages(),
    ]


def test_a_lost_worker_gets_no_more_work() -> None:
    build("flow", {"a": []})
    executor.start_flow("flow", {})
    lost = HandWorker()
    lost.die()
    sweep()
    with pytest.raises(LeaseLost, match="silent for longer than its lease"):
        lost.claim()
    assert len(HandWorker().claim()) == 1


def test_what_a_worker_claims_while_it_is_swept_away_is_not_stranded() -> None:
    build("flow", {"a": [], "b": []})
    run = executor.start_flow("flow", {})
    slow = HandWorker()
    slow.die()

    with transaction.atomic():
        assert len(slow.claim()) == 1  # it has looked at its lease before the sweep
        assert Background(sweep).result() == 1
    for _ in range(3):
        sweep()
    others = [task for _ in range(2) for task in HandWorker().claim()]
    assert sorted(task.group.step_slug for task in others) == ["a", "b"]
    assert run.id


def test_two_sweeps_at_once_take_everything_back_once() -> None:
    build("flow", {"a": []}, max_attempts=5)
    runs = executor.start_flows("flow", [{}] * 8)
    for _ in runs:
        worker = HandWorker()
        worker.claim()
        worker.die()
    at_once([sweep, sweep, sweep])
    sweep()
    assert [attempts_counts(run.id, "a") for run in runs] == [[1]] * 8
    assert len(messages()) == 8
    assert WorkflowTaskAttempt.objects.count() == 8
    assert not query("select 1 from workflow_claims")


def test_a_sweep_waits_for_nobody_while_another_one_is_under_way() -> None:
    build("flow", {"a": []})
    executor.start_flow("flow", {})
    worker = HandWorker()
    worker.claim()
    worker.die()
    with transaction.atomic():
        assert sweep() == 1
        assert Background(sweep).result() == 0


def test_a_poison_task_exhausts_no_neighbour_in_another_thread_of_its_process() -> None:
    build("flow", {"a": []}, max_attempts=2)
    poison, neighbour = executor.start_flows("flow", [{}, {}])
    dead = HandWorker()
    assert len(dead.claim(2)) == 2
    dead.die()
    sweep()
    for _ in range(2):  # each thread has begun one of them when the first kills the process
        dead = HandWorker()
        begun = [*dead.claim(2), *dead.claim_in_another_thread(2)]
        assert begun
        if [task.group.run_id for task in begun] == [str(neighbour.id)]:
            dead.complete(*begun)  # it had the process for itself
        dead.die()
        sweep()
    neighbour.refresh_from_db()
    assert neighbour.status != "failed", neighbour.error
    assert poison.id


def test_a_worker_that_is_gone_is_told_to_look_and_then_why() -> None:
    build("flow", {"a": []})
    lost = HandWorker()
    assert engine.next_visible(lost.id, using="default") is None
    engine.remove_worker(lost.id, using="default")
    assert engine.next_visible(lost.id, using="default") == 0
    with pytest.raises(LeaseLost):
        lost.claim()
