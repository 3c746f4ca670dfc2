"""Runs that are paused: nothing of them is sent until they go on, and all under way is settled."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from pgflow_django import RunNotFound, RunTimedOut, engine, executor
from pgflow_django.exceptions import ActionRefused, WaitRefused
from pgflow_django.models import WorkflowRun, WorkflowRunEvent, WorkflowTaskAttempt
from pgflow_django.runs import control, delivery
from tests.engine.building import build, chain
from tests.engine.by_hand import COMPLETING, FAILING, pause, status
from tests.engine.conftest import Register
from tests.engine.database import end_leases, messages, query, step_statuses, task_statuses
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.threads import Background, at_once
from tests.engine.workers import HandWorker, sweep
from tests.waiting import wait_for, wait_until


@pytest.mark.parametrize("way", COMPLETING)
@pytest.mark.parametrize(
    "steps",
    [{"a": []}, {"a": [], "each*": ["a"]}, {"each*": []}, {"a": [], "b": []}],
    ids=["single", "empty map", "map", "leaves"],
)
def test_a_run_whose_last_task_ends_while_it_is_paused_completes(
    way: str, steps: dict[str, list[str]]
) -> None:
    build("flow", steps)
    run = executor.start_flow("flow", [1])
    worker = HandWorker()
    tasks = worker.claim(10)
    if way == "one":
        worker.complete(*tasks[1:], output=[])
    pause(run)
    COMPLETING[way](worker, tasks)
    assert status(run.id) == "completed"
    worker.leave()
    check_all_ended()


@pytest.mark.parametrize("way", FAILING)
def test_a_run_whose_last_attempt_is_over_while_it_is_paused_fails(way: str) -> None:
    build("flow", {"a": [], "b": ["a"]}, max_attempts=1)
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim()
    pause(run)
    FAILING[way](worker, tasks)
    assert status(run.id) == "failed"
    assert step_statuses(run.id) == {"a": "failed", "b": "cancelled"}
    worker.leave()
    check_all_ended()


def test_a_map_over_what_is_no_array_fails_its_run_also_while_that_is_paused() -> None:
    build("flow", {"a": [], "each*": ["a"]})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim()
    pause(run)
    worker.complete(*tasks, output=5)
    assert status(run.id) == "failed"
    worker.leave()
    check_all_ended()


def test_drain_works_past_a_paused_run_that_ends(register: Register) -> None:
    build("flow", chain(3))
    runs = executor.start_flows("flow", [{}, {}])

    def pause_it(input: dict[str, Any], context: Any) -> int:
        assert executor.pause_run(context.run_id).did
        return 1

    register({"s0": lambda _: 1, "s1": lambda _: 1, "s2": pause_it})
    assert executor.drain(timeout=60)
    assert [status(run.id) for run in runs] == ["completed", "completed"]
    check_all_ended()


# -- what is asked for -------------------------------------------------------------------------


def events_of(run: Any) -> list[tuple[str, str, Any]]:
    """Kind, message and data of a run's events, in order."""
    found = WorkflowRunEvent.objects.filter(run_id=run.id).order_by("id")
    return [*found.values_list("kind", "message", "data")]


def dues(run: Any) -> dict[tuple[str, int], datetime]:
    """When each message of a run is due, by its step and its first index."""
    return {(one["step_slug"], one["task_index"]): one["vt"] for one in messages(run.id)}


def test_pausing_and_resuming_tell_who_did_it_and_why() -> None:
    build("flow", chain(2))
    run = executor.start_flow("flow", {})
    paused = executor.pause_run(run.id, reason="the API is down", by="admin:ada")
    assert (paused.action, paused.did, paused.before, paused.status) == (
        *("pause", True, "started"),
        "paused",
    )
    assert not messages(run.id)
    again = executor.pause_run(str(run.id), by="admin:bob")
    assert (again.did, again.before, again.status) == (False, "paused", "paused")
    resumed = executor.resume_run(run.id, by="command:root@host")
    assert (resumed.action, resumed.did, resumed.before, resumed.status) == (
        *("resume", True, "paused"),
        "started",
    )
    assert not executor.resume_run(run.id).did
    check_consistency()
    assert events_of(run) == [
        ("paused", "the API is down", {"by": "admin:ada", "reason": "the API is down"}),
        ("resumed", "resumed", {"by": "command:root@host"}),
    ]


