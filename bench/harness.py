"""Goes round: measures everything in turn, with C between any two, so that noise falls on all."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from bench import contracts, flows, plan
from bench.database import bench_database, level_databases
from bench.engines import ENGINES
from bench.figures import Figure, Item, Sample
from bench.growth import fill
from bench.options import Options
from bench.raw import COMMITS, RawLimits
from bench.report import QUANTITIES, Conditions, print_table, write_docs
from bench.workloads import Latency, Throughput


class Progress:
    """Lines on standard error, or nothing."""

    def __init__(self, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._began = perf_counter()

    def say(self, text: str) -> None:
        """Print a line, with the seconds since the start."""
        if not self._is_quiet:
            print(f"{perf_counter() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


def run(options: Options) -> None:
    """Measure, check, print. Raises ``WrongResult`` and ``Refused``."""
    progress = Progress(options.is_quiet)
    progress.say("making a database")
    with _databases(options, progress), RawLimits() as limits:
        warm_up(options)
        conditions = Conditions.found()
        figures = _measure(plan.items(options, limits), options.rounds, limits, progress)
    figures += plan.ratios(figures)
    for figure in figures:
        print(json.dumps(figure.subject.line(figure.medians())), flush=True)
    if not options.is_quiet:
        print_table(figures, conditions)
    if options.writes_docs:
        write_docs(figures, conditions, is_full=options.is_full)


@contextmanager
def _databases(options: Options, progress: Progress) -> Iterator[None]:
    levels = plan.levels(options)
    with bench_database():
        flows.install()
        contracts.install()
        with level_databases(levels):
            for level in levels:
                progress.say(f"W5: making {level:,} finished tasks")
                fill(ENGINES[0], options.scaled(level) if level else 0, f"level_{level}")
            yield


def warm_up(options: Options) -> None:
    """Run each flow that is measured once: whatever is made at the first time is made now.

    And no other: a commit that is compared may not know what the others use.
    """
    for engine in ENGINES:
        Latency(engine, 1).measure()
        for name, shape, is_bulk, sizes, large in plan.THROUGHPUT:
            if any(options.wants(name, size) for size in sizes + large):
                Throughput(engine, shape, 1, is_bulk).measure()


def _measure(items: list[Item], rounds: int, limits: RawLimits, progress: Progress) -> list[Figure]:
    """Measure all items once a round; first of what comes back is C itself."""
    commits = Figure(COMMITS)
    figures = [Figure(item.subject) for item in items]

    def measure_commits() -> float:
        rate = limits.commits_per_second()
        commits.add({"per_s": rate}, rate)
        return rate

    before = measure_commits()
    for number in range(rounds):
        progress.say(f"round {number + 1} of {rounds}, C = {before:,.0f}/s")
        for item, figure in zip(items, figures, strict=True):
            if item.rounds is not None and number >= item.rounds:
                continue
            sample = item.measure()
            after = measure_commits()
            figure.add(sample, (before + after) / 2)
            progress.say(_describe(item, sample, figure.commits[-1]))
            before = after
    _relate_commits(commits)
    return [commits, *figures]


def _relate_commits(commits: Figure) -> None:
    """C is the measure of everything: in multiples of it, show how much it moved."""
    middle = commits.medians()["per_s"]
    commits.commits = [middle] * len(commits.samples)


def _describe(item: Item, sample: Sample, commits: float) -> str:
    shown = []
    for name, value in sample.items():
        if name not in QUANTITIES:
            continue
        quantity = QUANTITIES[name]
        text = f"{value:,.4g} {quantity.unit}"
        if quantity.relation == "C":
            text += f" = {value / commits:.2f} C"
        shown.append(text)
    return f"  {item.subject.label:18} {', '.join(shown)}"
