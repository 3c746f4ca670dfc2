"""Twenty rounds of each way to break things; after each, nothing is lost and nothing is twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.celery.proxy import by_tcp
from tests.chaos.conftest import ROUNDS, Tell
from tests.chaos.fleet import Fleet, fleet
from tests.chaos.load import LOADS, PATIENCE, Load, check, count_attempts, has_ended, start
from tests.waiting import wait_until

COMPILER = shutil.which("cc")

Disturb = Callable[[Fleet, random.Random], None]


class Rounds:
    """Plays rounds, and keeps what the summary tells."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.tasks = self.attempts = self.blows = 0

    def play(self, load: Load, ours: Fleet, disturb: Disturb, blows: int, seed: int) -> None:
        """One load, ``blows`` disturbances at random moments, and the check of everything."""
        dice = random.Random(seed)
        began = time.monotonic()
        runs = start(load)
        pause = threading.Event()
        for _ in range(blows):
            pause.wait(dice.random() * 0.4)
            disturb(ours, dice)
            self.blows += 1
        wait_until(lambda: has_ended(runs), f"the runs of seed {seed}", patience=PATIENCE)
        self.seconds.append(time.monotonic() - began)
        check(load, runs)
        tasks, attempts = count_attempts(runs)
        self.tasks += tasks
        self.attempts += attempts

    def __str__(self) -> str:
        return (
            f"{len(self.seconds)} rounds, {self.blows} blows, {self.tasks:,} tasks in "
            f"{self.attempts:,} attempts, slowest round {max(self.seconds):.1f} s"
        )


def kill(ours: Fleet, dice: random.Random) -> None:
    """Two of three blows hit a child, the third a whole worker."""
    if dice.random() < 0.67:
        ours.kill_child(dice)
    else:
        ours.kill_parent(dice)


@pytest.mark.parametrize("name", LOADS)
def test_processes_are_killed(name: str, prepared: None, tmp_path: Path, tell: Tell) -> None:
    rounds = Rounds()
    with fleet(tmp_path) as ours:
        for seed in range(ROUNDS):
            rounds.play(LOADS[name], ours, kill, 3, seed)
    tell(str(rounds))


@contextmanager
def server() -> Iterator[psycopg.Connection[Any]]:
    """A session beside the test's database."""
    parameters = {**connection.get_connection_params(), "dbname": "postgres"}
    for key in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(key, None)
    with psycopg.connect(**parameters, autocommit=True) as ours:
        yield ours


def sessions(ours: psycopg.Connection[Any]) -> list[int]:
    """The process ids of all sessions of the test's database."""
    found = ours.execute(
        "select pid from pg_stat_activity where datname = %s and backend_type = 'client backend'",
        [connection.settings_dict["NAME"]],
    )
    return [pid for (pid,) in found]


def terminate_backends(ours: Fleet, dice: random.Random) -> None:
    """Every session of the database ends, ours included."""
    with server() as there:
        for pid in sessions(there):
            there.execute("select pg_terminate_backend(%s)", [pid])
    connection.close()


def crash_server(ours: Fleet, dice: random.Random) -> None:
    """SIGKILL to one session: the server restarts at once and recovers, as after a crash."""
    wait_until(is_up, "the server")
    connection.close()
    with server() as there:
        pids = sessions(there)
    with suppress(ProcessLookupError, IndexError):
        os.kill(dice.choice(pids), signal.SIGKILL)
    wait_until(is_up, "the server to come back")


def is_up() -> bool:
    """Whether the server takes connections."""
    try:
        with server() as there:
            there.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("name", LOADS)
def test_every_session_is_terminated(name: str, prepared: None, tmp_path: Path, tell: Tell) -> None:
    rounds = Rounds()
    with fleet(tmp_path) as ours:
        for seed in range(ROUNDS):
            rounds.play(LOADS[name], ours, terminate_backends, 2, seed)
    tell(str(rounds))


def test_the_server_crashes_and_recovers(prepared: None, tmp_path: Path, tell: Tell) -> None:
    host = str(connection.settings_dict["HOST"])
    if host and not host.startswith("/") and host not in ("localhost", "127.0.0.1"):
        pytest.skip("the server is on another machine")
    rounds = Rounds()
    with fleet(tmp_path) as ours:
        for seed in range(ROUNDS):
            rounds.play(LOADS["mixed"], ours, crash_server, 1, seed)
    tell(str(rounds))


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
        for seed in range(ROUNDS):
            rounds.play(LOADS["mixed"], ours, lambda f, d: f.kill_child(d), 1, seed)
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


def test_one_of_two_workers_is_cut_off_for_longer_than_its_lease(
    prepared: None, tmp_path: Path, tell: Tell
) -> None:
    rounds = Rounds()
    with by_tcp(has_notifications=True) as (address, cut), fleet(tmp_path, size=1) as ours:
        ours.add(database=address).wait_ready(2)

        def cut_off(ours: Fleet, dice: random.Random) -> None:
            cut.set()
            threading.Timer(3.0, cut.clear).start()

        for seed in range(ROUNDS):
            rounds.play(LOADS["map"], ours, cut_off, 1, seed)
            wait_until(lambda: not cut.is_set(), "the network to be whole again")
    tell(str(rounds))
