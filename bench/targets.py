"""What the figures are to be."""

from __future__ import annotations

from dataclasses import dataclass

from bench.figures import Subject


@dataclass(frozen=True)
class Target:
    """A limit of a figure, or of its relation to C (its unit is then C or commits)."""

    limit: float
    unit: str
    is_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.limit:g} {self.unit}".strip()

    def verdict(self, value: float, in_commits: float) -> str:
        """A tick or a cross."""
        found = in_commits if self.unit in {"C", "commits"} else value
        return "✓" if found == self.limit or (found > self.limit) == self.is_least else "✗"


def _least(limit: float, unit: str = "C") -> Target:
    return Target(limit, unit, is_least=True)


#: By workload, size (None: any) and figure.
TARGETS: dict[tuple[str, int | None, str], Target] = {
    ("W1", 500, "tasks_per_s"): _least(0.5),
    ("W2", 10_000, "tasks_per_s"): _least(2.0),
    ("W4", 10, "tasks_per_s"): _least(1.5),
    ("W3", None, "step_p50_ms"): Target(3, "commits"),
    ("W2 growth", 10_000, "ratio"): Target(1.3, ""),
    ("W5 growth", 1_000_000, "ratio"): _least(0.8, ""),
    ("memory", 10_000, "peak_mb"): Target(200, "MB"),
    ("simulate", 300, "simulated_ms"): Target(200, "ms"),
    ("explain", 10_000, "explained_ms"): Target(50, "ms"),
    ("load", None, "stored_start_ms"): Target(2, "ms"),
    ("load", None, "stored_changed_ms"): Target(2, "ms"),
    ("load", None, "code_start_ms"): Target(2, "ms"),
    ("load", None, "code_new_ms"): Target(2, "ms"),
}


#: The same of two Celery children.
CELERY_TARGETS: dict[tuple[str, int | None, str], Target] = {
    ("W1", 5000, "tasks_per_s"): _least(0.7),
    ("W1bulk", 5000, "tasks_per_s"): _least(4.0),
    ("W2", 10_000, "tasks_per_s"): _least(3.0),
    ("W4", 100, "tasks_per_s"): _least(2.5),
    ("W3", None, "first_p50_ms"): Target(12, "commits"),
    ("W3", None, "step_p50_ms"): Target(4, "commits"),
    ("idle", None, "queries_per_s"): Target(1, "/s"),
    ("idle", None, "cpu_percent"): Target(1, "%"),
}
_OF_ENGINE = {"inprocess": TARGETS, "celery-prefork-2": CELERY_TARGETS}


def target_of(subject: Subject, figure: str) -> Target | None:
    """The target for a figure, if there is one."""
    targets = _OF_ENGINE.get(subject.engine, {})
    of_any_size = targets.get((subject.workload, None, figure))
    return targets.get((subject.workload, subject.size, figure), of_any_size)
