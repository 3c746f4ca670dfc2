"""What it costs to find the definition of a flow when a run starts, stored or in code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any

from django.db import connection

from bench.engines import Engine
from bench.figures import Sample
from bench.flows import payload
from pgflow_django import Flow, executor, step
from pgflow_django.flows import definition_of
from pgflow_django.models import Workflow

TIMES = 15
STORED = "bench_load_stored"
_numbers = count(1)


@dataclass(frozen=True)
class Loading:
    """Milliseconds for a flow of ``size`` steps, beyond those of a start that knows it.

    ``cached``: nothing has changed. ``changed``: the first start after the definition has.
    ``new_process``: the first start in a process, of code that is stored already.
    """

    engine: Engine
    size: int

    def measure(self) -> Sample:
        """Load and start, then have the runs worked off."""
        with self.engine.running("default"):
            sample = self._sample()
            self.engine.finish([], "default")
        return sample

    def _sample(self) -> Sample:
        code = _flow(self.size, timeout=30)
        slugs = {"stored": f"bench_load_stored_{self.size}", "code": code.slug}
        ...
        return {}


def _milliseconds(call: Callable[[], object]) -> float:
    began = perf_counter()
    call()
    return (perf_counter() - began) * 1000
