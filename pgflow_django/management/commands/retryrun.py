"""``manage.py retryrun``: take a failed or cancelled run up again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pgflow_django import executor
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.execution import Execution
from pgflow_django.cli.options import read_seconds
from pgflow_django.cli.runs import find_run, name_run

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from pgflow_django.models import WorkflowRun


class Command(PgflowCommand):
    """Leaves the rest of a run to workers, or executes it here."""

    help = """\
Take a failed or cancelled run up again: what had completed keeps its output, the rest starts
afresh with all its attempts. Workers do it, or, with --here, this process does, and prints the
output as runflow does (with the same exit statuses)."""
    epilog = """\
examples:
  manage.py retryrun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py retryrun 01a20556-1b --here --timeout 600"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("run_id", metavar="RUN_ID", help="id of a run, or how it alone begins")
        parser.add_argument(
            "--here", action="store_true", help="execute it in this process, and wait for its end"
        )
        parser.add_argument(
            "--timeout", metavar="S", help="with --here: cancel it again after so many seconds"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Retry it."""
        timeout = read_seconds(options["timeout"], "--timeout")
        run = find_run(options["run_id"], using=self.using)
        if options["here"]:
            self.show_json(self._execute(run, timeout))
            return
        executor.retry_run(run.id, using=self.using)
        if self.is_json:
            self.show_json({"run_id": run.id, "status": "started"})
            return
        self.stdout.write(f"{name_run(run, 'Run')} is started again, for the workers.")
        self.say(f"How it goes on: {self.command('showrun', run.id)}")

    def _execute(self, run: WorkflowRun, timeout: float | None) -> Any:
        # An empty overlay: every step has its registered function.
        retry = partial(
            executor.retry_run, run.id, step_functions={}, timeout=timeout, using=self.using
        )
        return Execution(self).resume(run.id, retry).output
