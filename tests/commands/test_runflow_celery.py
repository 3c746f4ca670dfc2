"""``runflow --celery`` and ``--detach``: runs that are left to workers."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from django.db import transaction

from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.commands.calling import Answer, call, finish, on_terminal, spawn
from tests.engine.threads import Background
from tests.engine.workers import HandWorker
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

NO_WORKER = 'no live worker serves queue "default", where step "numbers" waits. '


@pytest.fixture
def worker() -> Iterator[None]:
    """A thread that drains as long as the test lasts."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.01):
            executor.drain(timeout=10)

    thread = Background(work)
    yield
    is_over.set()
    thread.result()


@pytest.fixture
def followed(doubles: str) -> Iterator[subprocess.Popen[str]]:
    """A process that follows a run for which there is no worker."""
    process = spawn("runflow", doubles, "--celery", "--input", '{"count": 4}')
    wait_until(lambda: WorkflowRun.objects.exists() or process.poll() is not None, "the run")
    yield process
    process.kill()
    process.communicate()


def test_workers_run_it_and_the_output_is_printed(worker: None, doubles: str) -> None:
    answer = call("runflow", doubles, celery=True, input='{"count": 4}')
    run = WorkflowRun.objects.get()
    assert (answer.status, answer.json) == (0, {"total": 12})
    assert run.owner_id is None
    lines = answer.stderr.splitlines()
    assert lines[0] == f'run {run.id}: started, flow "doubles", 3 steps'
    assert lines[-1].startswith(f"run {run.id}: completed after ")


def test_a_run_that_fails_exits_with_1(worker: None, failing: str) -> None:
    answer = call("runflow", failing, celery=True)
    run = WorkflowRun.objects.get()
    assert (answer.status, answer.stdout) == (1, "")
    assert 'step "fail", attempt 2: ValueError: no luck, and\nmore\n' in answer.stderr
    assert f"Take it up again: python manage.py retryrun {run.id}\n" in answer.stderr
    assert call("runflow", failing, celery=True, json=True).json["error"]["code"] == "run_failed"


def test_a_flow_in_code_is_stored_and_run(worker: None) -> None:
    assert call("runflow", "tests_in_code", celery=True).json == {"two": 2}


def test_a_missing_worker_is_told_once_and_the_run_goes_on_when_there_is_one(
    followed: subprocess.Popen[str],
) -> None:
    assert followed.stderr is not None
    begin = [followed.stderr.readline() for _ in range(2)]
    if "no live worker" not in begin[1]:  # the root step has its own line
        begin.append(followed.stderr.readline())
    assert begin[-1].startswith(f"run: {NO_WORKER}Start one: celery -A tests worker")
    assert executor.drain()
    answer = finish(followed)
    assert (answer.status, json.loads(answer.stdout)) == (0, {"total": 12})
    assert "no live worker" not in answer.stderr


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_run(
    followed: subprocess.Popen[str], signum: signal.Signals, status: int
) -> None:
    assert followed.stderr is not None
    followed.stderr.readline()
    followed.send_signal(signum)
    answer = finish(followed)
    run = WorkflowRun.objects.get()
    assert (answer.status, answer.stdout, run.status) == (status, "", "cancelled")
    assert (
        f'Interrupted: run {run.id} of flow "doubles" is cancelled; 0 of 3 steps had completed.\n'
        f"What happened: python manage.py showrun {run.id}\n"
        f"Take it up again: python manage.py retryrun {run.id}\n"
    ) in answer.stderr
    assert WorkflowRunEvent.objects.filter(run_id=run.id, kind="cancelled").count() == 1


def test_a_timeout_cancels_the_run_and_says_what_it_waited_for(doubles: str) -> None:
    answer = call("runflow", doubles, celery=True, timeout=0.2)
    assert answer.status == 124
    assert "was cancelled: it ran longer than the 0.2 s that its caller allowed" in answer.stderr
    assert f"It waited: {NO_WORKER}" in answer.stderr
    assert WorkflowRun.objects.get().status == "cancelled"


def test_a_run_that_others_cancel_exits_with_1(followed: subprocess.Popen[str]) -> None:
    executor.cancel_run(WorkflowRun.objects.get().id)
    answer = finish(followed)
    assert answer.status == 1
    assert "was cancelled" in answer.stderr


def test_on_a_terminal_the_advice_stays_above_the_table(doubles: str) -> None:
    screen = on_terminal(
        "runflow", doubles, "--celery", columns=120, ctrl_c_when=lambda text: "Start one" in text
    )
    assert screen.status == 130
    assert screen.text.count(NO_WORKER) == 1
    assert "Start one" not in screen.last_picture


def test_it_refuses_to_wait_inside_a_transaction(doubles: str) -> None:
    with transaction.atomic():
        answer = call("runflow", doubles, celery=True)
    assert (answer.status, WorkflowRun.objects.count()) == (2, 0)
    assert "can't wait inside a transaction" in answer.stderr


def test_detached_it_prints_the_id_and_returns(doubles: str) -> None:
    answer = call("runflow", doubles, detach=True, input='{"count": 4}')
    run = WorkflowRun.objects.get()
    assert answer == Answer(
        f"{run.id}\n",
        f"It waits: {NO_WORKER}Start one: celery -A tests worker\n"
        f"How it goes on: python manage.py showrun {run.id}\n",
        0,
    )
    assert run.input == {"count": 4}
    assert executor.drain()
    assert executor.wait(run.id) == {"total": 12}


def test_detached_with_a_live_worker_there_is_nothing_to_wait_for(doubles: str) -> None:
    HandWorker()
    answer = call("runflow", doubles, detach=True, json=True)
    assert answer.stderr == ""
    run = WorkflowRun.objects.get()
    assert answer.json == {
        "run_id": str(run.id),
        "workflow_slug": "doubles",
        "is_trial": False,
        "status": "started",
        "waiting": None,
    }


def test_detached_as_json_it_says_what_the_run_waits_for(doubles: str) -> None:
    waiting = call("runflow", doubles, detach=True, json=True).json["waiting"]
    assert (waiting["reason"], waiting["queues"]) == ("no_worker", ["default"])


@pytest.mark.parametrize("options", [{"timeout": 5}, {"diagram": "run.svg"}])
def test_detached_it_can_do_nothing_at_the_end(doubles: str, options: dict[str, object]) -> None:
    answer = call("runflow", doubles, detach=True, **options)
    assert (answer.status, WorkflowRun.objects.count()) == (2, 0)
    assert f"--{next(iter(options))} needs the end of the run" in answer.stderr


def test_an_unknown_flow_exits_with_2() -> None:
    assert call("runflow", "nothing", celery=True).status == 2
    assert call("runflow", "nothing", detach=True).status == 2


def test_showrun_says_what_a_run_waits_for(doubles: str) -> None:
    run_id = UUID(call("runflow", doubles, detach=True).stdout.strip())
    assert f"  waiting  {NO_WORKER}" in call("showrun", str(run_id)).stdout
    assert call("showrun", str(run_id), json=True).json["waiting"]["reason"] == "no_worker"
    HandWorker()
    assert "waiting  no live" not in call("showrun", str(run_id)).stdout
    assert call("showrun", str(run_id), json=True).json["waiting"] is None
