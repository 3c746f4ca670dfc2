"""What it costs to find the definition of a flow when a run starts, stored or in code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from django.db import connection, transaction

from bench.figures import Sample
from bench.flows import payload, stamp
from pgflow_django import Flow, executor, flow_builder, step
from pgflow_django.flows import definition_of
from pgflow_django.models import Workflow

TIMES = 15


@dataclass(frozen=True)
class Loading:
    """Milliseconds to load a definition of ``size`` steps.

    ``cached``: looking it up. The others say by how much a start takes longer than the next one:
    ``changed``, the first after the definition has changed; ``new``, the first in a process, of
    code that is stored as it is. Everything is rolled back, so each time is like the first.
    """

    size: int

    def measure(self) -> Sample:
        """Time each case ``TIMES`` times, in turn."""
        stored, code = f"bench_load_{self.size}", _code_flow(self.size)
        _store(stored, code)
        executor.drain()  # nothing; but what follows should find everything warm
        times: dict[str, list[float]] = {}
        for _ in range(TIMES):
            for name, call in self._cases(stored, code).items():
                times.setdefault(name, []).append(call())
        took = {name: median(values) for name, values in times.items()}
        return {
            "stored_cached_ms": took["load stored"] - took["round trip"],
            "stored_changed_ms": took["changed stored"] - took["start stored"],
            "code_cached_ms": took["load code"] - took["round trip"],
            "code_new_ms": took["new code"] - took["start code"],
            "code_changed_ms": took["changed code"] - took["start code"],
        }

    def _cases(self, stored: str, code: type[Flow]) -> dict[str, Callable[[], float]]:
        same, other = _code_flow(self.size), _code_flow(self.size, timeout=31)
        return {
            "round trip": lambda: _milliseconds(lambda: _query("select 1")),
            "load stored": lambda: _milliseconds(lambda: _load(stored)),
            "load code": lambda: _milliseconds(lambda: _load(code)),
            "start stored": lambda: _time_start(stored),
            "start code": lambda: _time_start(code),
            "changed stored": lambda: _time_start(stored, before=lambda: _change(stored)),
            "new code": lambda: _time_start(same),
            "changed code": lambda: _time_start(other),
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
    """Store the code flow, and the same once more as a stored one; pin both."""
    document = definition_of(code).document | {"workflow_slug": stored}
    flow_builder.create_flow_from_spec(document, replace=True)
    for flow in (stored, code):
        executor.start_flow(flow, payload(0))


def _load(flow: str | type[Flow]) -> None:
    slug = flow if isinstance(flow, str) else definition_of(flow).slug
    _query("select pgflow.pin_version(%s)", slug)


def _change(stored: str) -> None:
    Workflow.objects.filter(workflow_slug=stored).update(timeout=31)


def _time_start(flow: str | type[Flow], before: Callable[[], None] | None = None) -> float:
    """Milliseconds of a start that is rolled back, after a change that is rolled back with it."""
    with transaction.atomic():
        if before is not None:
            before()
        took = _milliseconds(lambda: executor.start_flow(flow, payload(0)))
        transaction.set_rollback(True)
    return took


def _query(query: str, *parameters: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)


def _milliseconds(call: Callable[[], object]) -> float:
    began = perf_counter()
    call()
    return (perf_counter() - began) * 1000
