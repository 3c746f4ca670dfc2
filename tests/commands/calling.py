"""Calling commands: in this process, in another one, on a pseudo terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

ROOT = Path(__file__).parent.parent.parent
#: Seconds after which a command hangs.
PATIENCE = 60
_ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True)
class Answer:
    """What a command wrote, and its exit status."""

    stdout: str
    stderr: str
    status: int

    @property
    def json(self) -> Any:
        """stdout as JSON: all of it, or it is none."""
        return json.loads(self.stdout)


@contextmanager
def nothing_to_read() -> Iterator[None]:
    """A standard input that is at its end: ``mcp`` serves until then."""
    before = sys.stdin
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = before


def call(name: str, *arguments: str, **options: Any) -> Answer:
    """Call a command in this process."""
    stdout, stderr, status = StringIO(), StringIO(), 0
    try:
        call_command(name, *arguments, stdout=stdout, stderr=stderr, no_color=True, **options)
    except CommandError as error:
        # What manage.py does with it.
        stderr.write(f"{type(error).__name__}: {error}\n")
        status = error.returncode
    except SystemExit as error:
        status = int(error.code or 0)
    return Answer(stdout.getvalue(), stderr.getvalue(), status)


def database_url() -> str:
    """Where another process finds the tests' database."""
    settings = {**connection.settings_dict, **connection.settings_dict.get("OPTIONS", {})}
    lower = {key.lower(): settings.get(key) for key in ("HOST", "PORT", "USER", "PASSWORD")}
    parameters = {key: value or settings.get(key) for key, value in lower.items()}
    query = urlencode({key: value for key, value in parameters.items() if value})
    return f"postgresql:///{quote(connection.settings_dict['NAME'])}?{query}"


def environment(**extra: str) -> dict[str, str]:
    """The environment of a process that works on the tests' database."""
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        **extra,
    }


def command_line(*arguments: str) -> list[str]:
    """``manage.py`` with arguments."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def spawn(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Begin a command in a process of its own."""
    return subprocess.Popen(
        command_line(*arguments),
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Answer:
    """Wait for the end of a process."""
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Answer(stdout, stderr, process.returncode)


def manage(*arguments: str, env: Mapping[str, str] | None = None) -> Answer:
    """Run a command in a process of its own, to its end."""
    return finish(spawn(*arguments, env=env))


@dataclass(frozen=True)
class Screen:
    """What a command wrote to a terminal."""

    raw: str
    status: int

    @property
    def text(self) -> str:
        """Without what steers the terminal."""
        return _ANSI.sub("", self.raw).replace("\r", "")

    @property
    def last_picture(self) -> str:
        """What was written since the cursor went up for the last time."""
        return _ANSI.sub("", re.split(r"\x1b\[\d*A", self.raw)[-1]).replace("\r", "")


def on_terminal(
    *arguments: str,
    columns: int = 100,
    lines: int = 40,
    env: Mapping[str, str] | None = None,
    ctrl_c_when: Callable[[str], bool] | None = None,
) -> Screen:
    """Run a command on a pseudo terminal of that size.

    Ctrl-C is pressed once ``ctrl_c_when`` is true of what was written so far.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    variables = environment(**{"TERM": "xterm-256color", **(env or {})})
    for name in ("COLUMNS", "LINES", "NO_COLOR", "CI"):
        variables.pop(name, None)
    process = subprocess.Popen(
        command_line(*arguments),
        env=variables,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        # In a session of its own, whose terminal this is: Ctrl-C is a signal then.
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(theirs)
    written = b""
    while part := _read(ours):
        written += part
        if ctrl_c_when and ctrl_c_when(written.decode(errors="ignore")):
            os.write(ours, b"\x03")
            ctrl_c_when = None
    os.close(ours)
    return Screen(written.decode(), process.wait(PATIENCE))


def _read(terminal: int) -> bytes:
    """What was written since, once there is something; nothing at the end."""
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other side is closed
        return b""
