"""Commands that do one thing to several runs: cancel, pause or resume them."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pgflow_django.cli.base import BAD_USAGE, Error, PgflowCommand, describe
from pgflow_django.cli.runs import find_run, name_run
from pgflow_django.exceptions import ActionRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

    from pgflow_django.runs.control import ControlResult


def name_actor() -> str:
    """Who acts by a command, as events keep it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "?"
    return f"command:{user}@{socket.gethostname()}"


class SteeringCommand(PgflowCommand):
    """Acts on runs by their ids; what is so already stays as it is."""

    #: A function of ``runs.control``, and the words for what it did, and for what it found.
    act: ClassVar[Callable[..., ControlResult]]
    done: ClassVar[str]
    found: ClassVar[str]
    reason: ClassVar[str] = ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "run_ids", metavar="RUN_ID", nargs="+", help="id of a run, or how it alone begins"
        )
        parser.add_argument(
            "--reason",
            metavar="TEXT",
            default=self.reason,
            help="what the run's events say about it",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Find all runs first: nothing is done where one of the ids is wrong."""
        runs = [find_run(text, using=self.using) for text in options["run_ids"]]
        answers, refused = [], []
        for run in {run.id: run for run in runs}.values():
            try:
                result = type(self).act(
                    run.id, reason=options["reason"], by=name_actor(), using=self.using
                )
            except ActionRefused as error:
                refused.append(error)
                answers.append({"run_id": run.id, self.done: False, "error": describe(error)})
                continue
            answers.append({"run_id": run.id, self.done: result.did, "status": result.status})
            if not self.is_json:
                what = self.done if result.did else f"{self.found}: {result.status}"
                self.stdout.write(f"{name_run(run, 'Run')}: {what}.")
        if self.is_json:
            self.show_json(answers)
        if refused:
            self._refuse(refused)

    def _refuse(self, errors: list[ActionRefused]) -> NoReturn:
        """End as a command does that can't do all of it; the rest is done."""
        if self.is_json:
            raise SystemExit(BAD_USAGE)
        raise Error("\n".join(error.message for error in errors), returncode=BAD_USAGE)
