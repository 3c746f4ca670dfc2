"""Whatever a step function does, its attempt ends truthfully and all else goes on."""

from __future__ import annotations

import asyncio
import decimal
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import TestCase
from django.utils import timezone, translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import Format

from pgflow_django import executor, flow_builder
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import Workflow, WorkflowRun, WorkflowRunEvent, WorkflowTaskAttempt
from pgflow_django.registry import registry
from pgflow_django.worker import leftovers, sessions
from tests.engine.building import build
from tests.engine.database import clean, query, value
from tests.engine.effort import EFFORT
from tests.engine.invariants import check_all_ended
from tests.hostile import MARK, TABLE, VARIABLE, Hostile, nothing_left, register_all
from tests.waiting import wait_until

Way = Callable[[str], WorkflowRun]

NAMES = sorted(TABLE)


@pytest.fixture(autouse=True)
def functions(transactional_db: None) -> Iterator[None]:
    register_all()
    registry.register(plain, "hostile.plain")
    with nothing_left():
        yield
    for name in [*TABLE, "plain"]:
        registry.unregister(f"hostile.{name}")


def plain(input: dict[str, Any]) -> int:
    return Workflow.objects.count() * 0 + 1


def build_flow(name: str) -> str:
    return build(
        name,
        {name: [], "then": [name]},
        max_attempts=1,
        options={name: {"uses": f"hostile.{name}"}, "then": {"uses": "hostile.plain"}},
    )


def build_plain() -> str:
    return build("plain", {"plain": []}, options={"plain": {"uses": "hostile.plain"}})


def surroundings() -> tuple[Any, ...]:
    """All of this thread that a step in it, or on its connection, could have changed."""
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        pytest.fail("a loop runs")
    return (
        os.getpid(),
        translation.get_language(),
        timezone.get_current_timezone_name(),
        VARIABLE.get(),
        decimal.getcontext().prec,
        sys.gettrace(),
        sys.getprofile(),
        connection.in_atomic_block,
        list(connection.savepoint_ids),
        len(connection.atomic_blocks),
        connection.get_autocommit(),
        connection.needs_rollback,
        list(connection.execute_wrappers),
        connection.force_debug_cursor,
        driver_state(),
        query("select current_user, coalesce(current_setting('hostile.tenant', true), '')"),
        query(sessions._LOOK),
        held(),
    )


def held() -> dict[Any, str]:
    """What the session of this thread holds, and how it is set."""
    found = leftovers.find(connection.connection)
    # Those of a transaction look the same, and the engine takes such.
    # An iterator that was left unfinished closes its cursor when it is collected.
    kept = ("advisory", "_django_curs_")
    return {key: value for key, value in found.items() if not any(k in key[1] for k in kept)}


def driver_state() -> tuple[Any, ...]:
    """How the driver's connection of this thread reads and begins."""
    connection.ensure_connection()
    raw = connection.connection
    loader = raw.adapters.get_loader(raw.adapters.types["int8"].oid, Format.TEXT)
    return (raw.row_factory, raw.cursor_factory, raw.read_only, raw._notice_handlers, loader)


def check_ended(run: WorkflowRun, one: Hostile) -> None:
    """The run says what became of the step, and nothing that was refused is kept."""
    run.refresh_from_db()
    if one.fails is None:
        assert (run.status, run.output) == ("completed", {"then": 1}), run.error
        assert not WorkflowTaskAttempt.objects.filter(run_id=run.id).exists()
    else:
        assert run.status == "failed"
        attempt = WorkflowTaskAttempt.objects.get(run_id=run.id)
        assert attempt.error_type == one.fails, attempt.traceback
        assert len(attempt.error_message) < 11_000
        assert len(attempt.traceback) <= 20_001
    if not one.ends_transaction:
        assert not Workflow.objects.filter(workflow_slug=MARK).exists()


def check_nobody_waits() -> None:
    """No session but ours is in a transaction, or holds what a step has locked."""
    idle = (
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid() and state like 'idle in transaction%'"
    )
    wait_until(lambda: value(idle) == 0, "transactions to end")
    locks = "select count(*) from pg_locks where locktype = 'advisory' and objid = 424242"
    wait_until(lambda: value(locks) == 0, "locks to be let go")


def execute(slug: str) -> WorkflowRun:
    ids: list[Any] = []
    with suppress(PgflowError):
        executor.execute_dynamic(slug, {"n": 1}, on_start=ids.append)
    return WorkflowRun(id=ids[0])


def drain(slug: str) -> WorkflowRun:
    run = executor.start_flow(slug, {"n": 1})
    assert executor.drain(timeout=60)
    return run


def in_caller_transaction(slug: str) -> WorkflowRun:
    with transaction.atomic():
        return execute(slug)


def drain_in_transaction(slug: str) -> WorkflowRun:
    with transaction.atomic():
        return drain(slug)


