"""Tasks that must be alone in their process: they get room, and hold up nobody for long."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import transaction

from pgflow_django import executor
from pgflow_django.worker.claimed import ClaimedTask, iterate
from tests.engine.building import build, chain
from tests.engine.conftest import Register
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.threads import Background
from tests.engine.workers import HandWorker, sweep
from tests.waiting import wait_for, wait_until

#: Seconds of a lease, of which a process makes room for a third.
LEASE = 1.5


@pytest.fixture(autouse=True)
def short_lease(settings: Any) -> None:
    settings.PGFLOW = {"LEASE_SECONDS": LEASE}


def lose(count: int = 2) -> None:
    """Leave so many tasks behind that must be alone, since they were lost together."""
    build("suspects", {"bad*": []}, max_attempts=5)
    executor.start_flow("suspects", list(range(count)))
    worker = HandWorker(functions=["bad"])
    assert len(worker.claim(count)) == count
    worker.die()
    assert sweep() == 1


def steps(tasks: list[ClaimedTask]) -> list[str]:
    return [task.group.step_slug for task in tasks]


class Process:
    """One process with several threads that are driven by hand."""

    def __init__(self) -> None:
        self.worker = HandWorker()
        self.lanes = [self.worker.claim_id + i for i in range(4)]

    def claim(self, lane: int, wanted: int = 1) -> list[ClaimedTask]:
        self.worker.claim_id = self.lanes[lane]
        return self.worker.claim(wanted)

    def complete(self, lane: int, *tasks: ClaimedTask) -> None:
        self.worker.claim_id = self.lanes[lane]
        self.worker.complete(*tasks)

    def wait_for_claim(self, lane: int) -> list[ClaimedTask]:
        """Ask until there is something."""
        found: list[ClaimedTask] = []

        def has_claimed() -> bool:
            found.extend(self.claim(lane))
            return bool(found)

        wait_until(has_claimed, "a task")
        return found


def test_a_task_that_must_be_alone_stops_its_neighbours_for_a_third_of_a_lease() -> None:
    build("flow", {"a": []})
    process = Process()
    executor.start_flow("flow", {})
    (long,) = process.claim(0)
    lose(count=5)
    executor.start_flows("flow", [{}] * 6)
    assert process.claim(1) == []
    assert steps(process.wait_for_claim(1)) == ["a"]
    # And from now on, as long as the long one runs.
    assert [steps(process.claim(lane)) for lane in (2, 3)] == [["a"], ["a"]]
    process.complete(2)
    assert steps(process.claim(2)) == ["a"]
    check_consistency()
    assert long.attempt == 1


def test_as_soon_as_its_process_is_empty_it_has_its_turn_and_is_alone() -> None:
    build("flow", {"a": []})
    process = Process()
    executor.start_flow("flow", {})
    (long,) = process.claim(0)
    lose()
    executor.start_flows("flow", [{}] * 3)
    assert process.claim(1) == []
    (short,) = process.wait_for_claim(1)
    process.complete(1, short)
    process.complete(0, long)
    (alone,) = process.claim(2, 10)
    assert alone.group.step_slug == "bad"
    assert [process.claim(lane) for lane in (0, 1, 3)] == [[], [], []]
    process.complete(2, alone)
    assert steps(process.claim(3, 10)) == ["bad"]


def test_short_tasks_without_end_do_not_keep_it_waiting() -> None:
    build("flow", {"a": []})
    process = Process()
    executor.start_flows("flow", [{}] * 4)
    held = [process.claim(lane) for lane in range(4)]
    lose()
    for lane in range(4):
        executor.start_flows("flow", [{}] * 4)
        process.complete(lane, *held[lane])
        held[lane] = process.claim(lane)
    assert [steps(tasks) for tasks in held] == [[], [], [], ["bad"]]


def test_a_chain_without_end_does_not_keep_it_waiting() -> None:
    build("flow", chain(50))
    executor.start_flow("flow", {})
    process = Process()
    tasks = process.claim(0)
    lose()
    assert process.claim(1) == []
    for _ in range(3):
        if steps(tasks) == ["bad"]:
            break
        settled = process.worker.exchange([(tasks[0], 1)], 1, poll=False)
        tasks = list(iterate(settled))
    assert steps(tasks) == ["bad"]


def test_a_process_of_one_thread_that_is_handed_a_chain_gives_it_a_turn() -> None:
    build("flow", chain(50))
    executor.start_flow("flow", {})
    worker = HandWorker()
    tasks = worker.claim(1)
    lose()
    found = []
    for _ in range(4):
        found.append(tasks[0].group.step_slug)
        tasks = list(iterate(worker.exchange([(tasks[0], 1)], 1, poll=True)))
    assert "bad" in found


def test_room_is_made_again_when_what_was_there_has_ended() -> None:
    build("flow", {"a": []})
    process = Process()
    executor.start_flow("flow", {})
    (first,) = process.claim(0)
    lose()
    executor.start_flows("flow", [{}] * 4)
    assert process.claim(1) == []
    (second,) = process.wait_for_claim(1)
    process.complete(0, first)
    assert process.claim(0) == []  # it waits for the second one, but not for longer than before
    (third,) = process.wait_for_claim(0)
    process.complete(1, second)
    assert process.claim(1) == []
    process.complete(0, third)
    assert steps(process.claim(0, 10)) == ["bad"]
    check_consistency()


def test_another_queue_is_served_past_it() -> None:
    build("flow", {"a": []}, queue="other")
    worker = HandWorker(queues=["default", "other"])
    executor.start_flows("flow", [{}] * 3)
    (long,) = worker.claim()
    lose()
    assert worker.claim_in_another_thread() == []
    wait_until(lambda: steps(worker.claim_in_another_thread()) == ["a"], "the other queue")
    assert long.attempt == 1


def test_a_thread_that_claims_at_the_same_time_leaves_it_alone() -> None:
    build("flow", {"a": []})
    lose()
    executor.start_flow("flow", {})
    process = Process()
    with transaction.atomic():
        assert steps(process.claim(0)) == ["bad"]
        assert Background(lambda: process.claim(1)).result() == []
    assert process.claim(2) == []


def test_it_waits_for_a_thread_that_claims_at_the_same_time() -> None:
    build("flow", {"a": []})
    executor.start_flow("flow", {})
    process = Process()
    with transaction.atomic():
        assert steps(process.claim(0)) == ["a"]
        Background(lose).result()
        assert Background(lambda: process.claim(1)).result() == []
    assert process.claim(1) == []


def test_threads_of_a_process_work_on_beside_a_long_step(register: Register, settings: Any) -> None:
    settings.PGFLOW = {"LEASE_SECONDS": 4, "THREADS": 4, "POLL_INTERVAL": 0.05}
    build("long", {"wait": []})
    build("flow", {"a": []})
    lock, done, began = threading.Lock(), threading.Event(), threading.Event()
    ran: list[str] = []

    def wait(_: dict[str, Any]) -> None:
        began.set()
        lose()
        executor.start_flows("flow", [{}] * 20)
        wait_for(done, "what stands behind the task that must be alone")
        ran.append("wait")

    def a(_: dict[str, Any]) -> None:
        with lock:
            ran.append("a")
            if ran.count("a") == 20:
                done.set()

    register({"wait": wait, "a": a, "bad": lambda _: ran.append("bad")})
    executor.start_flow("long", {})
    assert executor.drain(timeout=60)
    assert ran == ["a"] * 20 + ["wait", "bad", "bad"]
    check_all_ended()
