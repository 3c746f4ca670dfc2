"""``manage.py runflow``: run a flow in this process or on the workers, and watch it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pgflow_django import executor
from pgflow_django.cli.base import BadUsage, PgflowCommand
from pgflow_django.cli.execution import Execution
from pgflow_django.cli.files import OutputFile
from pgflow_django.cli.flows import find_flow
from pgflow_django.cli.inputs import read_argument, read_outputs
from pgflow_django.cli.options import read_seconds
from pgflow_django.cli.targets import FlowTarget, TrialTarget

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from pgflow_django.cli.targets import Target


class Command(PgflowCommand):
    """Runs a flow, shows how it goes on stderr and prints its output on stdout."""

    help = """\
Run a flow in this process, with the registered step functions, and print its output as JSON.
With --celery, workers run it, and this process watches.

Progress goes to stderr: a live table on a terminal, plain lines elsewhere.
Exit status: 0 completed, 1 the run failed, 2 bad usage or input, 124 timed out,
130 interrupted by Ctrl-C (the run is cancelled)."""
    epilog = """\
examples:
  manage.py runflow airports_etl
  manage.py runflow report --input '{"month": "2026-10"}' --timeout 600
  manage.py runflow report --input @input.json --diagram report.svg
  manage.py runflow report --celery --timeout 3600
  manage.py runflow report --detach
  manage.py runflow report --draft --given outputs.json --until summary
  fetch-orders | manage.py runflow report --input - --json | jq .summary"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("slug", metavar="FLOW", help="the flow to run")
        parser.add_argument(
            "--input",
            metavar="JSON",
            default="{}",
            help="the run's input: JSON, @FILE, or - for standard input (default: {})",
        )
        parser.add_argument(
            "--celery", action="store_true", help="let Celery workers run it, and follow it"
        )
        parser.add_argument(
            "--detach",
            action="store_true",
            help="let workers run it, print its id and don't wait for it",
        )
        parser.add_argument(
            "--draft",
            action="store_true",
            help="try the flow's draft as it is now, without publishing it",
        )
        parser.add_argument(
            "--given",
            metavar="FILE",
            help="with --draft: outputs of steps that are not called then, {step: output}: a JSON "
            "file, or - for standard input",
        )
        parser.add_argument(
            "--until", metavar="STEP", help="with --draft: leave out what comes after this step"
        )
        parser.add_argument(
            "--yes",
            action="store_true",
            help="with --draft: call functions that change something, or don't say whether they do",
        )
        parser.add_argument(
            "--timeout", metavar="S", help="cancel the run after so many seconds, and exit with 124"
        )
        parser.add_argument(
            "--diagram",
            metavar="FILE.svg",
            help="draw the flow at the end, with the states of its steps, failed or not",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Check everything, run, print."""
        timeout = read_seconds(options["timeout"], "--timeout")
        if options["detach"]:
            self._refuse_to_wait(options)
        value = read_argument(options["input"], "--input", self.say)
        drawing = options["diagram"]
        drawing = None if drawing is None else OutputFile(drawing, "--diagram")
        target = self._find_target(options)
        if options["detach"]:
            self._detach(target, value)
            return
        execution = Execution(self, drawing)
        run = execution.follow if options["celery"] else execution.execute
        self.show_json(run(target, value, timeout))

    def _find_target(self, options: dict[str, Any]) -> Target:
        if not options["draft"]:
            for name in ("given", "until", "yes"):
                if options[name] not in {None, False}:
                    raise BadUsage(f"--{name} is for trials of drafts: add --draft.")
            return FlowTarget(find_flow(options["slug"], using=self.using))
        outputs = read_outputs(options["given"], "--given", self.say)
        return TrialTarget(options["slug"], outputs, options["until"], options["yes"])

    def _refuse_to_wait(self, options: dict[str, Any]) -> None:
        for name in ("timeout", "diagram"):
            if options[name] is not None:
                raise BadUsage(f"--{name} needs the end of the run, and --detach doesn't wait.")

    def _detach(self, target: Target, value: Any) -> None:
        run = target.start(value, using=self.using)
        status = executor.get_run_status(run.id, using=self.using)
        waiting = status.waiting
        if self.is_json:
            self.show_json(
                {
                    "run_id": run.id,
                    "workflow_slug": run.workflow_slug,
                    "is_trial": status.is_trial,
                    "status": status.status,
                    "waiting": asdict(waiting) if waiting else None,
                }
            )
            return
        self.stdout.write(str(run.id))
        if waiting and waiting.needs_help:
            self.say(f"It waits: {waiting.message}")
        self.say(f"How it goes on: {self.command('showrun', run.id)}")
