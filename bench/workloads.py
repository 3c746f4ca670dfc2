"""W1 to W4: many runs or one large one for speed, single chains for latency; steady load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import monotonic, perf_counter, sleep
from uuid import UUID

from bench.checks import WrongResult, check_nothing_is_left
from bench.checks import check as check_runs
from bench.engines import Engine
from bench.figures import Sample, percentile
from bench.flows import CHAIN, JSON, LINE, LINE_STEPS, PADDING, Shape
from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowStepTask


@dataclass(frozen=True)
class Throughput:
    """Tasks per second, from the first start call to the last run's end."""

    engine: Engine
    shape: Shape
    size: int
    is_bulk: bool = False
    using: str = "default"

    def measure(self) -> Sample:
        """Start the runs, have them executed, check them."""
        inputs = self.shape.inputs(self.size)
        tasks = sum(self.shape.tasks(value) for value in inputs)
        with self.engine.running(self.using):
            began = perf_counter()
            if self.is_bulk:
                runs = executor.start_flows(self.shape.flow, inputs, using=self.using)
            else:
                runs = [
                    executor.start_flow(self.shape.flow, value, using=self.using)
                    for value in inputs
                ]
            ids = [run.id for run in runs]
            self.engine.finish(ids, self.using)
            seconds = perf_counter() - began
        outputs = map(self.shape.output, inputs)
        check_runs(dict(zip(ids, outputs, strict=True)), tasks, self.using)
        return {"tasks": tasks, "wall_s": seconds, "tasks_per_s": tasks / seconds}


@dataclass(frozen=True)
class Latency:
    """Milliseconds to the first step and from step to step, of single runs one after another."""

    engine: Engine
    size: int

    def measure(self) -> Sample:
        """Run the chain of ten steps ``size`` times."""
        first, steps, runs = [], [], []
        with self.engine.running("default"):
            for _ in range(self.size):
                began = monotonic()
                run = executor.start_flow(LINE, {"padding": PADDING})
                self.engine.finish([run.id], "default")
                runs.append(monotonic() - began)
                stamps = _stamps(run.id)
                first.append(stamps[0] - began)
                steps += [after - before for before, after in pairwise(stamps)]
        check_nothing_is_left("default")
        return {
            "first_p50_ms": median(first) * 1000,
            "first_p95_ms": percentile(first, 95) * 1000,
            "step_p50_ms": median(steps) * 1000,
            "step_p95_ms": percentile(steps, 95) * 1000,
            "run_p50_ms": median(runs) * 1000,
        }


@dataclass(frozen=True)
class Load:
    """Milliseconds from start to end of chains that start at a steady rate: ``size`` a second.

    The first of them don't count: workers wake up, and come to see how much there is to do.
    """

    engine: Engine
    size: int
    seconds: float

    def measure(self) -> Sample:
        """Start the runs when each is due, have them end, check them."""
        inputs = CHAIN.inputs(max(1, round(self.size * self.seconds)))
        with self.engine.running("default"):
            began = monotonic()
            ids = [self._start(began + n / self.size, value) for n, value in enumerate(inputs)]
            seconds = monotonic() - began
            self.engine.finish(ids, "default")
        outputs = dict(zip(ids, map(CHAIN.output, inputs), strict=True))
        check_runs(outputs, sum(map(CHAIN.tasks, inputs)), "default")
        waits = _milliseconds(ids[len(ids) // 8 :])
        return {
            "run_p50_ms": median(waits),
            "run_p95_ms": percentile(waits, 95),
            "runs_per_s": len(ids) / seconds,
        }

    def _start(self, due_at: float, value: JSON) -> UUID:
        sleep(max(0.0, due_at - monotonic()))
        return executor.start_flow(CHAIN.flow, value).id


def _milliseconds(runs: Sequence[UUID]) -> list[float]:
    """From start to end, on the server's clock."""
    times = WorkflowRun.objects.filter(id__in=runs).values_list("started_at", "ended_at")
    return [(ended - started).total_seconds() * 1000 for started, ended in times if ended]


def _stamps(run_id: UUID) -> list[float]:
    """When each step of the chain ran. Raises ``WrongResult`` unless it was in their order."""
    status = WorkflowRun.objects.values_list("status", flat=True).get(id=run_id)
    tasks = WorkflowStepTask.objects.filter(run_id=run_id, status="completed")
    by_step = dict(tasks.values_list("step_slug", "output__at"))
    stamps = [by_step[f"step_{number}"] for number in range(LINE_STEPS) if status == "completed"]
    if len(stamps) != LINE_STEPS or stamps != sorted(stamps):
        raise WrongResult(f"run {run_id}: {status}, steps ran at {by_step}")
    return stamps
