"""Tables without lines, which lose columns where the terminal is narrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from pgflow_django.cli.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pgflow_django.cli.terminal import Terminal

Cell = str | Text


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, left out where the terminal has less than ``from_width`` columns.

    A ``flexible`` one gives way, its texts cut short, so that the others stay whole.
    """

    title: str
    from_width: int = 0
    is_number: bool = False
    is_flexible: bool = False


def build_table(
    terminal: Terminal, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]
) -> Table:
    """A table of those columns that there is room for, and anything to show in."""
    cells = [[_clean(cell) for cell in row] for row in rows]
    shown = [
        index
        for index, column in enumerate(columns)
        if column.from_width <= terminal.width and any(row[index] for row in cells)
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for index in shown:
        column = columns[index]
        title = Text(column.title, no_wrap=True)
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        # rich shrinks columns that may wrap, which the texts themselves then refuse.
        table.add_column(title, justify=justify, no_wrap=not column.is_flexible)
    for row in cells:
        for cell in row:
            cell.no_wrap = True
            cell.overflow = "ellipsis" if terminal.is_unicode else "crop"
        table.add_row(*(row[index] for index in shown))
    return table


def _clean(cell: Cell) -> Text:
    """A text in which nothing steers the terminal; colours and indents stay where they are."""
    text = Text(cell) if isinstance(cell, str) else cell
    text.plain = plain(text.plain, kept="")
    return text