def test_cancelling_tells_who_did_it_and_why() -> None:
    build("flow", chain(2))
    run = executor.start_flow("flow", {})
    pause(run)
    assert executor.cancel_run(run.id, reason="no longer wanted", by="admin:ada").has_ended
    executor.cancel_run(run.id, by="admin:bob")
    assert events_of(run)[1:] == [
        ("cancelled", "no longer wanted", {"by": "admin:ada", "reason": "no longer wanted"}),
    ]
    check_all_ended()


@pytest.mark.parametrize("call", [executor.pause_run, executor.resume_run])
def test_runs_that_have_ended_and_unknown_ones_are_neither_paused_nor_resumed(
    call: Callable[..., Any],
) -> None:
    build("flow", {"a*": []})
    done = executor.start_flow("flow", [])
    with pytest.raises(ActionRefused, match="it is completed") as caught:
        call(done.id)
    assert (caught.value.code, caught.value.run_id) == ("run_has_ended", done.id)
    with pytest.raises(RunNotFound):
        call(UUID(int=5))
    assert not WorkflowRunEvent.objects.exists()


@pytest.mark.parametrize("name", ["cancel_run", "pause_run", "resume_run"])
def test_two_clicks_at_once_are_one_act(name: str) -> None:
    build("flow", chain(2))
    for _ in range(5):
        run = executor.start_flow("flow", {})
        if name == "resume_run":
            pause(run)
        before = len(events_of(run))
        clicks = [lambda run=run: getattr(control, name)(run.id) for _ in range(2)]
        assert sorted(click.did for click in at_once(clicks)) == [False, True]
        assert len(events_of(run)) == before + 1
        check_consistency()


# -- nothing is sent ---------------------------------------------------------------------------

WIDE = {"a": [], "each*": ["a"], "after": ["each"], "side": ["a"]}


@pytest.mark.parametrize("is_link", [True, False])
@pytest.mark.parametrize("steps", [chain(3), WIDE, {"s0": [], "s1*": ["s0"]}])
def test_what_follows_in_a_paused_run_waits_for_its_resumption(
    steps: dict[str, list[str]], is_link: bool
) -> None:
    build("flow", steps)
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    (task,) = worker.claim()
    pause(run)
    result = {**task.ref, "o": [1, 2], "v": task.group.version_id, "n": task.group.next}
    settled = engine.settle_and_claim(
        *(worker.id, json.dumps([result]), worker.claim_id, 5),
        using="default",
        poll=not is_link,
    )
    assert (settled.accepted, settled.groups) == (1, ())
    assert "started" in step_statuses(run.id).values()
    check_consistency()
    assert not messages(run.id)
    executor.resume_run(run.id)
    check_consistency()
    while tasks := worker.claim(10):
        worker.complete(*tasks, output=[1])
    assert status(run.id) == "completed"
    worker.leave()
    check_all_ended()


def fail(worker: HandWorker, tasks: list[Any]) -> None:
    worker.fail(*tasks)


def lose(worker: HandWorker, tasks: list[Any]) -> None:
    worker.die()
    assert sweep() == 1


WAYS_BACK: dict[str, Callable[[HandWorker, list[Any]], Any]] = {
    "failed": fail,
    "lost": lose,
    "released": lambda worker, tasks: worker.release(*tasks),
    "left": lambda worker, tasks: worker.leave(),
}


