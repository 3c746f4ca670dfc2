"""``manage.py retryrun``: take a failed or cancelled run up again, or hurry one that waits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pgflow_django import executor
from pgflow_django.cli.base import BadUsage, PgflowCommand
from pgflow_django.cli.execution import Execution
from pgflow_django.cli.options import read_seconds
from pgflow_django.cli.runs import find_run, name_run
from pgflow_django.cli.steering import add_task_options, name_actor, name_task, read_index

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from pgflow_django.models import WorkflowRun


class Command(PgflowCommand):
    """Leaves the rest of a run to workers, or executes it here."""

    help = """\
Take a failed or cancelled run up again: what had completed keeps its output, the rest starts
afresh with all its attempts. Workers do it, or, with --here, this process does, and prints the
output as runflow does (with the same exit statuses).

With --step the run stays paused, and only that step is tried, or with --index one task of it:
resumerun lets the others follow. With --now, tasks of a run that goes on which wait for their next
attempt have it at once."""
    epilog = """\
examples:
  manage.py retryrun 01a20556-1b45-72f6-86b0-9e2c837ad66f
  manage.py retryrun 01a20556-1b --step item --index 17
  manage.py retryrun 01a20556-1b --now
  manage.py retryrun 01a20556-1b --here --timeout 600"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("run_id", metavar="RUN_ID", help="id of a run, or how it alone begins")
        parser.add_argument("--step", metavar="STEP", help="try only this step first")
        add_task_options(parser)
        parser.add_argument(
            "--now", action="store_true", help="don't wait for the time of the next attempts"
        )
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
        task: dict[str, Any] = {"step": options["step"], "index": read_index(options["index"])}
        self._refuse_mixtures(options, task)
        run = find_run(options["run_id"], using=self.using)
        if options["now"]:
            self._hurry(run, task)
        elif options["here"]:
            self.show_json(self._execute(run, timeout))
        else:
            self._retry(run, task, hold=options["hold"])

    def _refuse_mixtures(self, options: dict[str, Any], task: dict[str, Any]) -> None:
        if task["index"] is not None and not task["step"]:
            raise BadUsage("--index needs --step: the step whose task is meant.")
        if options["here"] and (options["now"] or options["hold"] or task["step"]):
            raise BadUsage("--here executes all of the run: leave --now, --hold and --step out.")
        if options["now"] and options["hold"]:
            raise BadUsage("--now is of a run that goes on: leave --hold out.")

    def _retry(self, run: WorkflowRun, task: dict[str, Any], *, hold: bool) -> None:
        found = executor.retry_run(run.id, hold=hold, by=name_actor(), using=self.using, **task)
        if self.is_json:
            self.show_json({"run_id": run.id, "status": found.status})
            return
        if task["step"]:
            what = f"is paused, and {name_task(**task)} is tried, by the workers"
        else:
            what = "is taken up, and paused" if hold else "is started again, for the workers"
        self.stdout.write(f"{name_run(run, 'Run')} {what}.")
        self.say(f"How it goes on: {self.command('showrun', run.id)}")
        if found.status == "paused":
            self.say(f"To let the rest follow: {self.command('resumerun', run.id)}")

    def _hurry(self, run: WorkflowRun, task: dict[str, Any]) -> None:
        result = executor.retry_now(run.id, by=name_actor(), using=self.using, **task)
        if self.is_json:
            self.show_json({"run_id": run.id, "tasks": result.tasks, "status": result.status})
            return
        tasks = f"{result.tasks:,} task{'s' if result.tasks > 1 else ''}"
        verb = "have their next attempts" if result.tasks > 1 else "has its next attempt"
        self.stdout.write(f"{name_run(run, 'Run')}: {tasks} {verb} now.")

    def _execute(self, run: WorkflowRun, timeout: float | None) -> Any:
        # An empty overlay: every step has its registered function.
        retry = partial(
            executor.retry_run, run.id, step_functions={}, timeout=timeout, using=self.using
        )
        return Execution(self).resume(run.id, retry).output
