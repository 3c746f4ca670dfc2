"""``manage.py listfunctions``: the step functions that are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.functions import describe, search
from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.words import one_line, plural
from pgflow_django.registry import registry

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

_COLUMNS = (
    Column("FUNCTION"),
    Column("INPUT", is_flexible=True),
    Column("PARAMS", from_width=80, is_flexible=True),
    Column("OUTPUT", is_flexible=True),
    Column("EFFECTS", from_width=100),
    Column("TAGS", from_width=120, is_flexible=True),
    Column("SUMMARY", from_width=60, is_flexible=True),
)


class Command(PgflowCommand):
    """Lists step functions with what they declare."""

    help = "List the step functions that are registered here, with what they read and return."
    epilog = """\
examples:
  manage.py listfunctions
  manage.py listfunctions csv --json"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "query",
            metavar="QUERY",
            nargs="?",
            default="",
            help="only functions that have these words in their name, tags or docs",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """List them."""
        functions = [describe(found) for found in search(options["query"])]
        if self.is_json:
            self.show_json(functions)
            return
        if functions:
            rows = [self._row(function) for function in functions]
            self.show(build_table(self.out, _COLUMNS, rows))
        elif options["query"]:
            count = plural(len(registry.names()), "function")
            self.say(f'No function has "{options["query"]}" in it, of {count}.')
        if not registry.own_names():
            text = "No functions of yours yet. Register one with @step_function"
            self.say(f"{text} in a steps.py of an app.")

    def _row(self, function: dict[str, Any]) -> list[Text | str]:
        effects = function["effects"]
        return [
            function["name"],
            *(function["types"][side] for side in ("input", "params", "output")),
            "" if effects == "unknown" else effects,
            ", ".join(function["tags"]),
            Text(one_line(function["summary"]), "dim"),
        ]
