"""A worker ends in time, whatever it is doing when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pgflow_django import executor
from pgflow_django.models import WorkflowTaskAttempt, WorkflowWorker
from tests.celery import flows
from tests.celery.processes import Worker, worker
from tests.celery.proxy import by_tcp
from tests.engine.database import task_statuses
from tests.waiting import wait_until

#: Seconds: less than a supervisor gives a service to end.
IN_TIME = 15.0
#: The same without a database: connecting may take ten of them, and good manners five.
WITHOUT_DATABASE = 30.0


def end_in_time(running: Worker, seconds: float = IN_TIME) -> None:
    """SIGTERM, and the end within these seconds."""
    began = time.monotonic()
    running.terminate()
    assert running.popen.wait(60) == 0, running.log()
    took = time.monotonic() - began
    assert took < seconds, f"{took:.1f} s: {running.log()}"


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_sigterm_before_it_is_up_ends_it_too(pool: str, tmp_path: Path) -> None:
    # From its first line in the log (before that Python itself ends) to when it is ready.
    for number, text in enumerate(["[config]", "pgflow serves", "ready."]):
        with worker(tmp_path, pool=pool, name=f"worker{number}") as running:
            running.wait_logged(text)
            end_in_time(running)
            assert "Traceback" not in running.log()
    wait_until(lambda: not WorkflowWorker.objects.exists(), "the rows to go")


@contextmanager
def refusing() -> Iterator[dict[str, Any]]:
    """A database that is down."""
    with by_tcp(has_notifications=True) as (address, _):
        pass
    yield address


@contextmanager
def silent() -> Iterator[dict[str, Any]]:
    """A database behind a network that swallows everything."""
    with by_tcp(has_notifications=True) as (address, cut):
        cut.set()
        yield address
        cut.clear()


@pytest.mark.slow
@pytest.mark.parametrize("database", [refusing, silent])
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_sigterm_ends_a_worker_that_never_reached_its_database(
    pool: str, database: Callable[[], AbstractContextManager[dict[str, Any]]], tmp_path: Path
) -> None:
    with database() as address, worker(tmp_path, pool=pool, database=address) as running:
        running.wait_logged("ready.")
        end_in_time(running, WITHOUT_DATABASE)
        assert "Traceback" not in running.log()


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
