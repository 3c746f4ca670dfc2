"""``manage.py runflow``: run a flow in this process and watch it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.execution import Execution
from pgflow_django.cli.files import OutputFile
from pgflow_django.cli.flows import find_flow
from pgflow_django.cli.inputs import read_argument
from pgflow_django.cli.options import read_seconds

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Runs a flow, shows how it goes on stderr and prints its output on stdout."""

    help = """\
Run a flow in this process, with the registered step functions, and print its output as JSON.

Progress goes to stderr: a live table on a terminal, plain lines elsewhere.
Exit status: 0 completed, 1 the run failed, 2 bad usage or input, 124 timed out,
130 interrupted by Ctrl-C (the run is cancelled)."""
    epilog = """\
examples:
  manage.py runflow airports_etl
  manage.py runflow report --input '{"month": "2026-10"}' --timeout 600
  manage.py runflow report --input @input.json --diagram report.svg
  fetch-orders | manage.py runflow report --input - --json | jq .summary"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("slug", metavar="SLUG", help="the flow to run")
        parser.add_argument(
            "--input",
            metavar="JSON",
            default="{}",
            help="the run's input: JSON, @FILE, or - for standard input (default: {})",
        )
        parser.add_argument(
            "--timeout", metavar="S", help="cancel the run after so many seconds, and exit with 124"
        )
        parser.add_argument(
            "--diagram",
            metavar="FILE.svg",
            help="draw the flow at the end, with the states of its steps, failed or not",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Check everything, run, print."""
        timeout = read_seconds(options["timeout"], "--timeout")
        value = read_argument(options["input"], "--input", self.say)
        drawing = OutputFile(options["diagram"], "--diagram") if options["diagram"] else None
        execute = find_flow(options["slug"], using=self.using)
        start = partial(execute, value, timeout=timeout, using=self.using)
        self.show_json(Execution(self, drawing).run(start))
