"""``manage.py showrun``: what happened in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.options import read_count
from pgflow_django.cli.report import Report
from pgflow_django.cli.runs import find_run

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Shows a run with its steps, failed attempts and events."""

    help = "Show a run: its steps with counts and times, failed attempts, events."
    epilog = """\
examples:
  manage.py showrun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py showrun 01a20556-1b --json | jq .output"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("run_id", metavar="RUN_ID", help="id of a run, or how it alone begins")
        parser.add_argument(
            "--limit",
            metavar="N",
            default=20,
            help="the last so many failed attempts, and as many events (default: 20)",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Show it."""
        limit = read_count(options["limit"], "--limit")
        run = find_run(options["run_id"], using=self.using)
        report = Report(run, limit=limit, using=self.using)
        if self.is_json:
            self.show_json(report.to_dict())
            return
        self.show(*report.render(self.out, timezone.now()))
        if run.status in {"failed", "cancelled"}:
            self.say(f"\nTake it up again: {self.command('retryrun', run.id, '--here')}")
        elif not report.view.has_ended:
            self.say(f"\nCancel it: {self.command('cancelrun', run.id)}")
