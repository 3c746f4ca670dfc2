"""``runflow`` as a process: exit statuses, signals, pipes, lost connections."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.commands.calling import (
    command_line,
    environment,
    finish,
    manage,
    on_terminal,
    spawn,
)
from tests.engine.building import build
from tests.engine.database import messages, query
from tests.waiting import wait_until

#: Each starts processes; what they do is tested in this one by test_runflow.py.
pytestmark = pytest.mark.slow


class Holding:
    """A run, in a process of its own, whose one step says that it has begun and does not end."""

    def __init__(self, folder: Path, function: str) -> None:
        build(
            "holding",
            {"numbers": [], "held": ["numbers"]},
            options={"numbers": {"uses": "tests.numbers"}, "held": {"uses": function}},
        )
        self.mark, self.gate = folder / "mark", folder / "gate"
        paths = {"mark": str(self.mark), "gate": str(self.gate)}
        self.input = json.dumps(paths)
        self.process: subprocess.Popen[str]

    def start(self, *options: str) -> None:
        """Start it, and wait until the step runs."""
        self.process = spawn("runflow", "holding", "--input", self.input, *options)
        wait_until(lambda: self.mark.exists() or self.process.poll() is not None, "the step")
        assert self.process.poll() is None, self.process.communicate()

    def run(self) -> WorkflowRun:
        """The run, as it stands."""
        return WorkflowRun.objects.get()


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Holding]:
    held = Holding(tmp_path, "tests.hold")
    yield held
    held.process.kill()
    held.process.communicate()


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[Holding]:
    held = Holding(tmp_path, "tests.deaf")
    yield held
    held.process.kill()
    held.process.communicate()


def test_exit_statuses(doubles: str, failing: str) -> None:
    assert manage("runflow", doubles).status == 0
    assert manage("runflow", failing).status == 1
    assert manage("runflow", "nothing").status == 2
    assert manage("runflow").status == 2
    assert manage("runflow", doubles, "--input", "{").status == 2
    assert manage("runflow", doubles, "--timeout", "0").status == 2
    assert manage("runflow", doubles, "--database", "elsewhere").status == 2


def test_a_timeout_exits_with_124(holding: Holding) -> None:
    holding.start("--timeout", "0.4")
    answer = finish(holding.process)
    assert answer.status == 124
    assert "Traceback" not in answer.stderr
    assert holding.run().status == "cancelled"


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_cancels_the_run_and_says_so(
    holding: Holding, signum: signal.Signals, status: int
) -> None:
    holding.start()
    holding.process.send_signal(signum)
    answer = finish(holding.process)
    run = holding.run()
    assert answer.status == status
    assert answer.stdout == ""
    assert "run: interrupted, cancelling the run …" in answer.stderr
    assert (
        f'Interrupted: run {run.id} of flow "holding" is cancelled; 1 of 2 steps had completed.\n'
        f"What happened: python manage.py showrun {run.id}\n"
        f"Take it up again: python manage.py retryrun {run.id} --here\n"
    ) in answer.stderr
    assert "Traceback" not in answer.stderr
    assert run.status == "cancelled"
    assert WorkflowRunEvent.objects.filter(run_id=run.id, kind="cancelled").count() == 1
    assert messages(run.id) == []


def test_an_interrupted_run_can_be_taken_up_again_here(holding: Holding) -> None:
    holding.start()
    holding.process.send_signal(signal.SIGINT)
    finish(holding.process)
    holding.gate.touch()
    answer = manage("retryrun", str(holding.run().id), "--here")
    assert answer.status == 0
    assert answer.json == {"held": "held"}
    assert holding.run().status == "completed"


def test_a_signal_as_json(holding: Holding) -> None:
    holding.start("--json")
    holding.process.send_signal(signal.SIGINT)
    answer = finish(holding.process)
    assert answer.status == 130
    assert answer.stderr == ""
    run_id = str(holding.run().id)
    error = answer.json["error"]
    assert (error["code"], error["run_id"]) == ("interrupted", run_id)


def test_more_signals_while_cancelling_lose_nothing(deaf: Holding) -> None:
    deaf.start()
    deaf.process.send_signal(signal.SIGINT)
    # The step can't be stopped, so the process waits for it for a while after the cancellation.
    wait_until(lambda: deaf.run().status == "cancelled", "the cancellation")
    hasten = threading.Event()
    while deaf.process.poll() is None:
        deaf.process.send_signal(signal.SIGINT)
        deaf.process.send_signal(signal.SIGTERM)
        hasten.wait(0.02)
    answer = finish(deaf.process)
    assert answer.status == 130
    assert f'run {deaf.run().id} of flow "holding" is cancelled' in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_burst_of_signals_is_one(holding: Holding) -> None:
    holding.start()
    for _ in range(5):
        holding.process.send_signal(signal.SIGINT)
    answer = finish(holding.process)
    assert answer.status == 130
    assert f"run {holding.run().id} of flow" in answer.stderr
    assert holding.run().status == "cancelled"


def test_a_signal_before_the_start_leaves_no_run(doubles: str) -> None:
    screen = on_terminal(
        "runflow", doubles, "--input", "-", ctrl_c_when=lambda text: "Reading JSON" in text
    )
    assert screen.status == 130
    assert "Interrupted: nothing more is done." in screen.text
    assert not WorkflowRun.objects.exists()


def test_input_from_a_pipe_and_output_into_one(doubles: str) -> None:
    process = subprocess.run(
        command_line("runflow", doubles, "--input", "-", "--json"),
        env=environment(),
        input='{"count": 1000}',
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(process.stdout) == {"total": 999_000}
    assert process.stderr == ""


def test_a_reader_that_has_gone_is_no_error(doubles: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        command_line("runflow", doubles),
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert process.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in process.stderr
    assert "BrokenPipe" not in process.stderr
    assert WorkflowRun.objects.get().status == "completed"


def test_what_steps_print_goes_to_stderr() -> None:
    build("loud", {"shout": []}, options={"shout": {"uses": "tests.shout"}})
    answer = manage("runflow", "loud")
    assert answer.json == {"shout": "said"}
    assert "a step prints this" in answer.stderr


def test_output_on_an_ascii_terminal_is_escaped(doubles: str) -> None:
    env = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    build("loud", {"shout": []}, options={"shout": {"uses": "tests.shout"}})
    assert manage("runflow", "loud", "--input", '{"ü": "日本"}', env=env).status == 0
    run = manage("listruns", env=env)
    assert "+ completed" in run.stdout
    shown = manage("showrun", str(WorkflowRun.objects.get().id), "--json", env=env)
    assert "\\u65e5\\u672c" in shown.stdout


def test_a_database_that_is_down_is_one_message(doubles: str) -> None:
    env = {"DATABASE_URL": "postgresql://postgres@127.0.0.1:1/nowhere"}
    answer = manage("runflow", doubles, env=env)
    assert answer.status == 1
    assert answer.stderr.startswith('Error: No connection to the database "nowhere"')
    assert "Traceback" not in answer.stderr
    error = manage("runflow", doubles, "--json", env=env).json["error"]
    assert error["code"] == "database_not_ready"


def test_lost_connections_do_not_end_the_run(holding: Holding) -> None:
    holding.start()
    killed = query(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    assert killed
    holding.gate.touch()
    answer = finish(holding.process)
    assert (answer.status, answer.json) == (0, {"held": "held"})
    assert f"run {holding.run().id}: completed after" in answer.stderr


def test_traceback_shows_where_an_error_comes_from() -> None:
    answer = manage("runflow", "nothing", "--traceback")
    assert "Traceback (most recent call last)" in answer.stderr
    assert "WorkflowNotFound" in answer.stderr
