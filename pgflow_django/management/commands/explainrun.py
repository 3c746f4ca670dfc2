"""``manage.py explainrun``: why a run stands as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.explaining import describe
from pgflow_django.cli.runs import find_run
from pgflow_django.runs.explaining import explain_run

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Says why a run failed, waits, was cancelled or took so long, and what to do next."""

    help = "Say why a run failed, waits, was cancelled or took so long, and what to do next."
    epilog = """\
examples:
  manage.py explainrun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py explainrun 01a20556-1b --json | jq .next"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("run_id", metavar="RUN", help="id of a run, or how it alone begins")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Explain it."""
        run = find_run(options["run_id"], using=self.using)
        explanation = explain_run(run.id, using=self.using)
        if self.is_json:
            self.show_json(explanation.to_dict())
        else:
            self.show(*describe(self.out, explanation))
