"""What it costs to find the definition of a flow when a run starts, stored or in code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from django.db import transaction

from bench.figures import Sample
from bench.flows import payload, stamp
from pgflow_django import Flow, executor, flow_builder, step
from pgflow_django.flows import definition_of
from pgflow_django.models import Workflow

TIMES = 15


@dataclass(frozen=True)
class Loading:
    """Milliseconds to start a run of ``size`` steps, within a transaction, and for its definition.

    ``start`` is all of a start that finds the definition unchanged, so the look is only a part of
    it. ``changed`` and ``new`` are what comes on top: at the first start after a change, and in a
    process that has not started this flow yet, code for code. Each time is like the first, since
    everything is rolled back.
    """

    size: int

    def measure(self) -> Sample:
        """Time each case ``TIMES`` times, in turn."""
        stored, code = f"bench_load_{self.size}", _code_flow(self.size)
        _store(stored, code)
        times: dict[str, list[float]] = {}
        for _ in range(TIMES):
            for name, call in self._cases(stored, code).items():
                times.setdefault(name, []).append(call())
        took = {name: median(values) for name, values in times.items()}
        return {
            "stored_start_ms": took["stored"],
            "stored_changed_ms": took["stored changed"] - took["stored"],
            "code_start_ms": took["code"],
            "code_new_ms": took["code new"] - took["code"],
            "code_changed_ms": took["code changed"] - took["code"],
        }

    def _cases(self, stored: str, code: type[Flow]) -> dict[str, Callable[[], float]]:
        new, changed = _code_flow(self.size), _code_flow(self.size, timeout=31)
        return {
            "stored": lambda: _time_start(stored),
            "code": lambda: _time_start(code),
            "stored changed": lambda: _time_start(stored, before=lambda: _change(stored)),
            "code new": lambda: _time_start(new),
            "code changed": lambda: _time_start(changed),
        }


def _code_flow(size: int, timeout: int = 30) -> type[Flow]:
    """Define a chain of steps in code, as a process does when it starts."""
    names = [f"step_{number}" for number in range(size)]
    steps = {
        name: step(depends_on=names[number - 1 : number])(stamp)
        for number, name in enumerate(names)
    }
    attributes: dict[str, Any] = {"slug": f"bench_load_code_{size}", "timeout": timeout, **steps}
    return type("Loaded", (Flow,), attributes)


def _store(stored: str, code: type[Flow]) -> None:
    """Store the code flow, and the same once more as a stored one; run both."""
    document = definition_of(code).document | {"workflow_slug": stored}
    flow_builder.create_flow_from_spec(document, replace=True)
    for flow in (stored, code):
        executor.start_flow(flow, payload(0))
    executor.drain()


def _change(stored: str) -> None:
    Workflow.objects.filter(workflow_slug=stored).update(timeout=31)


def _time_start(flow: str | type[Flow], before: Callable[[], None] | None = None) -> float:
    """Milliseconds of a start that is rolled back, after a change that is rolled back with it.

    One more start goes before, untimed: whatever came last should not count.
    """
    with transaction.atomic():
        executor.start_flow(flow if isinstance(flow, str) else flow.slug, payload(0))
        if before is not None:
            before()
        began = perf_counter()
        executor.start_flow(flow, payload(0))
        seconds = perf_counter() - began
        transaction.set_rollback(True)
    return seconds * 1000