@pytest.mark.parametrize("way", [execute, pytest.param(drain, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_in_threads_of_this_process(name: str, way: Way) -> None:
    build_plain()
    before = surroundings()
    run = way(build_flow(name))
    assert surroundings() == before
    check_ended(run, TABLE[name])
    check_nobody_waits()
    for _ in range(3):
        assert executor.execute_dynamic("plain") == {"plain": 1}
    assert surroundings() == before
    check_all_ended()


@pytest.mark.parametrize(
    "way", [in_caller_transaction, pytest.param(drain_in_transaction, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", [n for n in NAMES if not TABLE[n].ends_transaction])
def test_in_the_callers_transaction(name: str, way: Way) -> None:
    build_plain()
    before = surroundings()
    with transaction.atomic():
        flow_builder.create_flow("of_the_caller")
        inside = surroundings()
        run = way(build_flow(name))
        assert surroundings() == inside
        for _ in range(3):
            assert executor.execute_dynamic("plain") == {"plain": 1}
        assert surroundings() == inside
    assert surroundings() == before
    check_ended(run, TABLE[name])
    assert Workflow.objects.filter(workflow_slug="of_the_caller").exists()
    check_nobody_waits()
    check_all_ended()


@pytest.mark.parametrize("name", [n for n in NAMES if TABLE[n].ends_transaction])
def test_a_step_that_ends_its_callers_transaction_is_told_of(name: str) -> None:
    build_plain()
    slug = build_flow(name)
    before = surroundings()
    with suppress(PgflowError, DatabaseError), transaction.atomic():
        execute(slug)
    assert connection.in_atomic_block is False
    connection.close()
    assert surroundings()[:13] == before[:13]
    assert executor.execute_dynamic("plain") == {"plain": 1}


class TestInATestCase(TestCase):
    """Django's own tests run flows in a transaction that is never committed."""

    @pytest.mark.slow
    def test_all_that_can_be_kept_apart(self) -> None:
        build_plain()
        for name, one in TABLE.items():
            if one.ends_transaction:
                continue
            with self.subTest(name), transaction.atomic():
                before = surroundings()
                run = execute(build_flow(name))
                assert surroundings() == before
                check_ended(run, one)
                assert executor.execute_dynamic("plain") == {"plain": 1}


@settings(
    max_examples=30 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=6), inside=st.booleans())
def test_any_sequence_of_them(names: list[str], inside: bool) -> None:
    clean()
    build_plain()
    if inside:
        names = [name for name in names if not TABLE[name].ends_transaction]
    runs = []
    before = surroundings()
    with transaction.atomic() if inside else nothing_left():
        for name in names:
            if not Workflow.objects.filter(workflow_slug=name).exists():
                build_flow(name)
            runs.append((executor.start_flow(name, {}), TABLE[name]))
        quick = executor.start_flows("plain", [{}] * 3)
        assert executor.drain(timeout=60)
        assert [executor.wait(run.id) for run in quick] == [{"plain": 1}] * 3
    assert surroundings() == before
    for run, one in runs:
        check_ended(run, one)
    check_nobody_waits()
    check_all_ended()


# What an attempt tells of itself.


def test_log_lines_are_bounded_and_say_how_many_were_left_out() -> None:
    execute(build_flow("logs_many_lines"))
    lines = WorkflowRunEvent.objects.filter(kind="log").order_by("id")
    assert lines.count() == 1_001
    assert lines.last().message.startswith("4,000 more lines were left out")  # type: ignore[union-attr]


def test_each_line_has_its_own_time() -> None:
    build("flow", {"a": []})

    def tell(input: Any, context: Any) -> None:
        context.log("first")
        threading.Event().wait(0.05)
        context.log("second")

    executor.execute_dynamic("flow", {}, {"a": tell})
    first, second = WorkflowRunEvent.objects.filter(kind="log").order_by("id")
    assert (second.at - first.at).total_seconds() >= 0.05


def test_a_line_of_a_long_step_is_seen_while_it_runs() -> None:
    build("flow", {"a": []})

    def tell(input: Any, context: Any) -> int:
        context.log("on the way")
        wait_until(WorkflowRunEvent.objects.filter(kind="log").exists, patience=2)
        return 1

    assert executor.execute_dynamic("flow", {}, {"a": tell}) == {"a": 1}


def test_a_hundred_lines_take_a_few_statements() -> None:
    build("flow", {"a": []})
    with transaction.atomic(), connection.execute_wrapper(counter := Counter()):
        executor.execute_dynamic("flow", {}, {"a": lambda i, context: tell_hundred(context)})
    assert WorkflowRunEvent.objects.filter(kind="log").count() == 100
    assert counter.inserts == 1


def tell_hundred(context: Any) -> None:
    for number in range(100):
        context.log(f"line {number}")


class Counter:
    """Counts the statements that write events."""

    def __init__(self) -> None:
        self.inserts = 0

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        self.inserts += "workflow_run_events" in str(sql) and "insert" in str(sql).lower()
        return execute(sql, params, many, context)
