"""``manage.py mcp``: an agent on this machine talks to the site over stdin and stdout."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

from asgiref.sync import async_to_sync
from django.db import close_old_connections

from pgflow_django.agents.access import Principal
from pgflow_django.agents.policy import find_mode
from pgflow_django.agents.tokens import find_users
from pgflow_django.choices import Access
from pgflow_django.cli.base import BadUsage, PgflowCommand
from pgflow_django.cli.people import read_user

if TYPE_CHECKING:
    from django.core.management.base import CommandParser
    from mcp.server import Server


class Command(PgflowCommand):
    """Serves MCP until stdin is closed."""

    help = """\
Serve the Model Context Protocol over stdin and stdout, for an agent on this machine that starts
this command itself. It acts for a user, and only looks unless --access allows more and
PGFLOW["AGENTS"] is "write". Logs go to stderr."""
    epilog = """\
examples:
  manage.py mcp --user ann
  manage.py mcp --user ann --access run --model some-model-1"""
    has_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "--user", metavar="NAME", required=True, help="the user for whom it acts"
        )
        parser.add_argument(
            "--access",
            metavar="ACCESS",
            default=Access.READ.value,
            help=f"{', '.join(Access.values)} (default: read)",
        )
        parser.add_argument(
            "--model", metavar="NAME", default="", help="what is noted as the author of its flows"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until the client closes stdin."""
        if not self.is_process:
            self._serve(options, self.stdout)
            return
        # The thread that reads stdin would keep an interrupted process.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with _own_stdout() as stdout:
            self._serve(options, stdout)

    def _serve(self, options: dict[str, Any], stdout: Any) -> None:
        from pgflow_django.agents.mcp_server import make_server

        find_principal = self._read(options)
        server = make_server(find_principal, model=options["model"], using=self.using)
        async_to_sync(_serve)(server, stdout)

    def _read(self, options: dict[str, Any]) -> Callable[[], Principal]:
        mode, access = find_mode(), options["access"]
        if mode == "off":
            raise BadUsage('This site serves no programs: PGFLOW["AGENTS"] is "off".')
        if access not in Access.values:
            raise BadUsage(f"--access is one of {', '.join(Access.values)}, not {access!r}.")
        if find_spec("mcp") is None:
            raise BadUsage('MCP needs an extra: pip install "pgflow_django[mcp]"')
        user = read_user(options["user"])
        if not user.is_active:
            raise BadUsage(f'The user "{options["user"]}" is inactive.')
        if access != Access.READ and mode == "read":
            self.say('It only looks: PGFLOW["AGENTS"] is "read".')
        return lambda: _act_for(user, Access(access))


def _act_for(user: Any, access: Access) -> Principal:
    """The principal as the user is now; one that is gone may as little as an inactive one."""
    close_old_connections()
    now = find_users().filter(pk=user.pk).first()
    if now is None:
        now, user.is_active = user, False
    return Principal(now, access, via="stdio")


@contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """The standard output of this process; what others print meanwhile goes to stderr."""
    sys.stdout.flush()
    wire = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(wire, "w", encoding="utf-8") as stdout:
        try:
            yield stdout
        finally:
            os.dup2(wire, 1)


async def _serve(server: Server[Any], stdout: Any) -> None:
    from anyio import wrap_file
    from mcp.server.stdio import stdio_server

    try:
        async with stdio_server(stdout=wrap_file(stdout)) as (read, write):
            await server.run(read, write, server.create_initialization_options())
    except* BrokenPipeError:
        pass  # whoever read our output has gone: there is nobody to tell
