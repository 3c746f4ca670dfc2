"""Processes and connections are lost at any moment; the work is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from pgflow_django import executor
from pgflow_django.models import WorkflowStepTask, WorkflowWorker
from tests.celery import flows
from tests.celery.processes import worker
from tests.celery.test_pools import POOLS
from tests.engine.database import attempts_counts, query
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

LEASE = 3.0


class Held:
    """A run of one step that waits for a file, seen to run in a process."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.mark, self.gate = folder / "mark", folder / "gate"
        slug = flows.single("work.hold", timeout=60, **options)
        self.run = executor.start_flow(slug, {"mark": str(self.mark), "gate": str(self.gate)})

    def wait_begun(self) -> int:
        """The process that it runs in."""
        wait_until(lambda: self.mark.exists() and self.mark.read_text(), "the step to begin")
        return int(self.mark.read_text())

    def finish(self) -> int:
        """Let it end; the process that ran it."""
        self.gate.touch()
        output: int = executor.wait(self.run.id, timeout=30)["only"]
        return output


def test_a_child_that_is_killed_is_replaced_and_its_work_runs_at_once(tmp_path: Path) -> None:
    held = Held(tmp_path)
    with worker(tmp_path, LEASE_SECONDS=600) as running:
        child = held.wait_begun()
        held.mark.unlink()
        os.kill(child, signal.SIGKILL)
        assert held.wait_begun() != child
        held.finish()
        running.wait_ready(2)
        assert child not in running.children()
    assert attempts_counts(held.run.id, "only") == [2]


def test_work_of_a_killed_child_runs_as_soon_as_another_sweep_is_over(tmp_path: Path) -> None:
    held = Held(tmp_path)
    with worker(tmp_path, LEASE_SECONDS=600) as running:
        child = held.wait_begun()
        held.mark.unlink()
        with transaction.atomic():
            query("select pg_advisory_xact_lock(hashtext('pgflow.sweep'))")
            os.kill(child, signal.SIGKILL)
            running.wait_logged("what it had claimed is delivered again")
            # The row is written before the sweep is tried.
            wait_until(
                lambda: query("select 1 from workflow_workers where lease_until = 'epoch'"),
                "the loss to be noted",
            )
        assert held.wait_begun() != child
        held.finish()


def test_a_parked_child_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with worker(tmp_path) as running:
        before = running.wait_ready(2).children()
        os.kill(min(before), signal.SIGKILL)
        wait_until(
            lambda: len(running.children()) == 2 and min(before) not in running.children(),
            "another child",
        )


def test_children_of_a_parent_that_is_killed_end_and_hand_back(tmp_path: Path) -> None:
    held = Held(tmp_path)
    with worker(tmp_path, name="first", LEASE_SECONDS=LEASE) as first:
        child = held.wait_begun()
        first.kill()
        held.finish()
        wait_until(lambda: not _is_alive(child), "the orphan to end")
        # At most the row of the dead parent is left, until somebody sweeps.
        assert {row.pid for row in first.rows()} <= {first.pid}
    with worker(tmp_path, name="second", LEASE_SECONDS=LEASE) as second:
        wait_until(lambda: not first.rows(), "the sweep")
        second.wait_ready(2)


def test_work_of_a_worker_that_is_gone_returns_when_its_lease_ends(tmp_path: Path) -> None:
    held = Held(tmp_path)
    with worker(tmp_path, name="first", LEASE_SECONDS=LEASE) as first:
        child = held.wait_begun()
        held.mark.unlink()
        first.kill_all()
    with worker(tmp_path, name="second", LEASE_SECONDS=LEASE):
        assert held.wait_begun() != child
        held.finish()
    assert attempts_counts(held.run.id, "only") == [2]


@pytest.mark.parametrize("pool", POOLS[:2])
def test_a_warm_shutdown_finishes_what_runs_and_hands_back_what_waits(
    pool: str, tmp_path: Path
) -> None:
    held = Held(tmp_path)
    with worker(tmp_path, pool=pool, concurrency=1, LEASE_SECONDS=600) as running:
        child = held.wait_begun()
        slug = flows.mapped()
        waiting = executor.start_flow(slug, {"count": 50})
        running.terminate()
        running.wait_logged("Warm shutdown")
        assert held.finish() == child
        assert running.end() == 0
    assert not WorkflowWorker.objects.exists()
    assert not WorkflowStepTask.objects.filter(status="started").exists()
    with worker(tmp_path, name="second"):
        assert executor.wait(waiting.id, timeout=30) == {"total": 50 * 49}


@pytest.mark.slow
def test_a_cold_shutdown_hands_back_what_ran_without_spending_its_attempt(tmp_path: Path) -> None:
    held = Held(tmp_path)
    with worker(tmp_path, concurrency=1, LEASE_SECONDS=600) as running:
        child = held.wait_begun()
        held.mark.unlink()
        running.popen.send_signal(signal.SIGQUIT)
        running.end()
        wait_until(lambda: not _is_alive(child), "the child to end")
    with worker(tmp_path, name="second", LEASE_SECONDS=600):
        held.wait_begun()
        held.finish()


@pytest.mark.parametrize("pool", POOLS[:2])
def test_a_worker_survives_the_end_of_every_connection(pool: str, tmp_path: Path) -> None:
    slug = flows.mapped()
    with worker(tmp_path, pool=pool) as running:
        running.wait_ready(2 if pool == "prefork" else 1)
        for _ in range(3):
            runs = executor.start_flows(slug, [{"count": 100}] * 5)
            _terminate_all_others()
            for run in runs:
                assert executor.wait(run.id, timeout=30) == {"total": 100 * 99}
        assert "Traceback" not in running.log()
        assert running.stop() == 0
    assert not WorkflowWorker.objects.exists()


def test_a_worker_that_has_lost_its_lease_registers_anew(tmp_path: Path) -> None:
    slug = flows.mapped()
    with worker(tmp_path, LEASE_SECONDS=LEASE) as running:
        before = {row.id for row in running.wait_ready(2).rows()}
        query("delete from workflow_workers")
        run = executor.start_flow(slug, {"count": 100})
        assert executor.wait(run.id, timeout=30) == {"total": 100 * 99}
        wait_until(running.rows, "a row")
        assert not before & {row.id for row in running.rows()}


@pytest.mark.parametrize("pool", POOLS[:2])
def test_parked_loops_whose_lease_is_lost_register_anew(pool: str, tmp_path: Path) -> None:
    rows = 3 if pool == "prefork" else 2
    with worker(tmp_path, pool=pool, LEASE_SECONDS=LEASE) as running:
        before = {row.id for row in running.wait_ready(rows - 1).rows()}
        wait_until(lambda: any(row.is_asleep for row in running.rows()), "it to sleep")
        query("delete from workflow_workers")
        wait_until(lambda: len(running.rows()) == rows, "all to be there again")
        assert not before & {row.id for row in running.rows()}


def _terminate_all_others() -> None:
    query(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
