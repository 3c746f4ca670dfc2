"""Tasks that need not wait for their next attempt, and tasks that are tried before all others."""

from __future__ import annotations

from functools import partial

import pytest
from django.db.models import Max

from pgflow_django import PgflowError, RunNotFound, executor
from pgflow_django.exceptions import ActionRefused, RunNotRetryable
from pgflow_django.models import WorkflowRun, WorkflowRunEvent, WorkflowTaskAttempt
from pgflow_django.runs import control
from tests.engine.building import build, chain
from tests.engine.by_hand import status
from tests.engine.database import attempts_counts, messages, task_statuses, value
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.test_transitions_retry_run import UNKNOWN
from tests.engine.threads import at_once
from tests.engine.workers import HandWorker


def in_backoff(count: int = 4) -> tuple[WorkflowRun, HandWorker]:
    """A run of a map whose tasks all wait for an hour."""
    build("flow", {"each*": [], "after": ["each"]}, max_attempts=5)
    run = executor.start_flow("flow", list(range(count)))
    worker = HandWorker()
    worker.fail(*worker.claim(count), delay=3600)
    assert worker.claim(count) == []
    return run, worker


# -- retry now ---------------------------------------------------------------------------------


def test_tasks_in_backoff_are_due_at_once_when_somebody_says_so() -> None:
    run, worker = in_backoff()
    done = executor.retry_now(run.id, by="admin:ada")
    assert (done.action, done.did, done.tasks, done.status) == ("retry_now", True, 4, "started")
    latest = WorkflowTaskAttempt.objects.aggregate(at=Max("retry_at"))["at"]
    assert latest <= value("select clock_timestamp()")
    check_consistency()
    assert len(worker.claim(10)) == 4
    event = WorkflowRunEvent.objects.get(run_id=run.id)
    assert (event.kind, event.data) == ("retried_now", {"by": "admin:ada", "tasks": 4})


def test_one_task_or_one_step_is_named() -> None:
    run, worker = in_backoff()
    assert executor.retry_now(run.id, step="each", index=2).tasks == 1
    assert [task.index for task in worker.claim(10)] == [2]
    assert executor.retry_now(run.id, step="each").tasks == 3
    event = WorkflowRunEvent.objects.order_by("id").first()
    assert event is not None
    assert (event.step_slug, event.task_index) == ("each", 2)


def test_of_a_paused_run_they_are_due_when_it_is_resumed() -> None:
    run, worker = in_backoff()
    executor.pause_run(run.id)
    executor.retry_now(run.id, step="each", index=1)
    assert not messages(run.id)
    executor.resume_run(run.id)
    assert [task.index for task in worker.claim(10)] == [1]


def test_where_nothing_waits_for_an_attempt_there_is_nothing_to_retry() -> None:
    build("flow", chain(2), options={"s0": {"start_delay": 3600}})
    run = executor.start_flow("flow", {})
    for arguments in ({}, {"step": "s0"}, {"step": "s0", "index": 0}, {"step": "s1"}):
        with pytest.raises(ActionRefused) as caught:
            executor.retry_now(run.id, **arguments)
        assert caught.value.code == "nothing_to_retry"
    executor.cancel_run(run.id)
    with pytest.raises(ActionRefused) as caught:
        executor.retry_now(run.id)
    assert caught.value.code == "nothing_to_retry"
    with pytest.raises(ActionRefused) as caught:
        executor.retry_now(run.id, step="nowhere")
    assert caught.value.code == "step_not_found"
    with pytest.raises(RunNotFound):
        executor.retry_now(UNKNOWN)
    assert WorkflowRunEvent.objects.count() == 1, "that of the cancellation"


def test_two_clicks_at_once_hurry_once() -> None:
    run, _ = in_backoff()

    def click() -> str:
        try:
            return executor.retry_now(run.id).action
        except ActionRefused as error:
            return error.code

    assert sorted(at_once([click, click])) == ["nothing_to_retry", "retry_now"]
    assert WorkflowRunEvent.objects.filter(kind="retried_now").count() == 1


# -- try one first -----------------------------------------------------------------------------


def failed_map(count: int = 5) -> tuple[WorkflowRun, HandWorker]:
    """A run of a map that has failed before any of its tasks was done."""
    build("flow", {"each*": [], "after": ["each"]}, max_attempts=2)
    run = executor.start_flow("flow", list(range(count)))
    worker = HandWorker()
    worker.fail(*worker.claim(1), permanent=True)
    return run, worker


