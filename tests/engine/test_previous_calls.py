"""Calls of the SQL functions as processes of earlier versions make them, beside new ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine.building import build, chain
from tests.engine.database import query, value

RUN = "01a20551-fe00-7df3-af3d-bec5f6bc8dcd"


def start() -> Any:
    """A run, started as before runs were rerun."""
    build("flow", chain(2))
    return value(
        "select (pgflow.start_flow(%s, %s::jsonb, %s, %s, %s, %s, %s, %s, null, %s, %s))[1]",
        *("flow", "[{}]", None, None, False, None, None, None, "ada", "admin"),
    )


def test_runs_are_cancelled_and_retried_as_before() -> None:
    run = start()
    assert value("select pgflow.cancel_run(%s, %s)", run, "no longer wanted") is not None
    assert value("select pgflow.cancel_run(%s, %s)", RUN, "unknown") is None
    assert value("select pgflow.retry_run(%s, %s)", run, None) == "cancelled"
    assert value("select pgflow.retry_run(%s, %s)", run, None) == "started"
    assert query("select kind from workflow_run_events order by id") == [
        ("cancelled",),
        ("retried",),
    ]


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("settle_and_claim", "%s::bigint, null::jsonb, 1, 5, null, true, true"),
        ("settle_and_claim", "%s::bigint, null::jsonb, 1, 5"),
        ("next_visible", "%s::bigint, null::uuid"),
        ("refuse_messages", "%s::bigint, null::uuid"),
        ("release_worker", "%s::bigint"),
        ("remove_worker", "%s::bigint"),
    ],
)
def test_workers_call_as_before(function: str, call: str) -> None:
    start()
    worker = value(
        "select pgflow.register_worker('in_process', 'host', 1, '{default}', null, 30::float8)"
    )
    query(f"select pgflow.{function}({call})", worker)


@pytest.mark.parametrize("function", ["fail_tasks", "release_tasks"])
def test_tasks_are_handed_in_as_before(function: str) -> None:
    run = start()
    worker = value(
        "select pgflow.register_worker('in_process', 'host', 1, '{default}', null, 30::float8)"
    )
    query("select pgflow.settle_and_claim(%s, null, 7, 1)", worker)
    task = {"r": str(run), "s": "s0", "i": 0, "c": 7}
    error = {"code": "step_failed", "error_type": "ValueError", "error_message": "no"}
    given = json.dumps([task | error])
    assert value(f"select pgflow.{function}(%s::jsonb)", given) == 1
