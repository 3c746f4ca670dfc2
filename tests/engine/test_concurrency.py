"""Everything at once, on the same runs: no deadlock escapes, and nothing is lost or done twice."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from pgflow_django import executor
from pgflow_django.exceptions import ActionRefused, InvalidOutput, LeaseLost, RunNotRetryable
from pgflow_django.models import WorkflowRun
from pgflow_django.worker.claimed import ClaimedTask, iterate
from tests.engine.audit import audited
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import messages, query, step_statuses, value
from tests.engine.effort import EFFORT
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.threads import at_once
from tests.engine.workers import HandWorker, sweep


@pytest.fixture(autouse=True)
def witness(transactional_db: None) -> Iterator[None]:
    """Watch every move of every task, and that nobody has to be saved from a deadlock."""
    before = deadlocks()
    with audited():
        yield
    assert deadlocks() == before


def deadlocks() -> int:
    """How many deadlocks the server has had to break in this database."""
    return int(value("select deadlocks from pg_stat_database where datname = current_database()"))


def settle(worker: HandWorker, tasks: list[ClaimedTask]) -> Callable[[], int]:
    return lambda: worker.complete(*tasks, output=[task.index for task in tasks])


@pytest.mark.parametrize("attempt", range(4))
def test_leaf_steps_that_finish_at_the_same_instant_all_are_in_the_output(attempt: int) -> None:
    steps = [f"s{i}" for i in range(6)]
    build("flow", {step: [] for step in steps})
    runs = executor.start_flows("flow", [{}] * 4)
    workers = [HandWorker(functions=[step]) for step in steps]
    claimed = [worker.claim(10) for worker in workers]
    assert (
        at_once([settle(worker, tasks) for worker, tasks in zip(workers, claimed, strict=True)])
        == [4] * 6
    )
    for run in runs:
        assert sorted(executor.wait(run.id, timeout=0)) == steps
    for worker in workers:
        worker.leave()
    check_all_ended()


@pytest.mark.parametrize("attempt", range(4))
def test_a_step_starts_once_when_all_its_dependencies_finish_at_the_same_instant(
    attempt: int,
) -> None:
    sides = [f"s{i}" for i in range(6)]
    build("flow", {**{side: [] for side in sides}, "join": sides, "wide*": ["s0"]})
    runs = executor.start_flows("flow", [{}] * 3)
    workers = [HandWorker(functions=[side]) for side in sides]
    claimed = [worker.claim(10) for worker in workers]
    at_once([settle(worker, tasks) for worker, tasks in zip(workers, claimed, strict=True)])
    for run in runs:
        assert step_statuses(run.id)["join"] == "started"
    assert value("select count(*) from workflow_step_tasks where step_slug = 'join'") == 3
    check_consistency()


@pytest.mark.parametrize("attempt", range(4))
def test_parts_of_a_map_that_finish_at_the_same_instant_complete_it_once(attempt: int) -> None:
    build("flow", {"each*": [], "after": ["each"]})
    run = executor.start_flow("flow", list(range(60)))
    worker = HandWorker(functions=["each"])
    parts = [worker.claim_in_another_thread(10) for _ in range(6)]
    assert at_once([settle(HandWorker(), part) for part in parts]) == [10] * 6
    assert step_statuses(run.id) == {"each": "completed", "after": "started"}
    check_consistency()


@pytest.mark.parametrize("attempt", range(4))
def test_batches_with_the_same_runs_in_opposite_orders_settle_without_an_error(
    attempt: int,
) -> None:
    build("flow", {"a*": [], "b*": [], "join": ["a", "b"]})
    runs = executor.start_flows("flow", [[1, 2, 3, 4]] * 8)
    worker = HandWorker(functions=["a", "b"])
    tasks: list[ClaimedTask] = []
    while part := worker.claim_in_another_thread(100):
        tasks.extend(part)
    assert len(tasks) == 64
    shuffled = [[task for task in tasks if task.index == index] for index in range(4)]
    for index, batch in enumerate(shuffled):
        batch.sort(key=lambda t: (t.group.run_id, t.group.step_slug), reverse=index % 2 == 0)
    assert at_once([settle(HandWorker(), batch) for batch in shuffled]) == [16] * 4
    assert {step_statuses(run.id)["join"] for run in runs} == {"started"}
    check_consistency()


@pytest.mark.parametrize("rival", ["cancel", "fail", "release", "sweep"])
def test_a_result_and_its_rival_at_the_same_instant_count_once(rival: str) -> None:
    build("flow", {"each*": [], "after": ["each"]}, max_attempts=1)
    for _ in range(6):
        run = executor.start_flow("flow", [1, 2, 3])
        worker = HandWorker(functions=["each"])
        tasks = worker.claim(3)
        rivals: dict[str, Callable[[], Any]] = {
            "cancel": lambda run=run: executor.cancel_run(run.id),
            "fail": lambda worker=worker, tasks=tasks: worker.fail(*tasks),
            "release": lambda worker=worker, tasks=tasks: worker.release(*tasks),
            "sweep": sweep,
        }
        if rival == "sweep":
            worker.die()
        accepted, _ = at_once([settle(worker, tasks), rivals[rival]])
        assert accepted in (0, 3)
        check_consistency()
        executor.cancel_run(run.id)


class Chaos:
    """One thread that does anything that anybody may do, in an order of its own."""

    def __init__(self, seed: int, runs: list[Any]) -> None:
        self.random = random.Random(seed)
        self.runs = runs
        self.worker = HandWorker()
        self.held: list[ClaimedTask] = []

    def __call__(self) -> None:
        moves = [self.claim] * 6 + [self.settle] * 6 + [self.fail] * 2 + [self.release]
        moves += [self.cancel, self.retry, self.sweep, self.die, self.start]
        moves += [self.pause] * 2 + [self.resume] * 3
        moves += [self.skip, self.complete, self.retry_one, self.retry_now, self.rerun]
        for _ in range(70):
            try:
                self.random.choice(moves)()
            except LeaseLost:
                self.worker, self.held = HandWorker(), []
        self.worker.leave()

    def some(self) -> list[ClaimedTask]:
        self.random.shuffle(self.held)
        count = self.random.randint(0, len(self.held))
        some, self.held = self.held[:count], self.held[count:]
        return some

    def claim(self) -> None:
        if not self.held:
            self.held = self.worker.claim(self.random.choice([1, 3, 30]))

    def settle(self) -> None:
        some = self.some()
        settled = self.worker.exchange(
            [(task, [task.index] * 3) for task in some],
            0 if self.held else self.random.choice([0, 1, 10]),
        )
        if settled.groups:
            self.held = list(iterate(settled))

    def fail(self) -> None:
        self.worker.fail(*self.some(), permanent=self.random.random() < 0.1, delay=0)

    def release(self) -> None:
        self.worker.release(*self.some())

    def cancel(self) -> None:
        executor.cancel_run(self.random.choice(self.runs).id)

    def retry(self) -> None:
        with contextlib.suppress(RunNotRetryable):
            executor.retry_run(self.random.choice(self.runs).id)

    def pause(self) -> None:
        with contextlib.suppress(ActionRefused):
            executor.pause_run(self.random.choice(self.runs).id)

    def resume(self) -> None:
        with contextlib.suppress(ActionRefused):
            executor.resume_run(self.random.choice(self.runs).id)

    def skip(self) -> None:
        run, step, index = self.some_task()
        with contextlib.suppress(ActionRefused):
            executor.skip_step(
                run,
                step,
                index=index,
                downstream=self.random.random() < 0.3,
                hold=self.random.random() < 0.3,
            )

    def complete(self) -> None:
        run, step, index = self.some_task()
        with contextlib.suppress(ActionRefused, InvalidOutput):
            executor.complete_step(run, step, [1, 2, 3], index=index)

    def retry_one(self) -> None:
        run, step, index = self.some_task()
        with contextlib.suppress(ActionRefused, RunNotRetryable):
            executor.retry_run(run, step=step, index=index)

    def retry_now(self) -> None:
        with contextlib.suppress(ActionRefused):
            executor.retry_now(self.random.choice(self.runs).id)

    def rerun(self) -> None:
        run, step, _ = self.some_task()
        with contextlib.suppress(ActionRefused):
            self.runs.append(executor.rerun(run, from_step=self.random.choice([None, step])))

    def some_task(self) -> tuple[UUID, str, int | None]:
        """A step of some run, and one of its tasks or none."""
        run = self.random.choice(self.runs).id
        steps = sorted(step_statuses(run))
        return run, self.random.choice(steps), self.random.choice([None, 0, 1, 2])

    def sweep(self) -> None:
        sweep()

    def die(self) -> None:
        if self.random.random() < 0.3:
            self.worker.die()

    def start(self) -> None:
        self.runs.append(executor.start_flow("mixed", [1, 2, 3]))


@pytest.mark.parametrize("seed", range(1, 1 + 3 * EFFORT))
def test_anything_at_once_leaves_everything_consistent(seed: int, register: Register) -> None:
    build(
        "mixed",
        {"each*": [], "again*": ["each"], "side": ["each"], "join": ["again", "side"]},
        max_attempts=3,
    )
    build("wide", {"root": [], **{f"p{i}": ["root"] for i in range(8)}, "end": ["p0", "p7"]})
    runs = [*executor.start_flows("mixed", [list(range(n)) for n in range(0, 30, 6)])]
    runs += executor.start_flows("wide", [{}] * 5)
    at_once([Chaos(seed * 100 + n, runs) for n in range(5)], patience=60)
    check_consistency()
    names = ["each", "again", "side", "join", "root", "end", *(f"p{i}" for i in range(8))]
    register({name: lambda input: [1] for name in names})
    query("update workflow_workers set lease_until = '-infinity'")
    assert executor.drain(timeout=60)
    for run in WorkflowRun.objects.filter(status="paused"):
        assert not messages(run.id)
        executor.resume_run(run.id)
    assert executor.drain(timeout=60)
    check_all_ended()
    live = WorkflowRun.objects.exclude(status__in=["completed", "failed", "cancelled"])
    assert not live.exists()
