"""Twenty rounds of each way to break things; after each, nothing is lost and nothing is twice."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pgflow_django import executor
from pgflow_django.exceptions import ActionRefused
from pgflow_django.models import WorkflowRun
from tests.chaos.conftest import Tell
from tests.chaos.fleet import Fleet, fleet
from tests.chaos.load import LOADS
from tests.chaos.rounds import ROUNDS, Disturb, Rounds
from tests.chaos.server import OwnServer
from tests.chaos.sessions import kill_one, terminate_all
from tests.engine.database import messages

COMPILER = shutil.which("cc")


def kill(ours: Fleet, dice: random.Random) -> str:
    """Two of three blows hit a child, the third a whole worker."""
    return ours.kill_child(dice) if dice.random() < 0.67 else ours.kill_parent(dice)


def pause_and_resume(ours: Fleet, dice: random.Random) -> str:
    """All runs are paused and resumed, and every second time something dies in between."""
    runs = [*WorkflowRun.objects.active().values_list("id", flat=True)]
    for run in runs:
        with suppress(ActionRefused):
            executor.pause_run(run)
    told = f", {kill(ours, dice)}" if dice.random() < 0.5 else ""
    for run in runs:
        assert not messages(run), "a message of a paused run"
        with suppress(ActionRefused):
            executor.resume_run(run)
    return f"pause and resume{told}"


def play(name: str, folder: Path, disturb: Disturb, blows: int = 1) -> str:
    """All rounds of one load, and what is to be told of them."""
    rounds = Rounds()
    with fleet(folder) as ours:
        for _ in range(ROUNDS):
            rounds.play(LOADS[name], ours, disturb, blows)
    return str(rounds)


@pytest.mark.parametrize("name", LOADS)
def test_processes_are_killed(name: str, prepared: None, tmp_path: Path, tell: Tell) -> None:
    tell(play(name, tmp_path, kill, 3))


@pytest.mark.parametrize("name", LOADS)
def test_runs_are_paused_and_resumed(name: str, prepared: None, tmp_path: Path, tell: Tell) -> None:
    tell(play(name, tmp_path, pause_and_resume, 3))


@pytest.mark.parametrize("name", LOADS)
def test_every_session_is_terminated(name: str, prepared: None, tmp_path: Path, tell: Tell) -> None:
    tell(play(name, tmp_path, terminate_all, 2))


def test_the_server_is_restarted_without_a_checkpoint(
    server: OwnServer, tmp_path: Path, tell: Tell
) -> None:
    def restart(ours: Fleet, dice: random.Random) -> str:
        server.restart_immediately()
        return "immediate restart"

    rounds = Rounds()
    with fleet(tmp_path) as ours:
        for number in range(ROUNDS):
            rounds.play(LOADS["map" if number % 2 else "mixed"], ours, restart)
    tell(str(rounds))


def test_the_server_crashes_and_recovers(server: OwnServer, tmp_path: Path, tell: Tell) -> None:
    tell(play("mixed", tmp_path, kill_one))


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler, to shift a process's clock")
def test_the_clock_of_one_worker_is_an_hour_ahead(
    prepared: None, tmp_path: Path, tell: Tell
) -> None:
    assert COMPILER is not None
    shim = tmp_path / "ahead.so"
    source = Path(__file__).with_name("ahead.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    rounds = Rounds()
    with fleet(tmp_path, size=1) as ours:
        ahead = ours.add(broker={"LD_PRELOAD": str(shim)}).wait_ready(2)
        for _ in range(ROUNDS):
            rounds.play(LOADS["mixed"], ours, Fleet.kill_child)
        lease = ahead.rows()[0].lease_until.timestamp()
        shown = subprocess.run(
            [sys.executable, "-c", "import time; print(time.time())"],
            env={**os.environ, "LD_PRELOAD": str(shim)},
            check=True,
            capture_output=True,
        ).stdout
    assert float(shown) - time.time() == pytest.approx(3600, abs=60)
    assert lease - time.time() < 60, "a lease was counted from the worker's clock"
    tell(str(rounds))
