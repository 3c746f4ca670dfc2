"""The report of the demo's flow, as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from project.rows import MISSING, states

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = 10
TOP_STATES = 8
BAR_WIDTH = 24
MISSING_MARK = "-"


def show_report(console: Console, report: dict[str, Any]) -> None:
    """Print what `report_airports` returned: counts, reasons, examples, states."""
    console.print(_summary(report))
    if report["rejected"]:
        console.print(_reasons(report["reasons"]))
        console.print(_examples(report["rejected_rows"]))
    block = "█" if console.encoding.startswith("utf") else "#"
    console.print(_states(report["states"], block))


def _summary(report: dict[str, Any]) -> Text:
    return Text.assemble(
        ("\nAirports: ", "bold"),
        f"{report['rows']:,} rows read, ",
        (f"{report['loaded']:,} loaded", "bold green"),
        f" ({report['new']:,} of them new), ",
        (f"{report['rejected']:,} rejected", "bold yellow" if report["rejected"] else ""),
        ".\n",
    )


def _table(title: str, *columns: str) -> Table:
    """Make a table; a column whose name begins with > has numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        is_number = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if is_number else "left")
    return table


def _reasons(reasons: dict[str, int]) -> Table:
    table = _table("Why rows were rejected", ">Rows", "Reason")
    for reason, count in Counter(reasons).most_common():
        table.add_row(str(count), reason)
    return table


def _examples(rejected: list[dict[str, Any]]) -> Table:
    shown = min(EXAMPLES, len(rejected))
    title = f"{shown} of the {len(rejected)} rejected rows"
    table = _table(title, ">Line", "Code", "Name", "State", "Place", "Reasons")
    for entry in _varied(rejected)[:shown]:
        row = entry["row"]
        state = MISSING_MARK if row["state"] in MISSING else row["state"]
        place = f"{row['latitude']:.5} {row['longitude']:.6}"
        reasons = "; ".join(entry["reasons"])
        table.add_row(str(row["line"]), row["iata"], row["name"], state, place, reasons)
    return table


def _varied(rejected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order rows so that each combination of reasons shows before one shows twice."""
    seen: Counter[str] = Counter()
    ranks = []
    for position, entry in enumerate(rejected):
        reasons = "; ".join(entry["reasons"])
        ranks.append((seen[reasons], position))
        seen[reasons] += 1
    return [rejected[position] for _, position in sorted(ranks)]


def _states(counts: dict[str, int], block: str) -> Table:
    top = Counter(counts).most_common(TOP_STATES)
    table = _table(
        f"Most airports, of {len(counts)} states and territories", "State", ">Airports", ""
    )
    for code, count in top:
        bar = Text(block * max(1, round(BAR_WIDTH * count / top[0][1])), "cyan")
        table.add_row(states()[code].name, str(count), bar)
    return table
