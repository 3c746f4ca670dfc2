"""Every pool of Celery runs flows, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgflow_django import executor
from pgflow_django.models import WorkflowWorker
from tests.celery import flows
from tests.celery.processes import worker
from tests.engine.database import messages, value
from tests.waiting import wait_until

#: Loops that a pool of two has.
LOOPS = {"prefork": 2, "threads": 1, "gevent": 1, "solo": 1}
#: As parameters: the pool that nearly all workers have, and the others where there is time.
POOLS = ("prefork", *(pytest.param(pool, marks=pytest.mark.slow) for pool in list(LOOPS)[1:]))


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_runs_flows_and_leaves_nothing_behind(pool: str, tmp_path: Path) -> None:
    slug = flows.mapped()
    with worker(tmp_path, pool=pool) as running:
        running.wait_ready(LOOPS[pool])
        runs = executor.start_flows(slug, [{"count": count} for count in (0, 1, 300)])
        outputs = [executor.wait(run.id, timeout=30) for run in runs]
        assert outputs == [{"total": n * (n - 1)} for n in (0, 1, 300)]
        assert running.stop() == 0
    assert not WorkflowWorker.objects.exists()
    assert not messages()
    assert value("select count(*) from workflow_claims") == 0


@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_steps_run_beside_one_another_in_one_process(pool: str, tmp_path: Path) -> None:
    slug = flows.over_input("work.hold", timeout=60)
    with worker(tmp_path, pool=pool, concurrency=3) as running:
        running.wait_ready(1)
        run = executor.start_flow(
            slug, {"count": 3, "mark": str(tmp_path / "mark"), "gate": str(tmp_path / "gate")}
        )
        for item in range(3):
            wait_until((tmp_path / f"mark{item}").exists, f"item {item} to begin")
        (tmp_path / "gate").touch()
        assert executor.wait(run.id, timeout=30) == {"each": [running.pid] * 3}


def test_a_flow_in_code_is_stored_by_the_worker_that_starts(tmp_path: Path) -> None:
    with worker(tmp_path, concurrency=1) as running:
        running.wait_ready(1)
        run = executor.start_flow("worker_flow")
        assert executor.wait(run.id, timeout=30) == {"one": 1}
