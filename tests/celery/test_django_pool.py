"""Workers with Django's own pool of connections: large enough, or told so at the start."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pgflow_django import executor
from tests.celery import flows
from tests.celery.processes import worker
from tests.celery.test_pools import LOOPS, POOLS
from tests.engine.database import query
from tests.waiting import wait_until


def pooled(size: int, **more: int) -> dict[str, Any]:
    return {"OPTIONS": {"pool": {"max_size": size, "min_size": 1, **more}}, "CONN_MAX_AGE": 0}


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_that_needs_more_than_the_pool_has_says_so_and_ends(
    pool: str, tmp_path: Path
) -> None:
    needed = 2 if pool == "prefork" else 10
    with worker(tmp_path, pool=pool, concurrency=8, database=pooled(needed - 1)) as running:
        assert running.end() != 0
        log = running.log()
    assert f"needs {needed} connections at once, and Django's pool of the database " in log
    assert f"has at most {needed - 1}: set " in log
    assert ("or start the worker with -c 7." in log) is (pool != "prefork")


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_does_with_what_it_says_that_it_needs(pool: str, tmp_path: Path) -> None:
    slug = flows.over_input("work.hold", timeout=60)
    needed, gate = 2 if pool == "prefork" else 5, tmp_path / "gate"
    with worker(tmp_path, pool=pool, concurrency=3, database=pooled(needed)) as running:
        running.wait_ready(3 if pool == "prefork" else LOOPS[pool])
        run = executor.start_flow(
            slug, {"count": 3, "mark": str(tmp_path / "mark"), "gate": str(gate)}
        )
        for item in range(3):
            wait_until((tmp_path / f"mark{item}").exists, f"item {item} to begin")
        gate.touch()
        executor.wait(run.pk, timeout=30)
        assert running.stop() == 0
    assert "PoolTimeout" not in running.log()


@pytest.mark.slow
def test_children_that_take_the_place_of_others_leave_its_connections_to_their_parent(
    tmp_path: Path,
) -> None:
    slug, size = flows.mapped(), 6
    with worker(tmp_path, concurrency=2, database=pooled(size, min_size=size)) as running:
        running.wait_ready(2)
        wait_until(lambda: len(backends()) == 3 * size + 1, "three pools and a listener")
        all_, before = backends(), running.children()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(running.children() - before) == 2, "two new children")
        run = executor.start_flow(slug, {"count": 60})
        assert executor.wait(run.pk, timeout=30) == {"total": 60 * 59}
        wait_until(lambda: len(all_ & backends()) <= size + 1, "the connections of the killed")
        assert len(all_ & backends()) == size + 1
        assert running.stop() == 0


def backends() -> set[int]:
    """The server's processes for the connections of others to the tests' database."""
    rows = query(
        "select pid from pg_stat_activity where datname = current_database() "
        "and backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    return {pid for (pid,) in rows}
