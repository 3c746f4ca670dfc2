"""Attempts that failed and attempts that were cut off, each in its round of the run."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from pgflow_django import executor, explain_run
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from pgflow_django.runs.view import load
from tests.engine.building import build, chain
from tests.engine.conftest import Register
from tests.engine.database import query
from tests.engine.workers import HandWorker
from tests.waiting import wait_until


def attempts_of(run: UUID) -> list[tuple[str, int, int, int, str]]:
    """Step, task, round, attempt and code, in order."""
    found = WorkflowTaskAttempt.objects.filter(run_id=run).order_by("id")
    return [*found.values_list("step_slug", "task_index", "round", "attempt", "code")]


def test_attempts_of_two_rounds_are_told_apart() -> None:
    build("flow", chain(1), max_attempts=1)
    run = executor.start_flow("flow", {}).id
    worker = HandWorker()
    worker.fail(*worker.claim())
    executor.retry_run(run)
    worker.fail(*worker.claim())
    assert attempts_of(run) == [("s0", 0, 0, 1, "step_failed"), ("s0", 0, 1, 1, "step_failed")]
    assert WorkflowRun.objects.get(pk=run).round == 1
    (step,) = load(run, using="default").steps
    assert step.failures == 1


def test_what_runs_when_its_run_ends_leaves_an_attempt() -> None:
    build("flow", {"bad": [], "wide*": []}, max_attempts=1, options={"wide": {"initial_tasks": 3}})
    run = executor.start_flow("flow", {}).id
    beside, worker = HandWorker(functions=["wide"]), HandWorker(functions=["bad"])
    held = beside.claim(2)
    (bad,) = worker.claim()
    worker.fail(bad)
    assert beside.complete(*held, output=1) == 0
    cut_off = [("wide", 0, 0, 1, "cancelled"), ("wide", 1, 0, 1, "cancelled")]
    assert attempts_of(run) == [("bad", 0, 0, 1, "step_failed"), *cut_off]
    ended = WorkflowTaskAttempt.objects.filter(code="cancelled").first()
    assert ended is not None
    assert ended.error_message == "cut off: the run was failed"
    assert (ended.started_at is None, ended.retry_at) == (False, None)
    # They have not failed, and nobody is told that they have.
    bad_view, wide = load(run, using="default").steps
    assert (bad_view.failures, wide.failures, wide.error) == (1, 0, "")
    explanation = explain_run(run)
    assert [attempt.step for attempt in explanation.attempts] == ["bad"]


def test_a_cancelled_run_cuts_off_what_runs_once() -> None:
    build("flow", chain(2), max_attempts=2)
    run = executor.start_flow("flow", {}).id
    worker = HandWorker()
    worker.claim()
    executor.cancel_run(run)
    executor.cancel_run(run)
    assert attempts_of(run) == [("s0", 0, 0, 1, "cancelled")]
    executor.retry_run(run)
    (task,) = worker.claim()
    assert worker.complete(task, output=1) == 1
    assert load(run, using="default").steps[0].failures == 0


def one(input: dict[str, Any]) -> int:
    return 1


def test_updates_of_the_hot_tables_stay_in_place(register: Register) -> None:
    """An index that names a column which changes, also in its predicate, would end that."""
    build("chains", chain(3))
    register({f"s{index}": one for index in range(3)})
    for table in ("workflow_runs", "workflow_step_states", "workflow_step_tasks"):
        query(f"vacuum {table}")  # what other tests have left takes the room on its pages
    before = count_updates()
    runs = 150
    for _ in range(runs):
        executor.start_flow("chains", {})
        assert executor.drain()
    expected = runs * 4  # of tasks: the first of a run is claimed, and each is settled

    def read() -> dict[str, tuple[int, int]] | None:
        query("select pg_stat_clear_snapshot()")
        now = count_updates()
        found = {name: (now[name][0] - n, now[name][1] - hot) for name, (n, hot) in before.items()}
        return found if found["workflow_step_tasks"][0] >= expected else None

    found = wait_until(read, "the server's statistics")
    assert found is not None
    updates, in_place = found["workflow_step_tasks"]
    # The sessions of other tests may hand in some of theirs late; an index would leave none.
    assert in_place >= updates * 0.9, found
    updates, in_place = found["workflow_runs"]
    assert in_place >= (updates - runs) * 0.9, found  # all but the last of each run
    updates, in_place = found["workflow_step_states"]
    assert in_place >= updates * 0.8, found  # nine in ten, where nobody else counts


def count_updates() -> dict[str, tuple[int, int]]:
    """Updates of each table, and those in place."""
    rows = query(
        "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname in"
        " ('workflow_runs', 'workflow_step_states', 'workflow_step_tasks')"
    )
    return {name: (updates, hot) for name, updates, hot in rows}


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("key = 'k17'", "run_key_is_unique_in_its_workflow"),
        ("status = 'failed' order by id desc limit 51", "workflow_runs_unhappy"),
        ("parent_run_id = '01a20551-fe00-7df3-af3d-bec5f6bc8dcd'", "workflow_runs_children"),
        ("rerun_of = '01a20551-fe00-7df3-af3d-bec5f6bc8dcd'", "workflow_runs_reruns"),
    ],
)
def test_what_people_look_for_has_an_index(condition: str, index: str) -> None:
    build("chains", chain(1))
    executor.start_flows("chains", [{}] * 3000)
    executor.start_flow("chains", {}, key="k17")
    query("analyze workflow_runs")
    rows = query(f"explain select id from workflow_runs where {condition}")
    plan = "\n".join(row[0] for row in rows)
    assert index in plan
    assert "Seq Scan" not in plan
