"""Commands that do one thing to several runs: cancel, pause or resume them."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pgflow_django.cli.base import BAD_USAGE, Error, PgflowCommand, describe
from pgflow_django.cli.options import read_count
from pgflow_django.cli.runs import find_run, name_run
from pgflow_django.exceptions import ActionRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

    from pgflow_django.models import WorkflowRun
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


def add_task_options(parser: CommandParser) -> None:
    """Define what commands about a step of a run share."""
    parser.add_argument("--index", metavar="I", help="only this task of a map, from 0")
    parser.add_argument("--hold", action="store_true", help="leave the run paused")


def read_index(value: Any) -> int | None:
    """The index of a task; ``None`` where none was given."""
    return None if value is None else read_count(value, "--index", least=0)


def name_task(step: str, index: int | None) -> str:
    """A step, or a task of it, as sentences call it."""
    return f'step "{step}"' if index is None else f'task {index:,} of step "{step}"'


class DecidingCommand(PgflowCommand):
    """Decides a step of a run, or one task of a map, in place of its function."""

    #: The word for what was done.
    done: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("run_id", metavar="RUN_ID", help="id of a run, or how it alone begins")
        parser.add_argument("step", metavar="STEP", help="a step of it")
        add_task_options(parser)
        parser.add_argument(
            "--reason", metavar="TEXT", default="", help="what the run's events say about it"
        )
        super().add_arguments(parser)

    def decide(self, run: WorkflowRun, **task: Any) -> ControlResult:
        """Do it; ``task`` has what the functions of ``runs.control`` take."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Decide it, and say what came of it."""
        index = read_index(options["index"])
        run = find_run(options["run_id"], using=self.using)
        result = self.decide(
            run,
            step=options["step"],
            index=index,
            hold=options["hold"],
            reason=options["reason"],
            by=name_actor(),
            using=self.using,
        )
        if self.is_json:
            told = {"run_id": run.id, "tasks": result.tasks, "steps": list(result.steps)}
            self.show_json({**told, "status": result.status})
            return
        what = f"{name_task(options['step'], index)} is {self.done}"
        others = [step for step in result.steps if step != options["step"]]
        also = f", and so are {', '.join(others)}" if others and self.done == "skipped" else ""
        self.stdout.write(f"{name_run(run, 'Run')}: {what}{also}. It is {result.status}.")
        if result.status == "paused":
            self.say(f"To let it go on: {self.command('resumerun', run.id)}")
