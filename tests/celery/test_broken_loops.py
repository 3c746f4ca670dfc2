"""Loops that break are replaced, and a worker of which none works says so wherever one looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from pgflow_django import executor
from pgflow_django.runs.workers import list_workers
from tests.celery import flows
from tests.celery.processes import worker
from tests.celery.test_pools import LOOPS
from tests.engine.database import query
from tests.waiting import wait_until


@contextmanager
def without_claiming() -> Iterator[None]:
    """Let the function be missing that every loop calls, as after a migration gone wrong."""
    query("alter function pgflow.settle_and_claim rename to settle_and_claim_gone")
    try:
        yield
    finally:
        query("alter function pgflow.settle_and_claim_gone rename to settle_and_claim")


def served() -> set[str]:
    """The queues that live workers serve, as others see them."""
    return {queue for one in list_workers(using="default") for queue in one.queues}


def reason(run_id: UUID) -> str:
    """What a run waits for."""
    waiting = executor.get_run_status(run_id).waiting
    return "" if waiting is None else waiting.reason


@pytest.mark.slow
@pytest.mark.parametrize("pool", LOOPS)
def test_a_worker_that_can_serve_nothing_says_so_until_it_serves_again(
    pool: str, tmp_path: Path
) -> None:
    slug = flows.mapped()
    with worker(tmp_path, pool=pool) as running:
        running.wait_ready(LOOPS[pool])
        with without_claiming():
            run = executor.start_flow(slug, {"count": 3})
            running.wait_logged("another takes its place")
            running.wait_logged("serves nothing")
            # Now and then a new loop tries.
            wait_until(lambda: not served(), "the worker to serve no queue")
            wait_until(lambda: reason(run.id) == "no_worker", "the run to say so")
        assert executor.wait(run.id, timeout=60) == {"total": 6}
        running.wait_logged("serves its queues again")
        wait_until(lambda: "default" in served(), "the worker to serve its queues")
        assert running.stop() == 0
