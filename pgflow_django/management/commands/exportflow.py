"""``manage.py exportflow``: a flow as a document or as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import flow_builder
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.diagram import draw_flow
from pgflow_django.cli.files import OutputFile

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Writes a flow as JSON, which ``importflow`` takes, or as SVG."""

    help = "Export a flow: as the JSON document that importflow takes, or as a picture."
    epilog = """\
examples:
  manage.py exportflow airports_etl > airports_etl.json
  manage.py exportflow airports_etl --format svg --output airports_etl.svg"""
    has_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("slug", metavar="SLUG", help="the flow")
        parser.add_argument(
            "--format", choices=("json", "svg"), help="json (the default), or svg for a picture"
        )
        parser.add_argument(
            "--output",
            metavar="FILE",
            help="where to write it (default: stdout); the ending .svg means --format svg",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Export it."""
        name = options["output"]
        output = OutputFile(name, "--output") if name and name != "-" else None
        kind = options["format"] or ("svg" if str(name).lower().endswith(".svg") else "json")
        if kind == "svg":
            text = draw_flow(flow_builder.get_flow(options["slug"], using=self.using))
        else:
            text = self.to_json(flow_builder.export_flow(options["slug"], using=self.using)) + "\n"
        if output is None:
            self.stdout.write(text, ending="")
        else:
            output.write(text)
            self.say(f"Wrote {output.path}.")
