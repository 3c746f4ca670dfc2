"""``manage.py simulateflow``: how a flow would run, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import drafts
from pgflow_django.cli.base import FAILED, BadUsage, PgflowCommand
from pgflow_django.cli.documents import list_problems, read_source
from pgflow_django.cli.inputs import read_argument, read_outputs
from pgflow_django.cli.simulating import describe
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.models import Workflow
from pgflow_django.runs.guessing import UNKNOWN
from pgflow_django.runs.simulating import simulate_flow

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from pgflow_django.definitions.source import Source


class Command(PgflowCommand):
    """Says how a flow would run: waves, tasks, values, effects, times, problems."""

    help = """\
Say how a flow would run, without calling a function or writing anything: waves, tasks, values,
effects, times. The exit status is 1 where something is wrong with it."""
    epilog = """\
examples:
  manage.py simulateflow airports_etl --input '{"month": 10}'
  manage.py simulateflow airports_etl --draft
  manage.py simulateflow flow.json --outputs outputs.json --json"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "flow",
            metavar="FILE|FLOW",
            help="a JSON file (- for standard input), a stored flow, or a draft not published yet",
        )
        parser.add_argument(
            "--draft",
            action="store_true",
            help="the flow's draft as it is now, in place of what is published",
        )
        parser.add_argument("--input", metavar="JSON", help="the run's input: JSON, @FILE, or -")
        parser.add_argument(
            "--outputs", metavar="FILE", help="what steps gave, by their names: a JSON file, or -"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Simulate it."""
        flow, source = self._find(options["flow"], is_draft=options["draft"])
        value = read_argument(options["input"], "--input", self.say)
        found = simulate_flow(
            flow,
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

    def _find(self, name: str, *, is_draft: bool) -> tuple[Any, Source | None]:
        """What to simulate, and the text that it was read from."""
        if is_valid_slug(name):
            stored = Workflow.objects.using(self.using).filter(workflow_slug=name)
            if not is_draft and stored.exists():
                return name, None
            return drafts.load(name, using=self.using).document, None
        if is_draft:
            raise BadUsage("--draft needs the name of a flow, and documents have no drafts.")
        source = read_source(name, "simulateflow", self.say)
        return source.value, source
