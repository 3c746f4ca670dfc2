"""The base of all commands: database alias, JSON, and errors as one message with a status.

Exit statuses: 0 it worked, 1 it was tried and failed (a run, the database), 2 bad usage or input,
124 timed out, 128 + n interrupted by signal n.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from argparse import RawDescriptionHelpFormatter
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, router

from pgflow_django import engine
from pgflow_django.cli.terminal import Terminal
from pgflow_django.cli.words import plain, plain_json
from pgflow_django.definitions.answers import tell
from pgflow_django.definitions.problems import Problem
from pgflow_django.exceptions import (
    DatabaseNotReady,
    DraftConflict,
    PgflowError,
    RunCancelled,
    RunFailed,
    RunTimedOut,
    TrialNeedsConsent,
)
from pgflow_django.models import Workflow
from pgflow_django.storage.moments import with_zone
from pgflow_django.storage.trouble import database_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from django.core.management.base import CommandParser
    from rich.console import RenderableType

FAILED, BAD_USAGE, TIMED_OUT = 1, 2, 124

_STATUSES: dict[type[PgflowError], int] = {
    RunTimedOut: TIMED_OUT,
    RunFailed: FAILED,
    RunCancelled: FAILED,
    DatabaseNotReady: FAILED,
}
#: What errors know beside code and message.
_FACTS = (
    "run_id",
    "step_slug",
    "task_index",
    "attempt",
    "error_code",
    "error_type",
    "error_message",
)
#: The same, told where there is anything to tell.
_OTHER_FACTS = ("messages", "edited_by", "field", "suggestions", "fix")


class BadUsage(PgflowError):
    """An option or argument that makes no sense."""

    default_code = "bad_usage"


class StoppedBySignal(PgflowError):
    """A signal ended the command; the message says what became of its work."""

    default_code = "interrupted"

    def __init__(
        self, message: str, signum: int = signal.SIGINT, run_id: UUID | None = None
    ) -> None:
        """``run_id`` is the run that was executed."""
        super().__init__(message)
        self.signum = signum
        self.run_id = run_id


class Error(CommandError):
    """How a command ends that can't do what it was asked; Django prints the class's name first."""


class Interrupted(Error):
    """How a command ends after a signal."""


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's order of options, and our texts as they were written."""


class MomentEncoder(DjangoJSONEncoder):
    """Django's, which leaves the time zone out where the site's moments have none."""

    def default(self, o: Any) -> Any:
        """What stands for a value that JSON does not have."""
        return super().default(with_zone(o) if isinstance(o, datetime) else o)


