"""``--compare REF``: the working tree beside a commit, in turn, in one run on one server."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import Subject
from bench.harness import Progress
from bench.options import JUDGED, Options
from bench.report import QUANTITIES, STEADY, label, make_console, make_table, short
from bench.sides import SIDES, folders_and_databases, running

#: What may be left of a figure that is judged.
LEAST = 0.97
JUDGED_FIGURES = ("tasks_per_s", "first_p50_ms", "step_p50_ms")
FIGURES = (*JUDGED_FIGURES, "run_p50_ms", "run_p95_ms", "stored_start_ms", "code_start_ms")
HEADINGS = ("What", "Before", "After", "Times as fast", "Rounds", "")


@dataclass
class Comparison:
    """A figure of one workload on both sides, measurement by measurement."""

    number: int
    subject: Subject
    name: str
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times as fast it has become.

        It is the median of the ratios of neighbours, not the ratio of the medians: what slows a
        machine for a while falls on both of a pair.
        """
        pairs = [*zip(self.before, self.after, strict=True)]
        if self.name.endswith("_ms"):
            return median(before / after for before, after in pairs)
        return median(after / before for before, after in pairs)

    @property
    def is_judged(self) -> bool:
        """Whether it must not become worse."""
        return self.subject.workload in JUDGED and self.name in JUDGED_FIGURES

    @property
    def is_worse(self) -> bool:
        """Whether it has become so much worse that it must not be."""
        return self.is_judged and self.ratio < LEAST

    @property
    def spread(self) -> float:
        """By which factor the same code differed from one time to another."""
        return max(max(side) / min(side) for side in (self.before, self.after))

    def line(self) -> dict[str, Any]:
        """Its JSON object."""
        values = {"before": median(self.before), "after": median(self.after), "ratio": self.ratio}
        line = self.subject.line(values)
        return line | {"figure": self.name, "is_worse": self.is_worse}

    def row(self) -> tuple[str, ...]:
        """Its cells in the table."""
        quantity = QUANTITIES[self.name]
        before, after = (f"{short(median(x))} {quantity.unit}" for x in (self.before, self.after))
        verdict = "✗" if self.is_worse else "✓" if self.is_judged else ""
        rounds = str(len(self.before) // 2)
        return label(self.subject, quantity), before, after, f"{self.ratio:.3f}", rounds, verdict


class Contest:
    """All comparisons, as far as they have come."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._found: dict[tuple[int, str], Comparison] = {}

    def comparisons(self) -> list[Comparison]:
        """Every figure of every workload."""
        return [*self._found.values()]

    def go_round(self, turn: int, only: Collection[int] = ()) -> None:
        """Measure all workloads, or those of these numbers, twice on both sides.

        The side that comes first in one pair comes last in the other, and in the next turn it is
        the other's to begin. Each turn has new processes: some are faster than others all along.
        """
        with running(self._folder) as sides:
            counts = {side.count() for side in sides}
            first, last = sides if turn % 2 == 0 else reversed(sides)
            for number in only or range(counts.pop()):
                for order in ((first, last), (last, first)):
                    lines = {side.name: side.measure(number) for side in order}
                    self._keep(number, *(lines[name] for name in SIDES))

    def _keep(self, number: int, before: dict[str, Any], after: dict[str, Any]) -> None:
        subject = Subject(*(before[key] for key in ("engine", "workload", "size", "procs")))
        for name in FIGURES:
            if name not in before:
                continue
            found = self._found.setdefault((number, name), Comparison(number, subject, name))
            found.before.append(before[name])
            found.after.append(after[name])
            shown = f"{before[name]:>8,.4g} {after[name]:>8,.4g} {QUANTITIES[name].unit}"
            self._progress.say(f"  {subject.label:14} {name:12} {shown}")


def compare(options: Options) -> int:
    """Measure and print; 1 where something that is judged has become worse, else 0.

    Raises ``WrongResult`` and ``Refused``.
    """
    progress = Progress(options.is_quiet)
    with folders_and_databases(options.compare) as folder:
        contest = Contest(folder, progress)
        for turn in range(options.rounds):
            progress.say(f"round {turn + 1} of {options.rounds}")
            contest.go_round(turn)
        doubtful = sorted({each.number for each in contest.comparisons() if each.is_worse})
        for turn in range(options.rounds * bool(doubtful)):
            progress.say(f"round {turn + 1} of {options.rounds} more, of what seems slower")
            contest.go_round(turn, doubtful)
    found = contest.comparisons()
    for comparison in found:
        print(json.dumps(comparison.line()), flush=True)
    if not options.is_quiet:
        _print_tables(found, options.compare)
    return int(any(comparison.is_worse for comparison in found))


def _print_tables(comparisons: Sequence[Comparison], ref: str) -> None:
    console = make_console()
    for engine in dict.fromkeys(each.subject.engine for each in comparisons):
        title = f"{engine}: the working tree (after) and {ref} (before)"
        found = (each.row() for each in comparisons if each.subject.engine == engine)
        console.print(make_table(title, HEADINGS, found))
    for doubt in _doubts(comparisons):
        console.print(doubt)


def _doubts(comparisons: Sequence[Comparison]) -> Iterator[str]:
    spread = max((each.spread for each in comparisons if each.is_judged), default=1)
    if spread >= STEADY:
        yield f"The same code differed by a factor of {spread:.0f}: the machine was busy."
