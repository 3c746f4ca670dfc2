"""What the database refuses: told apart by SQLSTATE, and never poison for those who come after."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from pgflow_django import RunFailed, executor
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from pgflow_django.storage.sqlstates import Remedy, remedy_of
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import query, step_statuses, value
from tests.engine.doors import Door
from tests.engine.invariants import check_all_ended
from tests.engine.threads import Background


@contextmanager
def refusing(when: str, errcode: str, *, times: int | None = None) -> Iterator[None]:
    """Have the server refuse a change of a task ``when`` that holds, ``times`` times or always."""
    limit = "true" if times is None else f"nextval('refusals') <= {times}"
    query("create sequence refusals")
    query(
        "create function refuse() returns trigger language plpgsql as $$ begin "
        f"if {limit} then raise exception 'refused by a trigger' using errcode = '{errcode}'; "
        "end if; return new; end $$"
    )
    query(
        "create trigger refuse before update on workflow_step_tasks for each row "
        f"when ({when}) execute function refuse()"
    )
    try:
        yield
    finally:
        query("drop function refuse() cascade")
        query("drop sequence refusals")


COMPLETES = "new.status = 'completed' and new.output = '\"poison\"'"
STARTS = "new.status = 'started' and new.step_slug = 'poison'"


def functions(output: Any = "poison") -> dict[str, Any]:
    return {"poison": lambda i: output, "after": lambda i: i["poison"], "plain": lambda i: 1}


# What is refused for the data's sake.


@pytest.mark.parametrize("errcode", ["54000", "22003", "23514", "P0001", "XX000", "53200", "57014"])
def test_a_result_that_the_database_refuses_fails_its_attempt_by_name(
    door: Door, errcode: str
) -> None:
    build("bad", {"poison": [], "after": ["poison"]}, max_attempts=5)
    with refusing(COMPLETES, errcode):
        run = door.run("bad", {}, functions())
    assert run.status == "failed"
    assert run.error["code"] == "database_refused"
    assert run.error["step_slug"] == "poison"
    assert "refused by a trigger" in run.error["error_message"]
    assert errcode in run.error["error_message"]
    assert WorkflowTaskAttempt.objects.count() == 1


def test_a_refused_result_takes_none_of_its_batch_along(register: Register) -> None:
    build("map", {"each*": []}, max_attempts=1)
    build("plain", {"plain": []})
    register({"each": lambda i: i["item"], "plain": lambda i: 1})
    with refusing(COMPLETES, "54000"):
        bad = executor.start_flow("map", [1, 2, "poison", 4])
        good = [executor.start_flow("map", list(range(10))) for _ in range(3)]
        plain = executor.start_flow("plain", {})
        assert executor.drain(timeout=60)
    assert [executor.wait(run.id) for run in good] == [{"each": list(range(10))}] * 3
    assert executor.wait(plain.id) == {"plain": 1}
    with pytest.raises(RunFailed, match="refused by a trigger") as caught:
        executor.wait(bad.id)
    assert (caught.value.step_slug, caught.value.task_index) == ("each", 2)
    check_all_ended()


def test_a_task_that_the_database_hands_to_nobody_fails_its_run_by_name(door: Door) -> None:
    build("bad", {"first": [], "poison*": ["first"]})
    with refusing(STARTS, "54000"):
        run = door.run("bad", {}, {"first": lambda i: [1, 2], "poison": lambda i: 1})
    assert run.status == "failed"
    assert run.error["code"] == "database_refused"
    assert run.error["step_slug"] == "poison"
    assert step_statuses(run.id) == {"first": "completed", "poison": "failed"}


def test_others_are_served_beside_a_task_that_can_be_handed_to_nobody(register: Register) -> None:
    build("bad", {"poison*": []})
    build("plain", {"plain": []})
    register({"poison": lambda i: 1, "plain": lambda i: 1})
    with refusing(STARTS, "XX000"):
        before = executor.start_flows("plain", [{}] * 5)
        bad = executor.start_flow("bad", [1, 2])
        after = executor.start_flows("plain", [{}] * 5)
        assert executor.drain(timeout=60)
    assert [executor.wait(run.id) for run in before + after] == [{"plain": 1}] * 10
    assert WorkflowRun.objects.get(id=bad.id).status == "failed"
    check_all_ended()


@pytest.mark.parametrize(
    "message",
    [
        {"run_id": "no uuid", "step_slug": "plain", "task_index": 0, "count": 1},
        {"run_id": str(WorkflowRun().id), "step_slug": "plain", "task_index": "x", "count": 1},
    ],
)
def test_a_message_that_means_nothing_goes_to_the_archive(
    register: Register, message: dict[str, Any]
) -> None:
    build("plain", {"plain": []})
    register({"plain": lambda i: 1})
    value(
        "select pgmq.send('pgflow_default', %s::jsonb)",
        json.dumps({**message, "function": "plain"}),
    )
    runs = executor.start_flows("plain", [{}] * 3)
    assert executor.drain(timeout=60)
    assert [executor.wait(run.id) for run in runs] == [{"plain": 1}] * 3
    assert value("select count(*) from pgmq.a_pgflow_default") == 1
    query("delete from pgmq.a_pgflow_default")
    check_all_ended()


# What passes.

PASSING = ["08006", "57P01", "57P03", "53300", "40001", "40P01", "55P03", "53100", "58030"]
PASSING += ["53200", "57014"]  # these only for a while


@pytest.mark.parametrize(
    "errcode",
    [
        "08006",
        "57P01",
        "57P03",
        "53300",
        "40001",
        "40P01",
        "55P03",
        "53100",
        "58030",
        "53200",
        "57014",
    ],
)
def test_what_the_moment_refuses_is_tried_again(register: Register, errcode: str) -> None:
    build("flow", {"poison": [], "after": ["poison"]}, max_attempts=1)
    register(functions())
    with refusing(COMPLETES, errcode, times=3):
        run = executor.start_flow("flow", {})
        assert executor.drain(timeout=60)
    assert executor.wait(run.id) == {"after": "poison"}
    check_all_ended()


ROWS = {
    Remedy.RECONNECT: ["08000", "08006", "57P01", "57P02", "57P03", "57P05", "25P03", "53300"],
    Remedy.TRY_AGAIN: ["40001", "40P01", "55P03"],
    Remedy.WAIT: ["53000", "53100", "53400", "58030"],
    Remedy.DOUBT: ["53200", "57014"],
    Remedy.OPERATOR: ["25006", "42501", "42P01", "42883", "3F000"],
    Remedy.NONE: ["54000", "22P02", "22003", "23505", "23514", "P0001", "XX000", "40002", "PF006"],
}


@pytest.mark.parametrize(
    ("errcode", "remedy"), [(code, remedy) for remedy, codes in ROWS.items() for code in codes]
)
def test_errors_are_told_apart_by_sqlstate(errcode: str, remedy: Remedy) -> None:
    with pytest.raises(Exception, match="told apart") as caught, connection.cursor() as cursor:
        cursor.execute(f"do $$ begin raise 'told apart' using errcode = '{errcode}'; end $$")
    assert remedy_of(caught.value) is remedy


def test_what_the_driver_refuses_to_send_is_no_lost_connection() -> None:
    with pytest.raises(Exception, match="NUL") as caught:
        query("select %s", "a\0b")
    assert remedy_of(caught.value) in {Remedy.NONE, None}


def test_a_cut_connection_is_a_lost_one() -> None:
    with pytest.raises(Exception, match=r"(?i)connection|terminat") as caught:
        query("select pg_terminate_backend(pg_backend_pid())")
    connection.close()
    assert remedy_of(caught.value) is Remedy.RECONNECT


# What is joined from parts.

LARGE = "x" * 400


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ({"each*": []}, {"each"}),
        ({"each*": [], "sum": ["each"]}, {"sum"}),
        ({"a": [], "b": [], "c": [], "sum": ["a", "b", "c"]}, {"sum"}),
        ({"a": [], "b": ["a"], "c": ["a"], "d": ["a"]}, {"b", "c", "d"}),
    ],
    ids=["a map's output", "a step's input", "an input of many", "a run's output"],
)
def test_what_is_joined_is_bounded(
    door: Door, settings: Any, steps: dict[str, list[str]], named: set[str]
) -> None:
    settings.PGFLOW = {"MAX_JOINED_BYTES": 1000}
    build("flow", steps, max_attempts=3)
    names = [name.removesuffix("*") for name in steps]
    run = door.run("flow", [1, 2, 3], {name: lambda i: LARGE for name in names})
    assert run.status == "failed"
    assert run.error["code"] == "output_too_large"
    assert run.error["step_slug"] in named
    assert "1000" in run.error["error_message"]
    assert "MAX_JOINED_BYTES" in run.error["error_message"]


def test_what_is_not_joined_has_no_bound(door: Door, settings: Any) -> None:
    settings.PGFLOW = {"MAX_JOINED_BYTES": 1000}
    build("flow", {"each*": [], "again*": ["each"], "size*": ["again"]})
    output = door.output(
        "flow",
        list(range(5)),
        {"each": lambda i: LARGE, "again": lambda i: i["item"], "size": lambda i: len(i["item"])},
    )
    assert output == {"size": [400] * 5}


def test_what_is_within_the_bound_is_joined(door: Door, settings: Any) -> None:
    settings.PGFLOW = {"MAX_JOINED_BYTES": 2000}
    build("flow", {"each*": [], "all": ["each"]})
    output = door.output("flow", [1, 2, 3], {"each": lambda i: LARGE, "all": lambda i: i["each"]})
    assert output == {"all": [LARGE] * 3}


@pytest.mark.parametrize("steps", [{"each*": []}, {"each*": [], "sum": ["each"]}])
def test_a_run_that_joined_too_much_can_be_retried_with_a_larger_bound(
    register: Register, settings: Any, steps: dict[str, list[str]]
) -> None:
    build("flow", steps)
    register({"each": lambda i: LARGE, "sum": lambda i: len(i["each"])})
    settings.PGFLOW = {"MAX_JOINED_BYTES": 1000}
    run = executor.start_flow("flow", [1, 2, 3])
    assert executor.drain(timeout=60)
    executor.retry_run(run.id)
    assert executor.drain(timeout=60)
    with pytest.raises(RunFailed, match="MAX_JOINED_BYTES"):
        executor.wait(run.id)
    settings.PGFLOW = {}
    executor.retry_run(run.id)
    assert executor.drain(timeout=60)
    assert executor.wait(run.id) in ({"each": [LARGE] * 3}, {"sum": 3})
    check_all_ended()


def test_the_database_knows_the_default_bound() -> None:
    from pgflow_django.conf import settings

    assert value("select pgflow._max_joined_bytes()") == settings.MAX_JOINED_BYTES


def test_maps_of_large_outputs_fail_by_name_and_stop_nobody(register: Register) -> None:
    build("leaf", {"large*": []}, max_attempts=1)
    build("fan_in", {"large*": [], "plain": ["large"]}, max_attempts=1)
    build("quick", {"plain": []})
    eight = "x" * (8 * 1024 * 1024 - 2)
    register({"large": lambda i: eight, "plain": lambda i: 1})
    large = [executor.start_flow(slug, list(range(9))) for slug in ("leaf", "fan_in")]
    drain = Background(executor.drain)
    quick = []
    while drain.is_running and len(quick) < 20:
        quick.append(executor.start_flow("quick", {}))
        time.sleep(0.01)  # spread over the time in which the large ones run
    assert drain.result(120) is True
    assert executor.drain(timeout=60)
    assert [executor.wait(run.id) for run in quick] == [{"plain": 1}] * len(quick)
    for run in large:
        with pytest.raises(RunFailed) as caught:
            executor.wait(run.id)
        assert caught.value.error_code == "output_too_large"
    check_all_ended()
