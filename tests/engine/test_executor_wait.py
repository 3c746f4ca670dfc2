"""`wait` and `get_run_status`: looking at runs that workers work on."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pgflow_django import RunCancelled, RunFailed, RunTimedOut, executor
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.threads import Background


def one(input: dict[str, Any]) -> int:
    return 1


def test_wait_sees_the_end_that_workers_bring(register: Register) -> None:
    build("flow", {"a": []})
    go_on = threading.Event()
    register({"a": lambda i: go_on.wait(30)})
    run = executor.start_flow("flow", {})
    drain = Background(executor.drain)
    with pytest.raises(RunTimedOut, match="goes on: 0 of 1 steps") as caught:
        executor.wait(run.id, timeout=0.1)
    assert caught.value.run_id == run.id
    assert executor.get_run_status(run.id).status == "started"
    waiting = Background(lambda: executor.wait(run.id, timeout=30, poll_interval=0.01))
    go_on.set()
    assert waiting.result() == {"a": True}
    drain.result()


def test_wait_raises_as_execute_does(register: Register) -> None:
    build("flow", {"a": []}, max_attempts=1)
    register({"a": lambda i: 1 / i["n"]})
    failed, cancelled = executor.start_flows("flow", [{"n": 0}, {"n": 1}])
    executor.cancel_run(cancelled.id)
    executor.drain()
    with pytest.raises(RunFailed, match='step "a".*ZeroDivisionError: division by zero'):
        executor.wait(failed.id)
    with pytest.raises(RunCancelled):
        executor.wait(str(cancelled.id), timeout=0)


def test_the_status_of_a_run_tells_how_far_it_is(register: Register) -> None:
    build("flow", {"a": [], "b": ["a"], "c": ["b"], "d*": []})
    register({"a": one, "d": one})
    run = executor.start_flow("flow", [])
    status = executor.get_run_status(run.id)
    assert (status.total_steps, status.completed_steps, status.percentage) == (4, 1, 25.0)
    executor.drain()
    status = executor.get_run_status(run.id)
    assert (status.status, status.percentage, status.output) == ("started", 50.0, None)
    register({"b": one, "c": lambda i: None})
    executor.drain()
    status = executor.get_run_status(run.id)
    assert (status.status, status.percentage) == ("completed", 100.0)
    assert (status.output, status.error) == ({"c": None, "d": []}, None)
