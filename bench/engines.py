"""What runs the workloads. An engine starts before each measurement and stops after it.

A further one needs a class like ``InProcess`` and its place in ``ENGINES``: started, its workers
wait for work; ``finish`` comes back when they have ended the runs; stopped, nothing of it is left
that could take work from the next engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol
from uuid import UUID

from bench.checks import WrongResult
from pgflow_django import executor

#: Seconds after which a workload counts as stuck.
PATIENCE = 300.0


class Engine(Protocol):
    """Runs what is started; ``procs`` is the number of its processes."""

    name: str
    procs: int

    def running(self, using: str) -> AbstractContextManager[object]:
        """Have its workers up on a database for a while."""

    def finish(self, runs: Sequence[UUID], using: str) -> None:
        """Come back when all of these runs have ended."""


class InProcess:
    """``executor.drain()`` in this process, after everything has been started."""

    name = "inprocess"
    procs = 1

    def running(self, using: str) -> AbstractContextManager[object]:  # noqa: ARG002
        """Nothing to have up."""
        return nullcontext()

    def finish(self, runs: Sequence[UUID], using: str) -> None:
        """Drain: it executes whatever there is."""
        if not executor.drain(timeout=PATIENCE, using=using):
            raise WrongResult(f"{len(runs)} runs were not done after {PATIENCE:g} s")


ENGINES: tuple[Engine, ...] = (InProcess(),)