@pytest.mark.parametrize("way", WAYS_BACK)
@pytest.mark.parametrize("count", [1, 3])
def test_what_comes_back_of_a_paused_run_waits_for_its_resumption(way: str, count: int) -> None:
    build("flow", {"each*": []}, max_attempts=3)
    run = executor.start_flow("flow", [1, 2, 3, 4])
    worker = HandWorker()
    tasks = worker.claim(count)
    pause(run)
    WAYS_BACK[way](worker, tasks)
    assert task_statuses(run.id, "each") == ["queued"] * 4
    assert not messages(run.id)
    check_consistency()
    executor.resume_run(run.id)
    check_consistency()
    other = HandWorker()
    assert len(other.claim(10)) == 4
    other.leave()


def test_a_task_in_backoff_keeps_its_moment_and_others_go_on_at_once() -> None:
    build("flow", {"each*": []}, max_attempts=3)
    run = executor.start_flow("flow", list(range(5)))
    worker = HandWorker()
    tasks = worker.claim(5)
    worker.fail(tasks[1], delay=1000)
    worker.fail(tasks[3], delay=2000)
    worker.release(tasks[0], tasks[2], tasks[4])
    pause(run)
    executor.resume_run(run.id)
    check_consistency()
    retry_at = dict(WorkflowTaskAttempt.objects.values_list("task_index", "retry_at"))
    found = dues(run)
    assert found["each", 1] == retry_at[1]
    assert found["each", 3] == retry_at[3]
    assert [task.index for task in worker.claim(10)] == [0, 2, 4]


def test_a_step_with_a_start_delay_keeps_its_moment() -> None:
    build("flow", {"a": [], "b": ["a"]}, options={"b": {"start_delay": 3600}})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    worker.complete(*worker.claim(), output=1)
    before = dues(run)
    pause(run)
    executor.resume_run(run.id)
    ((slug, due),) = dues(run).items()
    assert slug == ("b", 0)
    assert abs((due - before[slug]).total_seconds()) < 1
    # What a retry begins does not wait again, and neither where it was paused meanwhile.
    executor.cancel_run(run.id)
    executor.retry_run(run.id)
    pause(run)
    executor.resume_run(run.id)
    assert [task.group.step_slug for task in worker.claim()] == ["b"]


def test_a_large_map_goes_on_in_messages_of_a_hundred() -> None:
    build("flow", {"each*": []})
    run = executor.start_flow("flow", list(range(250)))
    pause(run)
    executor.resume_run(run.id)
    assert [message["count"] for message in messages(run.id)] == [100, 100, 50]
    check_consistency()


# -- processes that work in it or wait for it --------------------------------------------------


def test_drain_has_done_when_only_paused_work_is_left(register: Register) -> None:
    build("flow", chain(2))
    register({"s0": lambda _: 1, "s1": lambda _: 2})
    paused, other = executor.start_flows("flow", [{}, {}])
    pause(paused)
    assert executor.drain(timeout=60)
    assert [status(paused.id), status(other.id)] == ["paused", "completed"]
    with pytest.raises(RunTimedOut, match="the run is paused"):
        executor.wait(paused.id, timeout=0.01)
    executor.resume_run(paused.id)
    assert executor.drain(timeout=60)
    assert executor.wait(paused.id) == {"s1": 2}


@pytest.mark.parametrize("in_thread", [False, True])
def test_who_executes_a_run_that_is_paused_waits_for_its_resumption(
    in_thread: bool, request: pytest.FixtureRequest, register: Register
) -> None:
    build("flow", chain(2))
    ids: list[UUID] = []

    def pause_it(input: dict[str, Any], context: Any) -> int:
        executor.pause_run(context.run_id)
        ids.append(context.run_id)
        return 1

    register({"s0": pause_it, "s1": lambda i: i["s0"] + 1})
    if in_thread:
        delivery.set_eager(lambda: True)
        request.addfinalizer(lambda: delivery.set_eager(lambda: False))
        call = Background(lambda: executor.start_flow("flow", {}))
    else:
        call = Background(lambda: executor.execute_dynamic("flow", {}, poll_interval=0.02))
    wait_until(lambda: ids and step_statuses(ids[0])["s0"] == "completed")
    assert call.is_running
    assert executor.resume_run(ids[0]).did
    call.result()
    assert WorkflowRun.objects.get(id=ids[0]).output == {"s1": 2}
    check_all_ended()


