"""Keys: the same key on the same flow starts one run, whoever asks and when."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from pgflow_django import (
    PgflowError,
    executor,
)
from pgflow_django.models import WorkflowRun
from tests.engine.building import build
from tests.engine.database import messages
from tests.engine.threads import at_once
from tests.waiting import wait_until

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1.5,
    2**53 + 1,
    10**30,
    "",
    "é \U0001f600 \\u0000 \"'",
    [],
    [1, [2, [None]]],
    {},
    {"": 1, "a b": {"c": [{}]}},
]


class Rollback(Exception):
    pass


def test_the_same_key_on_the_same_flow_gives_the_same_run() -> None:
    build("flow", {"a*": []})
    build("other", {"a": []})
    run = executor.start_flow("flow", [1], key="order-42")
    assert executor.start_flow("flow", [2], key="order-42").id == run.id
    assert executor.start_flow("flow", "not even an array", key="order-42").id == run.id
    assert executor.start_flow("flow", [1], key="ORDER-42").id != run.id
    assert executor.start_flow("other", [1], key="order-42").id != run.id
    executor.cancel_run(run.id)
    assert executor.start_flow("flow", [1], key="order-42").id == run.id
    assert WorkflowRun.objects.get(id=run.id).input == [1]


@pytest.mark.parametrize("key", [42, True, "a\0b", "\ud800", "k" * 5000, ["k"]], ids=type)
def test_odd_keys_are_refused_clearly(key: Any) -> None:
    build("flow", {"a": []})
    with pytest.raises(PgflowError, match="key") as caught:
        executor.start_flow("flow", {}, key=key)
    assert caught.value.code == "invalid_key"
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize("attempt", range(5))
def test_one_key_used_by_many_threads_at_once_starts_one_run(attempt: int) -> None:
    build("flow", {"a": []})
    ids = at_once([lambda: executor.start_flow("flow", {}, key="once").id for _ in range(6)])
    assert len(set(ids)) == 1
    assert WorkflowRun.objects.count() == 1
    assert len(messages()) == 1


def test_a_key_waits_for_a_transaction_that_may_still_roll_back() -> None:
    build("flow", {"a": []})
    inserted, roll_back = threading.Event(), threading.Event()

    def start_and_roll_back() -> None:
        with pytest.raises(Rollback), transaction.atomic():
            executor.start_flow("flow", {}, key="once")
            inserted.set()
            assert roll_back.wait(30)
            raise Rollback

    def start() -> Any:
        assert inserted.wait(30)
        roll_back_when_blocked()
        return executor.start_flow("flow", {}, key="once").id

    def roll_back_when_blocked() -> None:
        pid = connection.cursor().connection.info.backend_pid

        def unblock() -> None:
            try:
                wait_until(lambda: _is_blocked(pid))
            finally:
                connection.close()
                roll_back.set()

        threading.Thread(target=unblock, daemon=True).start()

    _, run_id = at_once([start_and_roll_back, start])
    assert [run.id for run in WorkflowRun.objects.all()] == [run_id]
    assert len(messages(run_id)) == 1


def _is_blocked(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select cardinality(pg_blocking_pids(%s)) > 0", [pid])
        return bool(cursor.fetchone()[0])
