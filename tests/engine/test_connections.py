"""Connections that break in the middle of everything: workers come back and lose nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from pgflow_django import PermanentFailure, executor
from pgflow_django.models import WorkflowTaskAttempt
from tests.engine.audit import audited
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import query
from tests.engine.doors import DOORS
from tests.engine.effort import EFFORT
from tests.engine.invariants import check_all_ended
from tests.engine.test_drain_races import FAILURES, drain_while_supervisor_waits
from tests.engine.threads import Background
from tests.waiting import wait_for

_TERMINATE = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and pid <> all(%s)
    and backend_type = 'client backend'
"""


@pytest.fixture(autouse=True)
def witness(transactional_db: None) -> Iterator[None]:
    """Watch every move of every task."""
    with audited():
        yield


@pytest.fixture
def axe() -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, to terminate others with."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters, autocommit=True) as own:
        yield own


def pid() -> int:
    """The backend of this thread's connection."""
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def terminate_others(axe: psycopg.Connection[Any], *spared: int) -> int:
    """Terminate every backend but these; how many that were."""
    (row,) = axe.execute(_TERMINATE, [list(spared)]).fetchall()
    return int(row[0])


def test_a_worker_whose_connections_are_all_terminated_comes_back(
    axe: psycopg.Connection[Any], register: Register
) -> None:
    build("flow", {"each*": [], "sum": ["each"]})
    terminated: list[int] = []

    def each(input: dict[str, Any]) -> int:
        if input["index"] == 20 and not terminated:
            terminated.append(terminate_others(axe))
        return input["item"]

    register({"each": each, "sum": lambda i: sum(i["each"])})
    run = executor.start_flow("flow", list(range(100)))
    assert executor.drain(timeout=60)
    assert terminated[0] >= 1
    assert executor.wait(run.id) == {"sum": sum(range(100))}
    check_all_ended()


def test_an_execution_whose_connections_are_all_terminated_comes_back(
    axe: psycopg.Connection[Any],
) -> None:
    build("flow", {"a": [], "each*": ["a"], "sum": ["each"]})

    def each(input: dict[str, Any]) -> int:
        if input["index"] in (1, 7):
            terminate_others(axe)
        return input["item"]

    def cut_and_sum(input: dict[str, Any]) -> int:
        terminate_others(axe)
        return sum(input["each"])

    functions = {"a": lambda i: list(range(10)), "each": each, "sum": cut_and_sum}
    assert executor.execute_dynamic("flow", {}, functions, timeout=60) == {"sum": 45}
    check_all_ended()


def test_a_step_whose_own_query_is_cut_off_fails_and_is_tried_again(
    axe: psycopg.Connection[Any],
) -> None:
    build("flow", {"a": []}, max_attempts=2)

    def a(input: dict[str, Any], context: Any) -> int:
        if context.attempt == 1:
            axe.execute("select pg_terminate_backend(%s)", [pid()])
            query("select 1")
        return context.attempt

    assert executor.execute_dynamic("flow", {}, {"a": a}) == {"a": 2}
    assert WorkflowTaskAttempt.objects.get().error_type in {"OperationalError", "InterfaceError"}
    check_all_ended()


@pytest.mark.parametrize("seed", range(2 * EFFORT))
def test_connections_that_break_all_the_time_lose_and_repeat_nothing(
    axe: psycopg.Connection[Any], register: Register, seed: int
) -> None:
    build("flow", {"each*": [], "again*": ["each"], "sum": ["again"]}, max_attempts=1)
    register(
        {
            "each": lambda i: i["item"],
            "again": lambda i: i["item"] + 1,
            "sum": lambda i: sum(i["again"]),
        }
    )
    runs = executor.start_flows("flow", [list(range(60))] * 12)
    over = threading.Event()
    spared = pid()

    def chop() -> int:
        count = 0
        while count < 6 and not over.wait(0.05):
            count += terminate_others(axe, spared)
        return count

    chopping = Background(chop)
    drain = Background(lambda: executor.drain(timeout=60))
    assert drain.result(90) is True
    over.set()
    chopping.result()  # a fast machine is done before the second stroke
    assert executor.drain(timeout=60)
    assert [executor.wait(run.id) for run in runs] == [{"sum": sum(range(1, 61))}] * 12
    check_all_ended()


def test_a_long_step_keeps_its_task_while_the_connections_around_it_break(
    axe: psycopg.Connection[Any], settings: Any, register: Register
) -> None:
    settings.PGFLOW = {"LEASE_SECONDS": 2.0}
    build("flow", {"long": []}, max_attempts=1)
    begun, go_on = threading.Event(), threading.Event()

    def long(input: dict[str, Any]) -> str:
        begun.set()
        wait_for(go_on)
        return "done"

    register({"long": long})
    run = executor.start_flow("flow", {})
    drain = Background(executor.drain)
    wait_for(begun)
    for _ in range(3):
        terminate_others(axe, pid())
    go_on.set()
    assert drain.result() is True
    assert executor.wait(run.id) == {"long": "done"}
    check_all_ended()


@pytest.mark.parametrize("is_permanent", [True, False])
@pytest.mark.parametrize("door", ["execute", "drain"])
def test_a_failure_whose_connection_is_cut_is_sent_again(
    axe: psycopg.Connection[Any], door: str, is_permanent: bool
) -> None:
    build("flow", {"a": []}, max_attempts=3 if is_permanent else 1)
    calls: list[int] = []

    def a(input: dict[str, Any], context: Any) -> None:
        if not calls:
            axe.execute("select pg_terminate_backend(%s)", [pid()])
        calls.append(context.attempt)
        raise PermanentFailure("no") if is_permanent else ValueError("no")

    run = DOORS[door]().run("flow", {}, {"a": a})
    assert (run.status, calls) == ("failed", [1])
    assert WorkflowTaskAttempt.objects.get().error_message == "no"


def test_a_failure_in_the_supervisor_s_hand_is_not_handed_back_by_its_lane(
    axe: psycopg.Connection[Any], register: Register
) -> None:
    build("flow", {"bad": [], "slow": []})
    calls: list[int] = []
    go_on = threading.Event()

    def bad(input: dict[str, Any]) -> None:
        calls.append(1)
        raise PermanentFailure("no")

    def slow(input: dict[str, Any]) -> None:
        wait_for(go_on)
        axe.execute("select pg_terminate_backend(%s)", [pid()])

    register({"bad": bad, "slow": slow})
    run = executor.start_flow("flow", {})
    assert drain_while_supervisor_waits(run.id, FAILURES, go_on) is True
    assert calls == [1]
    assert executor.get_run_status(run.id).status == "failed"
    check_all_ended()
