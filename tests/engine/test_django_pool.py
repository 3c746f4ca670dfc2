"""Steps run in this process, with connections out of Django's own pool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from pgflow_django import executor, flow_builder
from pgflow_django.exceptions import DatabaseNotReady
from tests.commands.calling import call
from tests.engine.conftest import Register
from tests.storage.conftest import alias


@contextmanager
def pooled(size: int) -> Iterator[str]:
    """An alias of the tests' database with a pool of that many connections."""
    place = {"NAME": connection.settings_dict["NAME"], "CONN_MAX_AGE": 0}
    options = {"pool": {"min_size": 1, "max_size": size, "timeout": 5}}
    with alias("pooled", **place, OPTIONS=options) as pooled:
        try:
            yield "pooled"
        finally:
            pooled.close()
            pooled.close_pool()  # type: ignore[attr-defined]


@pytest.fixture
def mapped() -> str:
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": "mapped",
            "steps": [
                {"slug": "numbers"},
                {"slug": "each", "depends_on": ["numbers"], "type": "map"},
            ],
        }
    )
    return "mapped"


def test_no_more_threads_than_the_pool_has_connections_for(mapped: str, settings: Any) -> None:
    settings.PGFLOW = {"THREADS": 8}
    at_once, most, lock = 0, 0, threading.Lock()

    def each(input: Any) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        threading.Event().wait(0.05)  # long enough for the others to be wanted
        with lock:
            at_once -= 1
        return int(input["item"])

    functions = {"numbers": lambda input: list(range(40)), "each": each}
    with pooled(3) as using:
        output = executor.execute_dynamic(mapped, {}, functions, using=using)
    assert output == {"each": list(range(40))}
    assert most == 2


def test_a_pool_of_one_connection_is_refused(mapped: str) -> None:
    functions = {"numbers": lambda input: [], "each": lambda input: None}
    with pooled(1) as using:
        with pytest.raises(
            DatabaseNotReady, match="needs 2 connections at once, and Django's pool"
        ):
            executor.execute_dynamic(mapped, {}, functions, using=using)
        with pytest.raises(DatabaseNotReady, match=r"DATABASES\[\"pooled\"\] to 2 or more\."):
            executor.drain(using=using)
        assert executor.start_flow(mapped, {}, using=using).status == "started"


def test_runflow_says_so_too(mapped: str, register: Register) -> None:
    register({"numbers": lambda input: [], "each": lambda input: None})
    with pooled(1) as using:
        answer = call("runflow", mapped, "--database", using)
    assert answer.status == 1
    assert "needs 2 connections at once, and Django's pool of the database " in answer.stderr
