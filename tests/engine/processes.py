"""Processes of their own, to be killed in the middle of their work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from tests.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_PROLOGUE = """
import json, os, sys, threading, time
from pathlib import Path
from django.conf import settings
settings.DATABASES["default"].update(json.loads(os.environ["ENGINE_TEST_DATABASE"]))
settings.PGFLOW = json.loads(os.environ["ENGINE_TEST_SETTINGS"])
import django
django.setup()
from pgflow_django import executor, step_function

def say(word):
    with Path(sys.argv[1]).open("a") as file:
        file.write(word + "\\n")
"""


class Process:
    """A Python process on the test's database; what it says (one word a line) can be waited for."""

    def __init__(self, popen: subprocess.Popen[bytes], words: Path) -> None:
        self._popen = popen
        self._words = words

    def said(self) -> list[str]:
        """Everything that it has said."""
        return self._words.read_text().split() if self._words.exists() else []

    def wait_for(self, word: str, count: int = 1) -> None:
        """Wait until it has said a word so many times."""

        def has_said() -> bool:
            if self._popen.poll() not in (None, -signal.SIGKILL):
                _, errors = self._popen.communicate()
                raise AssertionError(f"the process has ended: {errors.decode()}")
            return self.said().count(word) >= count

        wait_until(has_said, f"the process to say {word!r}")

    def kill(self) -> None:
        """SIGKILL: it can't say goodbye to anybody."""
        self._popen.kill()
        self._popen.communicate()

    def interrupt(self) -> None:
        """SIGINT, as Ctrl-C sends it."""
        self._popen.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for its own end; its exit status."""
        self._popen.communicate(timeout=30)
        return self._popen.returncode


@contextmanager
def process(folder: Path, script: str, **pgflow: Any) -> Iterator[Process]:
    """Run a script in a process of its own; it is killed at the end in any case."""
    words = folder / "words"
    path = folder / "script.py"
    path.write_text(_PROLOGUE + script)
    keys = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        "ENGINE_TEST_DATABASE": json.dumps({key: connection.settings_dict[key] for key in keys}),
        "ENGINE_TEST_SETTINGS": json.dumps(pgflow),
    }
    with subprocess.Popen(
        [sys.executable, str(path), str(words)],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as popen:
        running = Process(popen, words)
        try:
            yield running
        finally:
            if popen.poll() is None:
                running.kill()
