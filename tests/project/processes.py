"""Processes that use the embedded server, for its tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from project.embedded.server import Server

ROOT = Path(__file__).resolve().parents[2]
USE = """
import sys
from project import embedded
embedded.ensure_running()
print("ready", flush=True)
sys.stdin.read()
"""
QUERY = """
import psycopg
from project import embedded
embedded.ensure_running()
settings = embedded.database_settings()
with psycopg.connect(host=settings["HOST"], user="postgres", dbname="postgres") as connection:
    connection.execute("select 1")
"""
FORK = """
import os, sys
from project import embedded
embedded.ensure_running()
if os.fork():
    sys.exit()
print("ready", flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the server until it is told to leave."""

    def __init__(self, folder: Path, script: str = USE, command: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*command, sys.executable, "-W", "error", "-c", script],
            cwd=ROOT,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            pytest.fail(self.leave())

    def leave(self) -> str:
        """End in order; give what it wrote to stderr."""
        return self.process.communicate(timeout=60)[1]

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=60)


def environment(folder: Path) -> dict[str, str]:
    without = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return {**inherited, "PGFLOW_PGDATA": str(folder)}


def manage(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        check=False,
        cwd="/",
        env=environment(folder) | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def server_of(folder: Path) -> psutil.Process | None:
    return Server(folder).process()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