def test_one_task_is_tried_and_the_rest_waits_for_the_resumption() -> None:
    run, worker = failed_map()
    taken_up = executor.retry_run(run.id, step="each", index=3, by="admin:ada")
    assert (taken_up.status, taken_up.round) == ("paused", 1)
    assert task_statuses(run.id, "each") == ["queued"] * 5
    (message,) = messages(run.id)
    assert (message["task_index"], message["count"]) == (3, 1)
    check_consistency()
    (task,) = worker.claim(10)
    assert task.index == 3
    worker.complete(task, output="well")
    assert (status(run.id), messages(run.id)) == ("paused", [])
    executor.resume_run(run.id)
    check_consistency()
    while tasks := worker.claim(10):
        worker.complete(*tasks, output=1)
    assert status(run.id) == "completed"
    worker.leave()
    check_all_ended()
    told = WorkflowRunEvent.objects.filter(run_id=run.id).order_by("id")
    assert [event.kind for event in told] == ["retried", "paused", "resumed"]
    assert [event.data for event in told] == [{"by": "admin:ada"}, {"by": "admin:ada"}, None]


def test_a_run_that_is_resumed_before_its_first_task_was_claimed_sends_it_once() -> None:
    run, worker = failed_map()
    executor.retry_run(run.id, step="each", index=3, hold=True)
    executor.resume_run(run.id)
    check_consistency()
    assert sorted(task.index for task in worker.claim(10)) == [0, 1, 2, 3, 4]


def test_a_task_that_fails_when_it_is_tried_waits_for_the_resumption() -> None:
    run, worker = failed_map()
    executor.retry_run(run.id, step="each", index=3)
    worker.fail(*worker.claim())
    assert (status(run.id), messages(run.id)) == ("paused", [])
    check_consistency()
    executor.resume_run(run.id)
    assert len(worker.claim(10)) == 5
    assert attempts_counts(run.id, "each") == [1, 1, 1, 2, 1]


def test_all_of_a_step_may_be_tried_first() -> None:
    build("flow", {"a": [], "b": [], "c": ["a"]})
    run = executor.start_flow("flow", {})
    executor.cancel_run(run.id)
    executor.retry_run(run.id, step="a")
    worker = HandWorker()
    (task,) = worker.claim(10)
    assert task.group.step_slug == "a"
    worker.complete(task, output=1)
    check_consistency()
    assert worker.claim(10) == []
    executor.resume_run(run.id)
    assert sorted(task.group.step_slug for task in worker.claim(10)) == ["b", "c"]


def test_a_run_may_be_taken_up_and_held() -> None:
    run, worker = failed_map()
    assert executor.retry_run(run.id, hold=True).status == "paused"
    assert worker.claim(10) == []
    executor.resume_run(run.id)
    assert len(worker.claim(10)) == 5


def test_what_can_not_be_tried_is_refused_and_nothing_is_done() -> None:
    build("flow", {"a": [], "each*": ["a"], "after": ["each"]}, max_attempts=1)
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    worker.complete(*worker.claim(), output=[1, 2, 3])
    first, second = worker.claim(2)
    worker.complete(first, output=1)
    worker.fail(second)
    worker.leave()
    for code, arguments in [
        ("step_not_found", {"step": "nowhere"}),
        ("step_already_done", {"step": "a"}),
        ("step_already_done", {"step": "each", "index": 0}),
        ("task_not_found", {"step": "each", "index": 3}),
        ("task_not_found", {"step": "each", "index": -1}),
        ("task_not_found", {"step": "after"}),
    ]:
        with pytest.raises(ActionRefused) as caught:
            executor.retry_run(run.id, **arguments)
        assert caught.value.code == code
    assert (status(run.id), WorkflowRun.objects.get(id=run.id).round) == ("failed", 0)
    assert not WorkflowRunEvent.objects.exists()
    check_all_ended()


def test_two_clicks_at_once_take_up_once() -> None:
    run, _ = failed_map()
    for number in range(6):
        click = partial(control.retry_run, run.id, step="each" if number % 2 else None)
        assert sorted(result.did for result in at_once([click, click])) == [False, True]
        told = WorkflowRunEvent.objects.filter(run_id=run.id, kind="retried")
        assert told.count() == number + 1
        check_consistency()
        executor.cancel_run(run.id)


def test_who_asks_the_executor_again_is_refused() -> None:
    run, _ = failed_map()
    executor.retry_run(run.id, hold=True)
    with pytest.raises(RunNotRetryable, match="it is paused"):
        executor.retry_run(run.id)
    executor.resume_run(run.id)
    assert not control.retry_run(run.id).did
    build("other", {"a*": []})
    done = executor.start_flow("other", [])
    with pytest.raises(PgflowError) as caught:
        control.retry_run(done.id)
    assert caught.value.code == "run_not_retryable"


def test_a_task_that_is_tried_can_be_decided_meanwhile() -> None:
    run, worker = failed_map()
    executor.retry_run(run.id, step="each", index=3)
    executor.skip_step(run.id, "each", index=3)
    assert not messages(run.id)
    check_consistency()
    executor.resume_run(run.id)
    check_consistency()
    assert [task.index for task in worker.claim(10)] == [0, 1, 2, 4]
