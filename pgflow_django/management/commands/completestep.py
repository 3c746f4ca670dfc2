"""``manage.py completestep``: give a step its output by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgflow_django.cli.inputs import read_argument
from pgflow_django.cli.steering import DecidingCommand
from pgflow_django.runs import control

if TYPE_CHECKING:
    from typing import Any

    from django.core.management.base import CommandParser

    from pgflow_django.models import WorkflowRun
    from pgflow_django.runs.control import ControlResult


class Command(DecidingCommand):
    """Completes a step of a run by hand, or one task of a map."""

    help = """\
Give a step of a run its output, or, with --index, one task of a map, in place of its function. That
of a whole map is a list with an element for each of its tasks. A failed or cancelled run is taken
up again."""
    epilog = """\
examples:
  manage.py completestep 01a20556-1b45-72f6-86b0-9e2c837ad66f approve --output '{"ok": true}'
  manage.py completestep 01a20556-1b item --index 17 --output @item.json --hold"""

    done = "completed"

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--output",
            metavar="JSON",
            required=True,
            help="what it gives: JSON, @FILE, or - for standard input",
        )

    def decide(self, run: WorkflowRun, **task: Any) -> ControlResult:
        """Complete it."""
        task["output"] = read_argument(self.options["output"], "--output", self.say)
        return control.complete_step(run.id, **task)
