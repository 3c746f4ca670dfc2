"""Runs that are paused end all the same, when what was under way is over."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_django import executor
from tests.engine.building import build, chain
from tests.engine.by_hand import COMPLETING, FAILING, pause, status
from tests.engine.conftest import Register
from tests.engine.database import step_statuses
from tests.engine.invariants import check_all_ended
from tests.engine.workers import HandWorker


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
    paused, other = executor.start_flows("flow", [{}, {}])

    def pause_first(input: dict[str, Any]) -> int:
        pause(paused)
        return 1

    register({"s0": pause_first, "s1": lambda _: 1, "s2": lambda _: 1})
    assert executor.drain(timeout=60)
    assert [status(paused.id), status(other.id)] == ["completed", "completed"]
    check_all_ended()
