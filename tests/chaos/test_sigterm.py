"""A worker ends in time, however early it is told to, and without its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pgflow_django.models import WorkflowWorker
from tests.celery.processes import worker
from tests.celery.proxy import by_tcp
from tests.celery.test_shutdown import end_in_time
from tests.waiting import wait_until

#: Seconds to end without a database: connecting may take ten of them, and good manners five.
WITHOUT_DATABASE = 30.0


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


@pytest.mark.parametrize("database", [refusing, silent])
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_sigterm_ends_a_worker_that_never_reached_its_database(
    pool: str, database: Callable[[], AbstractContextManager[dict[str, Any]]], tmp_path: Path
) -> None:
    with database() as address, worker(tmp_path, pool=pool, database=address) as running:
        running.wait_logged("ready.")
        end_in_time(running, WITHOUT_DATABASE)
        assert "Traceback" not in running.log()
