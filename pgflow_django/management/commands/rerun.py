"""``manage.py rerun``: start a new run with what another one began with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import executor
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.inputs import read_argument
from pgflow_django.cli.runs import find_run, name_run
from pgflow_django.cli.steering import name_actor

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Starts a new run of the same input; the old one stays as it is."""

    help = """\
Start a new run with the input of another one, for the workers; the old one stays as it is. It is of
the flow as it is now. With --from it is of the old run's version, and takes over what had completed
there and does not come after that step."""
    epilog = """\
examples:
  manage.py rerun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py rerun 01a20556-1b --input '{"month": "2026-11"}'
  manage.py rerun 01a20556-1b --from report"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("run_id", metavar="RUN_ID", help="id of a run, or how it alone begins")
        parser.add_argument(
            "--input",
            metavar="JSON",
            help="another input: JSON, @FILE, or - for standard input",
        )
        parser.add_argument(
            "--from", metavar="STEP", dest="from_step", help="begin with this step, of that version"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Rerun it."""
        run = find_run(options["run_id"], using=self.using)
        given = {}
        if options["input"] is not None:
            given["input"] = read_argument(options["input"], "--input", self.say)
        started = executor.rerun(
            run.id, from_step=options["from_step"], by=name_actor(), using=self.using, **given
        )
        if self.is_json:
            self.show_json({"run_id": started.id, "rerun_of": run.id, "status": started.status})
            return
        self.stdout.write(f"{name_run(started, 'Run')} is started: a rerun of {run.id}.")
        self.say(f"How it goes on: {self.command('showrun', started.id)}")
