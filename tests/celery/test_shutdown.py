"""A worker ends in time, whatever it is doing when it is told to."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pgflow_django import executor
from pgflow_django.models import WorkflowTaskAttempt, WorkflowWorker
from tests.celery import flows
from tests.celery.processes import Worker, worker
from tests.engine.database import task_statuses
from tests.waiting import wait_until

#: Seconds: less than a supervisor gives a service to end.
IN_TIME = 15.0


def end_in_time(running: Worker, seconds: float = IN_TIME) -> None:
    """SIGTERM, and the end within these seconds."""
    began = time.monotonic()
    running.terminate()
    assert running.popen.wait(60) == 0, running.log()
    took = time.monotonic() - began
    assert took < seconds, f"{took:.1f} s: {running.log()}"


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_step_stuck_in_c_holds_a_warm_shutdown_up_no_longer_than_its_timeout(
    pool: str, tmp_path: Path
) -> None:
    slug = flows.over_input("work.stuck", timeout=3, max_attempts=1)
    with worker(tmp_path, pool=pool, concurrency=1) as running:
        running.wait_ready(1)
        run = executor.start_flow(slug, {"count": 2, "keeps_gil": False})
        wait_until(lambda: task_statuses(run.id, "each")[1:] == ["started"], "the step to begin")
        end_in_time(running)
    attempts = WorkflowTaskAttempt.objects.filter(run_id=run.id)
    assert [(a.task_index, a.code) for a in attempts] == [(1, "step_timeout")]
    assert not WorkflowWorker.objects.exists()
