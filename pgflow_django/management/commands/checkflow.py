"""``manage.py checkflow``: tell what is wrong with a flow document, and repair it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import flow_builder
from pgflow_django.cli.base import FAILED, PgflowCommand
from pgflow_django.cli.documents import list_problems, read_source
from pgflow_django.cli.words import plural
from pgflow_django.definitions.answers import answer, is_valid, tell
from pgflow_django.exceptions import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.core.management.base import CommandParser

    from pgflow_django.definitions.problems import Problem
    from pgflow_django.definitions.source import Source


class Command(PgflowCommand):
    """Validates a document; stores nothing, and needs no database."""

    help = """\
Tell what is wrong with a flow document (see exportflow), without storing anything. With --fix,
print it with all fixed that can be fixed without asking: nothing that it says is lost. The exit
status is 1 where there are errors; with --fix, where any are left."""
    epilog = """\
examples:
  manage.py checkflow flow.json
  manage.py checkflow flow.json --fix > fixed.json
  generate-flow | manage.py checkflow - --json"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
        parser.add_argument(
            "--fix", action="store_true", help="print the repaired document, and what is left"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, validate, repair."""
        try:
            source = read_source(options["file"], "checkflow", self.say)
        except InvalidDocument as error:  # too much to look at: that is what is wrong with it
            self._tell(error.problems, None)
            raise SystemExit(FAILED) from None
        if options["fix"]:
            problems = self._fix(source.value)
        else:
            problems = flow_builder.validate_flow(source.value)
            self._tell(problems, source)
        if not is_valid(problems):
            raise SystemExit(FAILED)

    def _tell(self, problems: Sequence[Problem], source: Source | None) -> None:
        if self.is_json:
            nothing = {"valid": False, **tell(problems), "repair": None}
            self.show_json(answer(source.value, flow_builder.validate_flow) if source else nothing)
            return
        for line in list_problems(problems, source):
            self.stdout.write(line)
        self.stdout.write(f"{plural(len(problems), 'problem')}." if problems else "No problems.")
        if any(problem.certain for problem in problems):
            self.say(f"Fix what is certain: {self.command('checkflow', 'FILE', '--fix')}")

    def _fix(self, document: Any) -> Sequence[Problem]:
        """Print the repaired document; the problems that are left."""
        repaired = flow_builder.repair_flow(document)
        if self.is_json:
            told = {"valid": is_valid(repaired.problems), **tell(repaired.problems)}
            self.show_json({**told, "patch": repaired.patch, "document": repaired.document})
        else:
            self.stdout.write(self.to_json(repaired.document))
            self.say(f"{plural(len(repaired.applied), 'problem is', 'problems are')} fixed.")
            for line in list_problems(repaired.problems):
                self.say(f"left: {line}")
        return repaired.problems