def test_a_run_that_is_paused_takes_the_time_that_its_caller_allows() -> None:
    build("flow", chain(2))

    def pause_it(input: dict[str, Any], context: Any) -> None:
        executor.pause_run(context.run_id)

    with pytest.raises(RunTimedOut):
        executor.execute_dynamic(
            "flow", {}, {"s0": pause_it, "s1": lambda _: 1}, timeout=0.5, poll_interval=0.02
        )
    check_all_ended()


def test_a_run_is_not_waited_for_in_the_transaction_that_has_paused_it() -> None:
    build("flow", chain(2))

    def pause_it(input: dict[str, Any], context: Any) -> None:
        executor.pause_run(context.run_id)

    with transaction.atomic():
        with pytest.raises(WaitRefused, match="nobody can resume it"):
            executor.execute_dynamic("flow", {}, {"s0": pause_it, "s1": lambda _: 1})
        run = executor.start_flow("flow", {})
    with transaction.atomic():
        executor.pause_run(run.id)
        with pytest.raises(WaitRefused, match="paused"):
            executor.wait(run.id)
    executor.cancel_run(run.id)
    check_all_ended()


def test_a_paused_run_whose_caller_is_gone_fails_and_can_be_retried(register: Register) -> None:
    build("flow", chain(1))
    entered, go_on = threading.Event(), threading.Event()
    ids: list[UUID] = []

    def block(input: dict[str, Any]) -> None:
        entered.set()
        wait_for(go_on)

    call = Background(
        lambda: executor.execute_dynamic("flow", {}, {"s0": block}, on_start=ids.append)
    )
    wait_for(entered)
    executor.pause_run(ids[0])
    end_leases()
    sweep()
    go_on.set()
    with pytest.raises(Exception, match=r"gone|silent"):
        call.result()
    assert WorkflowRun.objects.get(id=ids[0]).error["code"] == "caller_lost"
    assert executor.retry_run(ids[0], step_functions={"s0": lambda _: 1}).output == {"s0": 1}
    check_all_ended()


# -- at the same instant -----------------------------------------------------------------------


@pytest.mark.parametrize("rival", ["settle", "claim", "fail", "release", "sweep", "cancel"])
def test_pausing_and_its_rival_at_the_same_instant_agree(rival: str) -> None:
    build("flow", {"each*": [], "after": ["each"]}, max_attempts=3)
    for _ in range(8):
        run = executor.start_flow("flow", [1, 2, 3])
        worker, other = HandWorker(), HandWorker()
        tasks = worker.claim(2 if rival == "claim" else 3)
        rivals: dict[str, Callable[[], Any]] = {
            "settle": lambda worker=worker, tasks=tasks: worker.complete(*tasks, output=1),
            "claim": lambda other=other: other.claim(3),
            "fail": lambda worker=worker, tasks=tasks: worker.fail(*tasks),
            "release": lambda worker=worker, tasks=tasks: worker.release(*tasks),
            "sweep": sweep,
            "cancel": lambda run=run: executor.cancel_run(run.id),
        }
        if rival == "sweep":
            worker.die()

        def pause_it(run: Any = run) -> bool:
            try:
                return executor.pause_run(run.id).did
            except ActionRefused:
                return False

        paused, _ = at_once([pause_it, rivals[rival]])
        assert paused or rival == "cancel"
        check_consistency()
        assert not messages(run.id)
        if rival != "cancel":
            assert executor.resume_run(run.id).did
            check_consistency()
        executor.cancel_run(run.id)
        other.leave()
    query("delete from workflow_claims; delete from workflow_workers")
