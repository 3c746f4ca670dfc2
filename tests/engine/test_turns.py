"""No run keeps a worker for itself: what has waited longer has its turn between two steps."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pgflow_django import executor
from pgflow_django.engine import Settled
from tests.engine.building import build, chain
from tests.engine.conftest import Register
from tests.engine.database import task_statuses
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.workers import HandWorker


@pytest.mark.parametrize("seconds", [0.03, 0.015, 0.004])
def test_a_run_that_starts_beside_a_long_chain_does_not_wait_for_its_end(
    seconds: float, register: Register, settings: Any
) -> None:
    settings.PGFLOW = {"THREADS": 1}
    count = int(0.6 / seconds)
    build("long", chain(count))
    build("other", {"only": []})
    order: list[str] = []

    def work(input: dict[str, Any]) -> None:
        order.append("long")
        if len(order) == count // 4:
            executor.start_flow("other", {})
        time.sleep(seconds)  # what the step does

    register(dict.fromkeys(chain(count), work) | {"only": lambda _: order.append("other")})
    executor.start_flow("long", {})
    assert executor.drain(timeout=60)
    # Steps of 20 ms or more give way at once, shorter ones after that time.
    assert order.index("other") - count // 4 <= 1 + 4 * 0.02 / seconds
    check_all_ended()


def test_a_run_in_process_gives_way_to_nobody(register: Register, settings: Any) -> None:
    settings.PGFLOW = {"THREADS": 1}
    build("long", chain(3))
    output = executor.execute_dynamic(
        "long", {}, dict.fromkeys(chain(3), lambda _: time.sleep(0.03))
    )
    assert output == {"s2": None}


def steps(settled: Settled) -> list[tuple[str, str]]:
    return [(group.workflow_slug, group.step_slug) for group in settled.groups for _ in group.tasks]


@pytest.mark.parametrize("poll", [True, False])
def test_a_child_that_is_not_fed_waits_behind_what_is_there(poll: bool) -> None:
    build("first", chain(3))
    build("second", chain(3))
    run = executor.start_flow("first", {})
    worker = HandWorker()
    (task,) = worker.claim(1)
    executor.start_flow("second", {})
    settled = worker.exchange([(task, 1)], 1, poll=poll, feed=False)
    assert steps(settled) == [("second", "s0")]
    assert task_statuses(run.id, "s1") == ["queued"]
    check_consistency()


@pytest.mark.parametrize("poll", [True, False])
def test_a_child_that_is_not_fed_is_claimed_by_the_same_call_where_nothing_else_waits(
    poll: bool,
) -> None:
    build("first", chain(3))
    executor.start_flow("first", {})
    worker = HandWorker()
    (task,) = worker.claim(1)
    settled = worker.exchange([(task, 1)], 1, poll=poll, feed=False)
    assert steps(settled) == [("first", "s1")]
    check_consistency()


@pytest.mark.parametrize("wanted", [1, 10])
def test_where_it_looks_into_the_queues_a_place_is_left_for_what_waits_there(wanted: int) -> None:
    build("wide", {"root": [], **{f"side{i}": ["root"] for i in range(5)}})
    build("second", chain(2))
    executor.start_flow("wide", {})
    worker = HandWorker()
    (task,) = worker.claim(1)
    executor.start_flow("second", {})
    settled = worker.exchange([(task, 1)], wanted)
    assert len(steps(settled)) == min(wanted, 6)
    assert ("second", "s0") in steps(settled)
    check_consistency()


def test_a_chain_that_is_short_is_handed_on_past_the_queues() -> None:
    build("first", chain(3))
    build("second", chain(3))
    executor.start_flow("first", {})
    worker = HandWorker()
    (task,) = worker.claim(1)
    executor.start_flow("second", {})
    assert steps(worker.exchange([(task, 1)], 1, poll=False)) == [("first", "s1")]
