"""What a simulation of a flow says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pgflow_django.definitions.problems import Problem

#: Where an output has come from. ``empty`` is that of a map over nothing, ``computed`` what a
#: built-in function returns.
OutputFrom = Literal["given", "computed", "example", "schema", "empty", "unknown"]


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long one task takes: of ``n`` that completed, or an upper bound (``timeout``)."""

    p50: float = 0.0
    p95: float = 0.0
    source: Literal["history", "timeout", "none"] = "none"
    n: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Them as a JSON object."""
        return {"p50": self.p50, "p95": self.p95, "from": self.source, "n": self.n}


@dataclass(frozen=True, slots=True)
class SimulatedStep:
    """A step as a run would have it.

    ``tasks`` is ``None`` where it depends on what is not known. ``input`` is that of the first
    task, without the keys in ``unknown``.
    """

    slug: str
    function: str
    wave: int
    tasks: int | None
    input: dict[str, Any]
    unknown: tuple[str, ...]
    output: Any
    output_from: OutputFrom
    effects: str
    seconds: Seconds

    def to_dict(self) -> dict[str, Any]:
        """The step as a JSON object."""
        return {
            "slug": self.slug,
            "function": self.function,
            "wave": self.wave,
            "tasks": self.tasks,
            "input": self.input,
            "unknown": list(self.unknown),
            "output": self.output,
            "output_from": self.output_from,
            "effects": self.effects,
            "seconds": self.seconds.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """A run in numbers, as far as the tasks of its steps are known.

    ``tasks_at_most`` counts every attempt. ``most_at_once`` is the most tasks of one wave. The
    critical path takes all tasks of a step as done side by side.
    """

    tasks: int = 0
    tasks_at_most: int = 0
    most_at_once: int = 0
    critical_path_seconds: Seconds = Seconds()

    def to_dict(self) -> dict[str, Any]:
        """Them as a JSON object."""
        path = self.critical_path_seconds
        return {
            "tasks": self.tasks,
            "tasks_at_most": self.tasks_at_most,
            "most_at_once": self.most_at_once,
            "critical_path_seconds": {"p50": path.p50, "p95": path.p95, "from": path.source},
        }


@dataclass(frozen=True, slots=True)
class Simulation:
    """How a flow would run, as far as that can be told without calling a function.

    ``waves`` are the steps that start together, ``steps`` all of them in the order of definition.
    ``output`` has what is known of the run's. ``ok`` is whether no problem is an error; of a
    document with errors there are only the ``problems``.
    """

    ok: bool
    problems: tuple[Problem, ...]
    waves: tuple[tuple[str, ...], ...] = ()
    steps: tuple[SimulatedStep, ...] = ()
    totals: Totals = Totals()
    output: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The simulation as a JSON object."""
        return {
            "ok": self.ok,
            "problems": [problem.to_dict() for problem in self.problems],
            "waves": [list(wave) for wave in self.waves],
            "steps": [step.to_dict() for step in self.steps],
            "totals": self.totals.to_dict(),
            "output": dict(self.output or {}),
        }
