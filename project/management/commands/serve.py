"""`manage.py serve`: the demo site with its web server and a Celery worker, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from project import flows
from project.settings import BASE_DIR

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

NAME, PASSWORD = "demo", "demo"
#: Seconds that the web server and the worker get to end by themselves.
PATIENCE = 15
#: Addresses that only this machine reaches: there programs may write.
LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}


def add_address(parser: CommandParser) -> None:
    """Take the address of the demo site."""
    parser.add_argument(
        "address", nargs="?", default="127.0.0.1:8000", help="host:port (127.0.0.1:8000)"
    )


class Command(BaseCommand):
    """Prepare the demo site and run it."""

    help = (
        "Migrate, make the demo user and the demo flows, then run the web server and a Celery "
        "worker until Ctrl-C. Example: manage.py serve 127.0.0.1:9000"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address."""
        add_address(parser)
        parser.add_argument(
            "--workers", type=int, default=2, help="processes of the worker; 0: no worker (2)"
        )

        parser.add_argument(
            "--noreload", action="store_true", help="don't restart when the code changes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, then run both until one of them or the user ends."""
        if not settings.DEBUG:
            raise CommandError("The demo site has a known password: it runs with DEBUG only.")
        call_command("migrate", verbosity=0)
        self._make_user()
        for slug in flows.install_all():
            self.stdout.write(f"Installed the flow {slug}.")
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGHUP, _interrupt)
        children = self._start(options)
        try:
            _wait_for_answer(options["address"], children["web server"])
            address = f"http://{options['address']}/admin/"
            self.stdout.write(f"\nOpen {address} and log in as {NAME}, password {PASSWORD}.")
            self.stdout.write(f"Agents: http://{options['address']}/agents/mcp/, with a token.")
            self.stdout.write("Ctrl-C ends the web server and the worker.\n")
            self.stdout.flush()
            ended = _wait_for_one(children)
        except KeyboardInterrupt:
            self.stdout.write("\nStopping ...")
            _stop(children)
            return
        _stop(children)
        raise CommandError(f"The {ended} has ended by itself; see above for why.")

    def _make_user(self) -> None:
        users = get_user_model().objects
        if not users.filter(username=NAME).exists():
            users.create_superuser(NAME, password=PASSWORD)
            self.stdout.write(f"Made the user {NAME}.")

    def _start(self, options: dict[str, Any]) -> dict[str, subprocess.Popen[bytes]]:
        """Start both in groups of their own: they are to end when we say so, and in order."""
        python, manage = sys.executable, str(BASE_DIR / "manage.py")
        extra = ["--noreload"] if options["noreload"] else []
        commands = {"web server": [python, manage, "runserver", options["address"], *extra]}
        if options["workers"]:
            size = ["--concurrency", str(options["workers"])]
            worker = ["worker", *size, "--loglevel", "WARNING"]
            commands["worker"] = [python, "-m", "celery", "-A", "project", "--quiet", *worker]
        host = options["address"].rpartition(":")[0]
        mode = "write" if host in LOOPBACK else "read"
        env = {**os.environ, "PGFLOW_AGENTS": mode}
        return {
            name: subprocess.Popen(command, cwd=BASE_DIR, env=env, start_new_session=True)
            for name, command in commands.items()
        }


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _wait_for_answer(address: str, server: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens at the address, or the server has ended."""
    host, _, port = address.rpartition(":")
    while server.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), 1).close()
            return
        time.sleep(0.1)


def _wait_for_one(children: dict[str, subprocess.Popen[bytes]]) -> str:
    """Return the name of the first child that ends."""
    while True:
        for name, child in children.items():
            if child.poll() is not None:
                return name
        time.sleep(0.2)


def _stop(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """End every child with all that it has started; those that don't want to are killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for child in children.values():
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    for child in children.values():
        try:
            child.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
