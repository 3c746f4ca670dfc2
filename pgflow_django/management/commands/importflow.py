"""``manage.py importflow``: store a flow document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from pgflow_django import flow_builder
from pgflow_django.cli.base import PgflowCommand, tell_problems
from pgflow_django.cli.documents import list_problems, read_source
from pgflow_django.cli.words import one_line, plural
from pgflow_django.definitions.edits.differences import Change, compare
from pgflow_django.definitions.shape import read_document, write_document
from pgflow_django.exceptions import InvalidDocument, WorkflowExists, WorkflowNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.core.management.base import CommandParser

    from pgflow_django.definitions.problems import Problem
    from pgflow_django.definitions.source import Source

_SIGNS = {
    "added": ("+", "SUCCESS"),
    "removed": ("-", "ERROR"),
    "changed": ("~", "WARNING"),
    "moved": ("~", "WARNING"),
}
#: Changes that are told.
_TOLD = 50


class Command(PgflowCommand):
    """Stores a flow from a document: all of it or nothing."""

    help = """\
Store a flow from a JSON document (see exportflow), all of it or nothing. What is wrong with the
document is told with the lines, what it changes in a flow that is there before it is stored."""
    epilog = """\
examples:
  manage.py importflow flow.json --dry-run
  manage.py importflow flow.json --replace
  generate-flow | manage.py importflow -"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
        parser.add_argument(
            "--replace", action="store_true", help="change the flow if it is there already"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="tell problems and changes, store nothing"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, validate, compare, store."""
        source = read_source(options["file"], "importflow", self.say)
        problems = self._validate(source)
        with transaction.atomic(using=self.using):
            changes, action = self._store(source.value)
            transaction.set_rollback(options["dry_run"], using=self.using)
        slug = source.value["workflow_slug"]
        if self.is_json:
            self.show_json(
                {
                    "workflow_slug": slug,
                    "action": action,
                    "dry_run": options["dry_run"],
                    "changes": [change.to_dict() for change in changes],
                    **tell_problems(problems),
                }
            )
        else:
            self._tell_end(slug, action, source.value)

    def _store(self, document: dict[str, Any]) -> tuple[list[Change], str]:
        """Make the stored flow what the document says; what that changed, and in a word."""
        slug, is_dry_run = document["workflow_slug"], self.options["dry_run"]
        try:
            before = flow_builder.export_flow(slug, using=self.using)
        except WorkflowNotFound:
            flow_builder.create_flow_from_spec(document, using=self.using)
            return [], "created"
        changes = compare(before, write_document(read_document(document)))
        if not changes:
            return [], "unchanged"
        self._tell_changes(slug, changes)
        if not (self.options["replace"] or is_dry_run):
            raise WorkflowExists(
                f'flow "{slug}" is there already, and the document differs from it. Nothing was '
                "stored; --replace stores it."
            )
        flow_builder.create_flow_from_spec(document, replace=True, using=self.using)
        return changes, "changed"

    def _validate(self, source: Source) -> Sequence[Problem]:
        """Tell all problems, and give them; raise ``InvalidDocument`` if one is an error."""
        problems = flow_builder.validate_flow(source.value)
        lines = list_problems(problems, source)
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors:
            count = plural(len(errors), "error")
            text = "\n".join([f"nothing was stored, the document has {count}.", *lines])
            raise InvalidDocument(text, code=errors[0].code, problems=problems)
        for line in lines:
            self.say(line, self.style.WARNING)
        return problems

    def _tell_changes(self, slug: str, changes: Sequence[Change]) -> None:
        if self.is_json:
            return
        self.stdout.write(f'{plural(len(changes), "change")} of flow "{slug}":')
        for change in changes[:_TOLD]:
            sign, colour = _SIGNS[change.kind]
            self.stdout.write(f"  {sign} {one_line(str(change))}", getattr(self.style, colour))
        if len(changes) > _TOLD:
            self.stdout.write(f"  and {plural(len(changes) - _TOLD, 'more change')}")

    def _tell_end(self, slug: str, action: str, document: dict[str, Any]) -> None:
        steps = plural(len(document.get("steps", [])), "step")
        if action == "unchanged":
            self.stdout.write(f'Flow "{slug}" is as the document says: nothing to change.')
        elif self.options["dry_run"]:
            would = "create" if action == "created" else "change"
            need = "" if action == "created" or self.options["replace"] else ", with --replace"
            self.stdout.write(f'Would {would} flow "{slug}", {steps}{need}. Nothing was stored.')
        else:
            self.stdout.write(f'Flow "{slug}" is {action}, {steps}.')
            self.say(f"Look at it: {self.command('showflow', slug)}")
