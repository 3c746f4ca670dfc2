"""A step's timeout stops Python code in the child, and a child that is stuck in C from outside."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pgflow_django import RunFailed, executor
from pgflow_django.models import WorkflowTaskAttempt
from tests.celery import flows
from tests.celery.processes import worker
from tests.engine.database import attempts_counts, task_statuses
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_python_code_is_stopped_in_its_process(pool: str, tmp_path: Path) -> None:
    slug = flows.single("work.spin", timeout=1, max_attempts=1)
    loops = 1
    with worker(tmp_path, pool=pool, concurrency=1) as running:
        before = running.wait_ready(loops).children()
        with pytest.raises(RunFailed, match="longer than its timeout of 1 s"):
            executor.wait(executor.start_flow(slug).id, timeout=30)
        assert running.children() == before


@pytest.mark.parametrize("keeps_gil", [pytest.param(False, marks=pytest.mark.slow), True])
def test_code_stuck_in_c_costs_its_own_attempt_and_no_others(
    keeps_gil: bool, tmp_path: Path
) -> None:
    slug = flows.over_input("work.stuck", timeout=1, max_attempts=1)
    with worker(tmp_path, concurrency=1) as running:
        before = running.wait_ready(1).children()
        run = executor.start_flow(slug, {"count": 4, "keeps_gil": keeps_gil})
        began = time.monotonic()
        with pytest.raises(RunFailed, match="timeout"):
            executor.wait(run.id, timeout=30)
        assert time.monotonic() - began < 10
        wait_until(lambda: running.children() and not before & running.children(), "a new child")
        assert "still running 1 s after its timeout" in running.log()
    attempts = WorkflowTaskAttempt.objects.failed().filter(run_id=run.id)
    assert [(a.task_index, a.code, a.attempt) for a in attempts] == [(1, "step_timeout", 1)]
    assert task_statuses(run.id, "each")[1] == "failed"


@pytest.mark.parametrize("keeps_gil", [pytest.param(False, marks=pytest.mark.slow), True])
def test_siblings_of_a_stuck_step_spend_no_attempt_on_it(keeps_gil: bool, tmp_path: Path) -> None:
    slug = flows.over_input("work.stuck", timeout=1, max_attempts=2)
    with worker(tmp_path, concurrency=2) as running:
        running.wait_ready(2)
        run = executor.start_flow(slug, {"count": 20, "keeps_gil": keeps_gil})
        with pytest.raises(RunFailed, match="timeout"):
            executor.wait(run.id, timeout=30)
    counts = attempts_counts(run.id, "each")
    assert counts[1] == 2
    assert max(counts[:1] + counts[2:]) == 1
