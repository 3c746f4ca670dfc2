"""What is measured, and the figures that came of it, round by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median
from typing import Any

#: Figures by name. ``*per_s`` are rates, ``*_ms`` durations; the names are those of the JSON.
Sample = dict[str, float]


@dataclass(frozen=True)
class Subject:
    """What figures are about: the head of their JSON line."""

    engine: str
    workload: str
    size: int | None = None
    procs: int | None = None

    @property
    def label(self) -> str:
        """Its name in a table."""
        return self.workload if self.size is None else f"{self.workload}:{self.size}"

    def line(self, values: Sample) -> dict[str, Any]:
        """The JSON object for these figures."""
        head = {"engine": self.engine, "workload": self.workload, "size": self.size}
        line = head | {name: _rounded(value) for name, value in values.items()}
        return {k: v for k, v in (line | {"procs": self.procs}).items() if v is not None}


@dataclass(frozen=True)
class Item:
    """Something to measure, at most ``rounds`` times if that is given."""

    subject: Subject
    measure: Callable[[], Sample]
    rounds: int | None = None


@dataclass
class Figure:
    """The samples of one subject, each with the C (commits per second) measured around it."""

    subject: Subject
    samples: list[Sample] = field(default_factory=list)
    commits: list[float] = field(default_factory=list)

    def add(self, sample: Sample, commits: float) -> None:
        """Keep the sample of one more round."""
        self.samples.append(sample)
        self.commits.append(commits)

    def medians(self) -> Sample:
        """Each figure's median over the rounds."""
        return median_sample(self.samples)

    def in_commits(self, name: str) -> list[float]:
        """A figure of each round in multiples of C, or of the time of one commit; else as it is."""
        pairs = zip(self.samples, self.commits, strict=True)
        return [relate(name, sample[name], commits) for sample, commits in pairs]


def median_sample(samples: Sequence[Sample]) -> Sample:
    """The median of each figure."""
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def relate(name: str, value: float, commits: float) -> float:
    """A figure as a multiple of C (rates) or of the time of one commit (durations)."""
    if name in ("per_s", "tasks_per_s"):
        return value / commits
    return value * commits / 1000 if name.endswith("_ms") else value


def ratio(subject: Subject, name: str, over: Figure, under: Figure) -> Figure:
    """How two subjects, measured one after the other, compare round by round."""
    pairs = zip(over.samples, under.samples, strict=False)
    samples = [{"ratio": first[name] / second[name]} for first, second in pairs]
    return Figure(subject, samples, [1.0] * len(samples))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not exceeded by ``percent`` of them."""
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def _rounded(value: float) -> float:
    """Four digits of a measured figure; a whole number stays one."""
    rounded = value if value == int(value) else float(f"{value:.4g}")
    return int(rounded) if rounded == int(rounded) else rounded
