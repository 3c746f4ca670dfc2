"""``manage.py exportflow``: a flow as a document, as Python code, or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgflow_django import flow_builder
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.diagram import draw_flow
from pgflow_django.cli.files import OutputFile
from pgflow_django.cli.words import plain_xml
from pgflow_django.definitions.edits import export_python

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

_FORMATS = {".svg": "svg", ".py": "python"}


class Command(PgflowCommand):
    """Writes a flow as JSON, which ``importflow`` takes, as Python, or as SVG."""

    help = """\
Export a flow: as the JSON document that importflow takes, as Python code that makes it, or as a
picture."""
    epilog = """\
examples:
  manage.py exportflow airports_etl > airports_etl.json
  manage.py exportflow airports_etl --format python --output airports_etl.py
  manage.py exportflow airports_etl --format svg --output airports_etl.svg"""
    has_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("slug", metavar="FLOW", help="the flow")
        parser.add_argument(
            "--format",
            choices=("json", "python", "svg"),
            help="json (the default), python for calls of flow_builder, or svg for a picture",
        )
        parser.add_argument(
            "--output",
            metavar="FILE",
            help="where to write it (default: stdout); the endings .svg and .py tell the format",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Export it."""
        name = options["output"]
        output = None if name in {None, "-"} else OutputFile(name, "--output")
        kind = options["format"] or _FORMATS.get(Path(str(name)).suffix.lower(), "json")
        if kind == "svg":
            flow = flow_builder.get_flow(options["slug"], using=self.using)
            text = plain_xml(draw_flow(flow))
        else:
            document = flow_builder.export_flow(options["slug"], using=self.using)
            is_python = kind == "python"
            text = export_python(document) if is_python else self.to_json(document) + "\n"
        if output is None:
            self.stdout.write(text, ending="")
        else:
            output.write(text)
            self.say(f"Wrote {output.path}.")
