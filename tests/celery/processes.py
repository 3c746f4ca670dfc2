"""Workers in processes of their own: start, look at, stop, kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from django.db import connection

from pgflow_django.models import WorkflowWorker
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
_KEYS = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")


def environment(*, database: dict[str, Any] | None = None, **pgflow: Any) -> dict[str, str]:
    """What a worker process needs to find the test's database and its settings."""
    ours = {key: connection.settings_dict[key] for key in _KEYS}
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.celery.settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "WORKER_TEST_DATABASE": json.dumps({**ours, **(database or {})}),
        "WORKER_TEST_PGFLOW": json.dumps(pgflow),
    }


class Worker:
    """A running ``celery worker`` with all its children."""

    def __init__(self, popen: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self.popen = popen
        self.name = name
        self._log = log
        self._process = psutil.Process(popen.pid)

    @property
    def pid(self) -> int:
        """The parent process."""
        return self.popen.pid

    def log(self) -> str:
        """Everything that it has written."""
        return self._log.read_text(errors="replace")

    def rows(self) -> list[WorkflowWorker]:
        """Its rows in the database: its own, and one for each claiming loop."""
        return list(WorkflowWorker.objects.filter(node=self.name).order_by("id"))

    def loops(self) -> list[WorkflowWorker]:
        """The rows of its claiming loops: all but the first of its own process."""
        rows = self.rows()
        return [row for row in rows if row.pid != self.pid] or rows[1:]

    def children(self) -> set[int]:
        """The processes of its pool that claim."""
        return {row.pid for row in self.loops()}

    def wait_ready(self, loops: int) -> Worker:
        """Wait until so many loops claim, and the database knows when they sleep."""

        def is_ready() -> bool:
            if self.popen.poll() is not None:
                raise AssertionError(f"the worker has ended: {self.log()}")
            rows = self.rows()
            is_told = any(row.is_asleep for row in rows) or "polling instead" in self.log()
            return len(rows) == loops + 1 and is_told

        wait_until(is_ready, f"{loops} loops of {self.name}")
        return self

    def wait_logged(self, text: str) -> None:
        """Wait until it has written something."""
        wait_until(lambda: text in self.log(), f"{text!r} in the log of {self.name}")

    def terminate(self) -> None:
        """SIGTERM: a warm shutdown begins."""
        self.popen.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Wait for its end; its exit status."""
        return self.popen.wait(30)

    def stop(self) -> int:
        """A warm shutdown, to its end; the exit status."""
        self.terminate()
        return self.end()

    def kill(self) -> None:
        """SIGKILL to the parent; its children notice."""
        self.popen.kill()
        self.popen.wait(30)

    def kill_all(self) -> None:
        """SIGKILL to every process of it."""
        for process in [*self.offspring(), self._process]:
            _kill(process)
        self.popen.wait(30)
        psutil.wait_procs(self.offspring(), timeout=30)

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far."""
        processes = [self._process, *self.offspring()]
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    def offspring(self, *, recursive: bool = True) -> list[psutil.Process]:
        """All that came from it, or its children; each may be gone when it is looked at."""
        try:
            return self._process.children(recursive)
        except psutil.NoSuchProcess:
            return []


@contextmanager
def worker(
    folder: Path,
    *arguments: str,
    pool: str = "prefork",
    concurrency: int = 2,
    name: str = "one",
    app: str = "project",
    steps: str = "tests.celery.steps",
    broker: dict[str, str] | None = None,
    database: dict[str, Any] | None = None,
    prefix: tuple[str, ...] = (),
    **pgflow: Any,
) -> Iterator[Worker]:
    """Run a worker; whatever is left of it at the end is killed.

    ``steps`` is a module with its step functions; ``broker`` are variables of its environment;
    ``prefix`` is a command that becomes the worker's; ``pgflow`` is its setting ``PGFLOW``.
    """
    log = folder / f"{name}.log"
    node = f"{name}@test"
    command = [
        *prefix,
        *(sys.executable, "-m", "celery", "-A", app, "worker", "-n", node, "-l", "INFO"),
        *("-P", pool, "-I", steps, "--without-gossip", "--without-mingle"),
        *([] if "--autoscale" in " ".join(arguments) else ["-c", str(concurrency)]),
        *arguments,
    ]
    variables = {**environment(database=database, **pgflow), **(broker or {})}
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as popen,
    ):
        running = Worker(popen, node, log)
        try:
            yield running
        finally:
            group = [p for p in psutil.process_iter() if _session(p) == popen.pid]
            for process in group:
                _kill(process)
            popen.wait(30)


def is_alive(process: psutil.Process) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except (OSError, psutil.Error):
        return 0


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
