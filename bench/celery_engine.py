"""Celery workers in processes of their own, up and warm before anything is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import IO, Any
from uuid import UUID

import psutil
import psycopg
from django.db import connections

from bench import settings
from bench.checks import WrongResult
from bench.engines import PATIENCE, Engine
from bench.figures import Sample, median_sample
from bench.flows import CHAIN, FAN, MAP
from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowWorker

#: Seconds between two looks at whether runs have ended: a driver that waits is part of the load.
_LOOK = 0.01
#: What workers have done before they are measured: sizes that give each child some of it.
_WARM_UP = ((CHAIN, 50), (FAN, 5), (MAP, 5000))
#: Seconds by which the server's statistics of a session may be late, and those for which an idle
#: worker is watched, so often: its rhythm is a third of its lease. In one of the turns autovacuum
#: may come by, which counts too; the median leaves that out.
_LAG = 11.0
_IDLE_SECONDS = 10.0
_IDLE_TURNS = 3


class CeleryPrefork:
    """``workers`` times ``celery worker`` with ``children`` processes each."""

    def __init__(self, children: int, workers: int = 1) -> None:
        self.name = f"celery-prefork-{children}" + (f"x{workers}" if workers > 1 else "")
        self.procs = children * workers
        self._children = children
        self._workers = workers

    @contextmanager
    def running(self, using: str) -> Iterator[list[psutil.Process]]:
        """Have its workers up, warm and asleep; gives their parent processes."""
        with ExitStack() as stack:
            log = stack.enter_context(tempfile.TemporaryFile())
            processes = [
                stack.enter_context(_worker(self._children, number, log))
                for number in range(self._workers)
            ]
            try:
                _wait(lambda: _count_loops() == self.procs, processes, "the workers did not start")
                for shape, size in _WARM_UP:
                    runs = executor.start_flows(shape.flow, shape.inputs(size), using=using)
                    self.finish([run.id for run in runs], using)
                come_to_rest(processes)
            except WrongResult as error:
                log.seek(0)
                raise WrongResult(f"{error}: {log.read()[-2000:].decode()}") from None
            yield [psutil.Process(process.pid) for process in processes]

    def finish(self, runs: Sequence[UUID], using: str) -> None:
        """Come back when all of these runs have ended.

        The first look comes late, too: none that has just been started has ended.
        """
        sleep(_LOOK)
        # Spelt out: `--compare` runs this beside packages that had no name for it.
        active = WorkflowRun.objects.using(using).filter(status__in=["started", "paused"])
        _wait(lambda: not active.exists(), (), f"{len(runs)} runs were not done")

    def measure_idle(self) -> Sample:
        """What workers with nothing to do cost: queries a second, and percent of a core."""
        with self.running("default") as parents:
            connections.close_all()  # from here on nobody else asks anything of this database
            sleep(_LAG)
            processes = [p for parent in parents for p in [parent, *parent.children()]]
            return median_sample([_watch_idle(processes) for _ in range(_IDLE_TURNS)])


class Standing:
    """An engine whose workers stay up, from the first measurement until ``stack`` is closed."""

    def __init__(self, engine: Engine, stack: ExitStack) -> None:
        self.name = engine.name
        self.procs = engine.procs
        self.finish = engine.finish
        self._engine = engine
        self._stack = stack
        self._is_up = False

    @contextmanager
    def running(self, using: str) -> Iterator[None]:
        """Have them up and asleep."""
        if self._is_up:
            come_to_rest()
        else:
            self._stack.enter_context(self._engine.running(using))
            self._is_up = True
        yield


def come_to_rest(processes: Sequence[subprocess.Popen[bytes]] = ()) -> None:
    """Come back when all workers are asleep. Raises ``WrongResult``."""
    _wait(_is_asleep, processes, "the workers did not come to rest")


@contextmanager
def _worker(children: int, number: int, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        *(sys.executable, "-m", "celery", "-A", "project", "worker", "-I", "bench.flows"),
        *("-P", "prefork", "-c", str(children), "-n", f"bench{number}@bench", "-l", "WARNING"),
        *("--without-gossip", "--without-mingle"),
    ]
    with subprocess.Popen(
        command,
        env={**os.environ, "CELERY_BROKER_URL": "memory://"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait(is_so: object, processes: Sequence[subprocess.Popen[bytes]], complaint: str) -> None:
    assert callable(is_so)
    give_up_at = monotonic() + PATIENCE
    while not is_so():
        if any(process.poll() is not None for process in processes):
            raise WrongResult(f"{complaint}: a worker has ended")
        if monotonic() > give_up_at:
            raise WrongResult(f"{complaint} in {PATIENCE:g} s")
        sleep(_LOOK)


def _count_loops() -> int:
    """The claiming loops: each worker has a row for each, and one for its node."""
    rows = WorkflowWorker.objects.filter(kind="celery").values_list("node", flat=True)
    return len(rows) - len(set(rows))


def _is_asleep() -> bool:
    nodes = WorkflowWorker.objects.filter(kind="celery")
    return nodes.filter(is_asleep=True).count() == nodes.values("node").distinct().count()


def _watch_idle(processes: Sequence[psutil.Process]) -> Sample:
    from bench.database import connect

    # The transactions of other databases don't count, and so not ours.
    with connect(dbname=settings.SITE_NAME) as connection:
        began = monotonic()
        cpu, queries = _cpu_seconds(processes), _count_queries(connection)
        sleep(_IDLE_SECONDS)
        cpu, queries = _cpu_seconds(processes) - cpu, _count_queries(connection) - queries
        seconds = monotonic() - began
    return {"queries_per_s": queries / seconds, "cpu_percent": 100 * cpu / seconds}


def _count_queries(connection: psycopg.Connection[Any]) -> int:
    """How many the server has counted in our database: an idle worker's commit one by one."""
    found = connection.execute(
        "select xact_commit + xact_rollback from pg_stat_database where datname = %s",
        [settings.NAME],
    ).fetchone()
    return int(found[0]) if found else 0


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
