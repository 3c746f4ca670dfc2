"""The figures as a table: on a terminal, and in ``docs/performance.md``."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

from django.db import connection
from rich import box
from rich.console import Console
from rich.table import Table

from bench.figures import Figure, Subject
from bench.targets import target_of

DOCS = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN = (
    "<!-- figures: everything down to the end mark is written by python -m bench --write-docs -->"
)
END = "<!-- end of figures -->"


class Quantity(NamedTuple):
    """How a figure reads: what it is, its unit, and the unit of its relation to C."""

    what: str
    unit: str
    relation: str


QUANTITIES = {
    "per_s": Quantity("", "/s", "C"),
    "tasks_per_s": Quantity("", "tasks/s", "C"),
    "first_p50_ms": Quantity("start to first step, p50", "ms", "commits"),
    "first_p95_ms": Quantity("start to first step, p95", "ms", "commits"),
    "step_p50_ms": Quantity("step to step, p50", "ms", "commits"),
    "step_p95_ms": Quantity("step to step, p95", "ms", "commits"),
    "run_p50_ms": Quantity("whole run, p50", "ms", "commits"),
    "run_p95_ms": Quantity("whole run, p95", "ms", "commits"),
    "runs_per_s": Quantity("started in fact", "/s", ""),
    "stored_start_ms": Quantity("stored flow: all of a start", "ms", "commits"),
    "stored_changed_ms": Quantity("stored flow: more after a change", "ms", "commits"),
    "code_start_ms": Quantity("code flow: all of a start", "ms", "commits"),
    "code_new_ms": Quantity("code flow: more in a new process", "ms", "commits"),
    "code_changed_ms": Quantity("code flow: more after a change", "ms", "commits"),
    "simulated_ms": Quantity("", "ms", ""),
    "explained_ms": Quantity("", "ms", ""),
    "peak_mb": Quantity("peak of the process", "MB", ""),
    "queries_per_s": Quantity("queries", "/s", ""),
    "cpu_percent": Quantity("CPU", "%", ""),
    "ratio": Quantity("", "", ""),
}
NAMES = {
    "commit 1 client": "commit 1 client = C (a Python client's)",
    "W1": "W1 chains",
    "W1code": "W1 chains, the flow in code",
    "W1bulk": "W1 chains, started by one call",
    "W2": "W2 map",
    "W2kb": "W2 map, items of 0.8 KB",
    "W2typed": "W2 map, items of 0.8 KB, pydantic models",
    "W3": "W3 line of 10 steps",
    "W4": "W4 fan of 50",
    "W5": "W1:500 beside finished tasks",
    "load": "Definition, steps",
    "simulate": "Simulating a flow, steps",
    "explain": "Explaining a failed run, tasks",
    "memory": "Memory for W2",
    "idle": "A worker with nothing to do",
    "W2 growth": "Cost of a task against W2:1000",
    "W5 growth": "W1 against empty tables",
    "code to stored": "Flow in code against stored, W1",
    "contracts": "Contracts against none, W2 with 0.8 KB",
}
NAMES_WITH_CELERY = {"load": "W1 chains, so many started a second"}
HEADINGS = ("What", "Median", "In C or commits", "Range of rounds", "Rounds", "Target", "")
"""A rate is given in C, a duration in the time of one commit."""
STEADY = 3.0
"""C may move by this factor before the figures are in doubt."""


@dataclass(frozen=True)
class Conditions:
    """Where the figures were measured."""

    server: str
    processors: int
    load: float

    @classmethod
    def found(cls) -> Self:
        """Those of now."""
        with connection.cursor() as cursor:
            cursor.execute("show server_version")
            version = cursor.fetchone()[0]
        return cls(f"PostgreSQL {version.split()[0]}", os.cpu_count() or 1, os.getloadavg()[0])

    def __str__(self) -> str:
        python = f"Python {platform.python_version()}"
        return f"{self.processors} cores, load {self.load:.1f} before, {self.server}, {python}"


def rows(figures: Sequence[Figure]) -> Iterator[tuple[str, ...]]:
    """The cells of each row, as text."""
    for figure in figures:
        for name, value in figure.medians().items():
            if name not in QUANTITIES:
                continue
            quantity = QUANTITIES[name]
            related = figure.in_commits(name)
            target = target_of(figure.subject, name)
            yield (
                label(figure.subject, quantity),
                f"{short(value)} {quantity.unit}".strip(),
                f"{short(median(related))} {quantity.relation}" if quantity.relation else "",
                f"{short(min(related))} to {short(max(related))}",
                str(len(related)),
                str(target or ""),
                target.verdict(value, median(related)) if target else "",
            )


def label(subject: Subject, quantity: Quantity) -> str:
    """What a row is about."""
    names = NAMES if subject.engine == "inprocess" else NAMES | NAMES_WITH_CELERY
    name = names.get(subject.workload, subject.workload)
    size = "" if subject.size is None else f": {subject.size:,}"
    return f"{name}{size}{', ' if quantity.what else ''}{quantity.what}"


def short(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def doubts(figures: Sequence[Figure]) -> str:
    """What speaks against the figures, if anything does."""
    rates = [sample["per_s"] for sample in figures[0].samples]  # C itself comes first
    spread = max(rates) / min(rates)
    if spread < STEADY:
        return ""
    return f"C moved by a factor of {spread:.0f}: the machine was busy, so don't trust these."


def print_table(figures: Sequence[Figure], conditions: Conditions) -> None:
    """Print the figures of each engine on standard error."""
    console = make_console()
    for engine in dict.fromkeys(figure.subject.engine for figure in figures):
        of_engine = [figure for figure in figures if figure.subject.engine == engine]
        console.print(make_table(f"{engine}: {conditions}", HEADINGS, rows(of_engine)))
    console.print(doubts(figures))


def make_table(title: str, headings: Sequence[str], cells: Iterable[Sequence[str]]) -> Table:
    """A table of text, but for the numbers in the columns after the first."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for heading in headings:
        is_number = heading in headings[1:5]
        table.add_column(heading, justify="right" if is_number else "left")
    for row in cells:
        table.add_row(*row)
    return table


def make_console() -> Console:
    """Standard error, wide enough for our tables also where it is no terminal."""
    return Console(file=sys.stderr, width=None if sys.stderr.isatty() else 140)


def write_docs(figures: Sequence[Figure], conditions: Conditions, *, is_full: bool) -> None:
    """Put the figures between the marks in ``docs/performance.md``."""
    text = DOCS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    command = "make bench-full" if is_full else "make bench"
    day = datetime.now(tz=UTC).date()
    intro = f"`{command}` on {day}: {conditions};\nmedians of the rounds. {doubts(figures)}"
    lines = [intro.strip(), "", *_markdown(figures)]
    body = "\n".join([BEGIN, "", *lines, "", END])
    DOCS.write_text(f"{before}{body}{after}", encoding="utf-8")


def _markdown(figures: Sequence[Figure]) -> Iterator[str]:
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|---|---:|---:|---:|---:|---|---|"
    for row in rows(figures):
        yield f"| {' | '.join(row)} |"