class PgflowCommand(BaseCommand):
    """A command about flows. Users' errors end it with one message, never with a traceback."""

    #: Shown below the options: examples.
    epilog: ClassVar[str] = ""
    has_json: ClassVar[bool] = True

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Make the parser, with examples at the end of the help."""
        kwargs.setdefault("formatter_class", HelpFormatter)
        kwargs.setdefault("epilog", self.epilog)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options that all commands have; subclasses add theirs before."""
        if self.has_json:
            parser.add_argument(
                "--json",
                action="store_true",
                help="print nothing but JSON, on stdout: errors as well",
            )
        parser.add_argument(
            "--database",
            metavar="ALIAS",
            choices=tuple(connections),
            help="the database to use (default: the one that holds the flows)",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; see the module for exit statuses."""
        self.options = options
        self.using = options.get("database") or router.db_for_write(Workflow)
        try:
            with database_errors(self.using), engine.starting_as("", "command"):
                output = super().execute(*args, **options)
                self.stdout.flush()
                return output
        except (CommandError, PgflowError) as error:
            self._fail(error)
        except KeyboardInterrupt:
            self._fail(StoppedBySignal("nothing more is done."))
        except BrokenPipeError:
            # Whoever read our output has gone: there is nobody to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(128 + signal.SIGPIPE) from None

    @cached_property
    def out(self) -> Terminal:
        """Standard output, for what was asked for."""
        return Terminal(self.stdout, self.options)

    @cached_property
    def err(self) -> Terminal:
        """Standard error, for everything else."""
        return Terminal(self.stderr, self.options)

    @property
    def is_process(self) -> bool:
        """Whether the process is there for this command alone, and ends with it."""
        return bool(getattr(self, "_called_from_command_line", False))

    @property
    def is_json(self) -> bool:
        """Whether only JSON may be printed."""
        return bool(self.options.get("json"))

    def show(self, *renderables: RenderableType) -> None:
        """Print tables and texts on stdout."""
        console = self.out.console
        with console.capture() as captured:
            for renderable in renderables:
                console.print(renderable)
        text = captured.get()
        if not console.is_terminal:
            # Columns are filled up with spaces, which nobody who reads a pipe wants.
            text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
        self.out.stream.write(text)

    def show_json(self, value: Any) -> None:
        """Print a value as JSON on stdout."""
        self.stdout.write(self.to_json(value))

    def to_json(self, value: Any) -> str:
        """JSON text for stdout, with letters of all languages as far as it can show them."""
        text = plain_json(json.dumps(value, indent=2, ensure_ascii=False, cls=MomentEncoder))
        if self.out.can_show(text):
            return text
        return json.dumps(value, indent=2, cls=MomentEncoder)

    def say(self, text: str, style: Callable[[str], str] = str) -> None:
        """Tell a person something, on stderr; silent with ``--json`` and ``--verbosity 0``."""
        if not self.is_json and self.options.get("verbosity", 1) > 0:
            self.stderr.write(plain(text), style)

    def command(self, name: str, *arguments: object) -> str:
        """The command line of another command, on the same database."""
        words = ["python manage.py", name, *map(str, arguments)]
        if self.options.get("database"):
            words += ["--database", self.using]
        return " ".join(words)

    def _fail(self, error: CommandError | PgflowError) -> NoReturn:
        status = exit_status(error)
        if self.is_json:
            self.show_json({"error": describe(error)})
            if not self.options.get("traceback"):
                raise SystemExit(status) from error
        if isinstance(error, CommandError):
            raise error
        # Notes are advice to a person.
        message = plain("\n".join([error.message, *getattr(error, "__notes__", ())]))
        kind = Interrupted if isinstance(error, StoppedBySignal) else Error
        raise kind(message, returncode=status) from error


def exit_status(error: CommandError | PgflowError) -> int:
    """The exit status of a command that ends with this error."""
    if isinstance(error, CommandError):
        return error.returncode
    if isinstance(error, StoppedBySignal):
        return 128 + error.signum
    return next(
        (status for kind, status in _STATUSES.items() if isinstance(error, kind)), BAD_USAGE
    )


def tell_problems(problems: Sequence[Problem]) -> dict[str, Any]:
    """The first problems for JSON, and how many ``more`` there are, if there are."""
    told = tell(problems)
    return told if told["more"] else {"problems": told["problems"]}


def describe(error: CommandError | PgflowError) -> dict[str, Any]:
    """An error as a JSON object: ``code``, ``message``, and whatever else it knows."""
    if isinstance(error, CommandError):
        return {"code": "command_error", "message": str(error)}
    facts = {name: getattr(error, name, None) for name in _FACTS}
    known = {name: value for name, value in facts.items() if value is not None}
    known |= {name: value for name in _OTHER_FACTS if (value := getattr(error, name, None))}
    if isinstance(error, TrialNeedsConsent):
        known["steps"] = [
            {"step_slug": step, "function": name, "effects": effects}
            for step, name, effects in error.steps
        ]
    if isinstance(error, DraftConflict) and error.draft is not None:
        known["draft"] = {"version": error.draft.version}
    if missing := getattr(error, "missing", None):
        known["missing"] = [{"step_slug": step, "function": name} for step, name in missing]
    if problems := getattr(error, "problems", None):
        is_of_flow = all(isinstance(problem, Problem) for problem in problems)
        known |= tell_problems(problems) if is_of_flow else {"problems": list(problems)}
    if text := getattr(error, "traceback", None):
        known["traceback"] = text
    return {"code": error.code, "message": error.message, **known}
