"""``manage.py skipstep``: let a run go on without a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflow_django.cli.steering import DecidingCommand
from pgflow_django.runs import control

if TYPE_CHECKING:
    from typing import Any

    from django.core.management.base import CommandParser

    from pgflow_django.models import WorkflowRun
    from pgflow_django.runs.control import ControlResult


class Command(DecidingCommand):
    """Skips a step of a run, or one task of a map."""

    help = """\
Let a run go on without a step, or, with --index, without one task of a map. A skipped step is null
to those that wait for it, and missing in the run's output; a skipped task is null in its map's
list. A failed or cancelled run is taken up again."""
    epilog = """\
examples:
  manage.py skipstep 01a20556-1b45-72f6-86b0-9e2c837ad66f notify
  manage.py skipstep 01a20556-1b item --index 17 --reason "no such customer"
  manage.py skipstep 01a20556-1b fetch --downstream"""

    done = "skipped"

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--downstream", action="store_true", help="skip all that comes after the step, too"
        )

    def decide(self, run: WorkflowRun, **task: Any) -> ControlResult:
        """Skip it."""
        return control.skip_step(run.id, downstream=self.options["downstream"], **task)
