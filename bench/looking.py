"""What it costs to look: at a flow before it runs, and at a run that has failed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import pgflow_django  # newer names are looked up when used: a side of --compare may lack them
from bench.figures import Sample
from pgflow_django import RunFailed, executor, flow_builder
from pgflow_django.models import WorkflowRun

TIMES = 7


@dataclass(frozen=True)
class Simulating:
    """Milliseconds to simulate a chain of ``size`` steps."""

    size: int

    def measure(self) -> Sample:
        """Time it ``TIMES`` times."""
        slugs = [f"step_{number}" for number in range(self.size)]
        steps = [
            {"slug": slug, "uses": "bench.stamp", "depends_on": slugs[number - 1 : number]}
            for number, slug in enumerate(slugs)
        ]
        document = {"workflow_slug": "bench_simulated", "steps": steps}
        times = []
        for _ in range(TIMES):
            began = perf_counter()
            pgflow_django.simulate_flow(document, {})
            times.append(perf_counter() - began)
        return {"simulated_ms": median(times) * 1000}


@dataclass(frozen=True)
class Explaining:
    """Milliseconds to explain a run that failed among ``size`` tasks of a map."""

    size: int

    def measure(self) -> Sample:
        """Let one fail, then time it ``TIMES`` times."""
        run_id = _fail(self.size)
        times = []
        for _ in range(TIMES):
            began = perf_counter()
            pgflow_django.explain_run(run_id)
            times.append(perf_counter() - began)
        return {"explained_ms": median(times) * 1000}


def _fail(size: int) -> Any:
    """A run whose last task has failed."""
    slug = "bench_explained"
    document = {
        "workflow_slug": slug,
        "max_attempts": 1,
        "steps": [{"slug": "each", "type": "map"}],
    }
    flow_builder.create_flow_from_spec(document, replace=True)

    def each(input: dict[str, Any]) -> int:
        if input["index"] == size - 1:
            raise ValueError("the last one")
        return 1

    with suppress(RunFailed):
        executor.execute_dynamic(slug, list(range(size)), {"each": each})
    runs = WorkflowRun.objects.filter(workflow_slug=slug, status="failed")
    return runs.order_by("-id").values_list("id", flat=True)[0]
