"""``manage.py flowschema``: the JSON Schema of flow documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import flow_builder
from pgflow_django.cli.base import BadUsage, PgflowCommand
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.registry import registry

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Prints the schema, for editors of JSON, programs and language models."""

    help = "Print the JSON Schema of the documents that importflow takes."
    epilog = """\
examples:
  manage.py flowschema > flow.schema.json
  manage.py flowschema --functions csv.load csv.check
  manage.py flowschema --strict"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "--functions",
            metavar="NAME",
            nargs="+",
            help="the functions that steps may call (default: all that are registered)",
        )
        parser.add_argument(
            "--strict",
            action="store_true",
            help="the smaller document that language models are held to by their providers",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        names = options["functions"]
        for name in names or ():
            if name not in registry:
                meant = did_you_mean(nearest_names(name, registry.names()))
                raise BadUsage(f'No function "{name}" is registered.{meant}')
        self.show_json(flow_builder.flow_schema(strict=options["strict"], functions=names))
