"""How long it takes until lost work goes on, and what a task that kills its process costs."""

from __future__ import annotations

import time
from pathlib import Path

from pgflow_django import executor
from pgflow_django.models import WorkflowStepTask, WorkflowTaskAttempt
from tests.celery import flows
from tests.celery.processes import worker
from tests.chaos.conftest import Tell
from tests.chaos.fleet import LEASE, STEPS
from tests.waiting import wait_until


def test_a_new_worker_takes_up_what_a_killed_one_was_running(tmp_path: Path, tell: Tell) -> None:
    mark, gate = tmp_path / "mark", tmp_path / "gate"
    slug = flows.single("work.hold", timeout=600)
    run = executor.start_flow(slug, {"mark": str(mark), "gate": str(gate)})
    with worker(tmp_path, *STEPS, name="first", LEASE_SECONDS=LEASE) as first:
        wait_until(mark.exists, "the step to begin")
        first.wait_ready(2)
        first.kill_all()
    killed_at = time.monotonic()
    mark.unlink()
    with worker(tmp_path, *STEPS, name="second", LEASE_SECONDS=LEASE) as second:
        second.wait_ready(2)
        ready_at = time.monotonic()
        wait_until(mark.exists, "the step to begin again")
        took, after_start = time.monotonic() - killed_at, time.monotonic() - ready_at
        gate.touch()
        executor.wait(run.id, timeout=30)
    tell(
        f"lease {LEASE:g} s, step timeout 600 s: {took:.1f} s after the kill, "
        f"{after_start:.1f} s after the new worker was up"
    )
    # The new worker's own start (seconds of imports on a busy machine) is not the engine's.
    assert after_start < LEASE + 2


def test_a_poison_task_exhausts_its_own_attempts_and_nobody_elses(
    tmp_path: Path, tell: Tell
) -> None:
    slug = flows.over_input("chaos.poison", max_attempts=3)
    run = executor.start_flow(slug, {"count": 1000})
    with worker(tmp_path, *STEPS, LEASE_SECONDS=LEASE):
        wait_until(lambda: executor.get_run_status(run.id).has_ended, "the run", patience=90)
    status = executor.get_run_status(run.id)
    assert status.error is not None
    assert (status.error["code"], status.error["task_index"]) == ("worker_lost", 500)
    spent = WorkflowTaskAttempt.objects.filter(run_id=run.id).values_list("task_index", flat=True)
    assert list(spent) == [500, 500, 500]
    others = WorkflowStepTask.objects.filter(run_id=run.id).exclude(task_index=500)
    assert max(others.values_list("attempts_count", flat=True)) == 1
    completed = others.filter(status="completed").count()
    tell(f"3 attempts of task 500, none lost by others; {completed} of 1,001 completed before")
