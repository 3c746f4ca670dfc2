"""``manage.py cancelrun``: end runs before their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import executor
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.runs import find_run, name_run

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Cancels runs; those that have ended already stay as they are."""

    help = """\
Cancel runs: nothing of them is started any more. Step functions that run just now go on to
their end, and their results are refused. Runs that have ended already stay as they are."""
    epilog = """\
examples:
  manage.py cancelrun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py cancelrun 01a20556-1b 01a20556-95 --reason "wrong month\""""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "run_ids", metavar="RUN_ID", nargs="+", help="id of a run, or how it alone begins"
        )
        parser.add_argument(
            "--reason",
            metavar="TEXT",
            default="cancelled by manage.py cancelrun",
            help="what the run's events say about it",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Find all runs first: nothing is cancelled where one of the ids is wrong."""
        runs = [find_run(text, using=self.using) for text in options["run_ids"]]
        answers = []
        for run in {run.id: run for run in runs}.values():
            had_ended = run.ended_at is not None
            status = executor.cancel_run(run.id, reason=options["reason"], using=self.using).status
            is_cancelled = status == "cancelled" and not had_ended
            answers.append({"run_id": run.id, "cancelled": is_cancelled, "status": status})
            if not self.is_json:
                what = "cancelled" if is_cancelled else f"had ended already: {status}"
                self.stdout.write(f"{name_run(run, 'Run')}: {what}.")
        if self.is_json:
            self.show_json(answers)
