"""`drain` while lanes and their supervisor settle at the same time: True only when all is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from pgflow_django import RetryAfter, executor
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import query
from tests.engine.effort import EFFORT
from tests.engine.invariants import check_all_ended
from tests.engine.threads import Background
from tests.waiting import wait_for, wait_until


@pytest.fixture
def patient(settings: Any) -> None:
    """Let lanes sleep until they are woken: a wake that gets lost shows."""
    settings.PGFLOW = {"POLL_INTERVAL": 60.0}


#: Locks under which the supervisor's part of a run can't be settled, while a lane's own can.
_RESULT_OF_FAST = (
    "select from workflow_step_states where run_id = %s and step_slug = 'fast' for update"
)
FAILURES = "select from workflow_runs where id = %s for key share"


@contextmanager
def held(sql: str, run: UUID) -> Iterator[None]:
    """Keep the locks that a statement takes, in a session of its own."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters) as own:
        own.execute(sql, [run])
        yield


def sees_session(condition: str) -> Callable[[], bool]:
    """Whether a session of this database is in this state."""
    sql = f"select 1 from pg_stat_activity where datname = current_database() and {condition}"
    return lambda: bool(query(sql))


def let_lanes_look() -> None:
    """Give a lane that does not wait for its supervisor the time to find nothing."""
    has_looked = sees_session("query like '%%next_visible%%' and state = 'idle'")
    give_up_at = time.monotonic() + 0.3
    while not has_looked() and time.monotonic() < give_up_at:
        pass


def drain_while_supervisor_waits(run: UUID, lock: str, go_on: threading.Event) -> bool:
    """Drain, with the supervisor held up in the middle of settling while the long step ends."""
    with held(lock, run):
        drain = Background(executor.drain)
        wait_until(sees_session("wait_event_type = 'Lock'"), "the supervisor to settle")
        go_on.set()
        let_lanes_look()
    return bool(drain.result())


def test_drain_waits_for_a_result_that_its_supervisor_settles(
    patient: None, register: Register
) -> None:
    build("flow", {"fast": [], "slow": [], "end": ["fast", "slow"]})
    go_on = threading.Event()
    register({"fast": lambda i: 1, "slow": lambda i: wait_for(go_on), "end": lambda i: 2})
    run = executor.start_flow("flow", {})
    assert drain_while_supervisor_waits(run.id, _RESULT_OF_FAST, go_on) is True
    assert executor.get_run_status(run.id).output == {"end": 2}
    check_all_ended()


def test_drain_waits_for_a_failure_that_its_supervisor_sends(
    patient: None, register: Register
) -> None:
    build("flow", {"fast": [], "slow": []})
    go_on = threading.Event()

    def fast(input: dict[str, Any], context: Any) -> int:
        if context.attempt == 1:
            raise RetryAfter(0)
        return int(context.attempt)

    register({"fast": fast, "slow": lambda i: wait_for(go_on)})
    run = executor.start_flow("flow", {})
    assert drain_while_supervisor_waits(run.id, FAILURES, go_on) is True
    assert executor.get_run_status(run.id).output == {"fast": 2, "slow": None}
    check_all_ended()


def test_drain_waits_for_a_timeout_that_its_supervisor_reports(
    patient: None, register: Register
) -> None:
    build("flow", {"slow": []}, timeout=1)

    def slow(input: dict[str, Any], context: Any) -> int:
        while context.attempt == 1:
            pass
        return int(context.attempt)

    register({"slow": slow})
    run = executor.start_flow("flow", {})
    assert drain_while_supervisor_waits(run.id, FAILURES, threading.Event()) is True
    assert executor.get_run_status(run.id).output == {"slow": 2}
    check_all_ended()


@pytest.mark.parametrize("attempt", range(5 * EFFORT))
def test_drain_is_done_when_nothing_is_left_whichever_thread_ends_last(
    register: Register, attempt: int
) -> None:
    build("flow", {"fast": [], "slow": [], "late": [], "end": ["fast", "slow", "late"]})

    def slow(input: dict[str, Any]) -> None:
        time.sleep(0.025 + attempt % 5 * 0.005)  # about when the supervisor steps in

    def late(input: dict[str, Any], context: Any) -> None:
        if context.attempt == 1:
            raise RetryAfter(0.03)

    register({"fast": lambda i: 1, "slow": slow, "late": late, "end": lambda i: 2})
    runs = executor.start_flows("flow", [{}] * 3)
    assert executor.drain() is True
    assert [executor.get_run_status(run.id).output for run in runs] == [{"end": 2}] * 3
    check_all_ended()
