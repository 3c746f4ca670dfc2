"""A simulated flow, as ``simulateflow`` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.words import duration, plural, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from pgflow_django.cli.terminal import Terminal
    from pgflow_django.runs.simulation import Seconds, SimulatedStep, Simulation

_COLUMNS = (
    Column("WAVE", is_number=True),
    Column("STEP", is_flexible=True),
    Column("FUNCTION", from_width=80, is_flexible=True),
    Column("TASKS", is_number=True),
    Column("EFFECTS", from_width=60),
    Column("TIME", from_width=60),
    Column("OUTPUT", is_flexible=True),
    Column("FROM"),
)
#: Characters of a value that are shown.
_SHOWN = 200


def describe(terminal: Terminal, found: Simulation) -> Iterator[RenderableType]:
    """All of it but the problems, for a person."""
    if not found.steps:
        return
    ordered = sorted(found.steps, key=lambda step: step.wave)
    yield build_table(terminal, _COLUMNS, [_row(step) for step in ordered])
    totals = found.totals
    count = plural(totals.tasks, "task")
    if any(step.tasks is None for step in found.steps):
        count = f"at least {count}"
    yield Text(
        f"\n{count}, {totals.tasks_at_most:,} with all attempts, {totals.most_at_once:,} at once; "
        f"{_say(totals.critical_path_seconds)} from start to end"
    )
    yield Text(f"output  {shorten(found.output or {}, _SHOWN)}")


def _row(step: SimulatedStep) -> list[Text | str]:
    return [
        f"{step.wave:,}",
        step.slug,
        "" if step.function == step.slug else step.function,
        "?" if step.tasks is None else f"{step.tasks:,}",
        step.effects,
        _say(step.seconds),
        "" if step.output_from == "unknown" else shorten(step.output, _SHOWN),
        Text(step.output_from, "dim"),
    ]


def _say(seconds: Seconds) -> str:
    if seconds.source == "history":
        return duration(seconds.p50)
    return "" if seconds.source == "none" else f"at most {duration(seconds.p95)}"
