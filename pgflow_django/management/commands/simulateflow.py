"""``manage.py simulateflow``: how a flow would run, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.cli.base import FAILED, PgflowCommand
from pgflow_django.cli.documents import list_problems, read_source
from pgflow_django.cli.inputs import read_argument, read_outputs
from pgflow_django.cli.simulating import describe
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.runs.guessing import UNKNOWN
from pgflow_django.runs.simulating import simulate_flow

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Says how a flow would run: waves, tasks, values, effects, times, problems."""

    help = """\
Say how a flow would run, without calling a function or writing anything: waves, tasks, values,
effects, times. The exit status is 1 where something is wrong with it."""
    epilog = """\
examples:
  manage.py simulateflow airports_etl --input '{"month": 10}'
  manage.py simulateflow flow.json --outputs outputs.json --json"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "flow", metavar="FILE|FLOW", help="a JSON file (- for standard input), or a stored flow"
        )
        parser.add_argument("--input", metavar="JSON", help="the run's input: JSON, @FILE, or -")
        parser.add_argument(
            "--outputs", metavar="FILE", help="what steps gave, by their names: a JSON file, or -"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Simulate it."""
        name = options["flow"]
        source = None if is_valid_slug(name) else read_source(name, "simulateflow", self.say)
        value = read_argument(options["input"], "--input", self.say)
        found = simulate_flow(
            name if source is None else source.value,
            UNKNOWN if options["input"] is None else value,
            outputs=read_outputs(options["outputs"], "--outputs", self.say),
            using=self.using,
        )
        if self.is_json:
            self.show_json(found.to_dict())
        else:
            self.show(*describe(self.out, found))
            for line in list_problems(found.problems, source):
                self.say(line)
        if not found.ok:
            raise SystemExit(FAILED)
