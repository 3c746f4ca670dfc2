"""The server of one data folder: its locks, its start, its stop and its keeper."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from project.embedded import cluster
from project.embedded.accounts import server_account
from project.embedded.errors import EmbeddedServerError, failed

EXAMINE = "pg_ctl: could not start server\nExamine the log output.\n"
START_SECONDS = 120
"""How long a start may take, crash recovery included."""


class Server:
    """The server of one data folder. Holds no state: the folder and the locks do."""

    def __init__(self, folder: Path) -> None:
        """Look at `folder`; nothing is read or made yet."""
        self.folder = folder
        self.sockets = cluster.socket_folder(folder)
        self.log = folder / cluster.OURS / "server.log"

    # -- use -------------------------------------------------------------------------------------

    def join(self) -> ExitStack:
        """Start the server unless it runs; what is given ends the use when it is closed.

        Raises EmbeddedServerError or OSError.
        """
        programs = cluster.program_folder()
        cluster.make_folder(self.folder)
        with self._lock("start", fcntl.LOCK_EX), ExitStack() as use:
            use.enter_context(self._lock("users", fcntl.LOCK_SH))
            use.enter_context(self._lock("watched", fcntl.LOCK_SH))
            self._make_ready(programs)
            return use.pop_all()

    def stop_if_unused(self) -> bool:
        """Stop the server if no process uses it. Says whether it is down now, or never was."""
        with suppress(FileNotFoundError), self._lock("start", fcntl.LOCK_EX):
            try:
                with self._lock("users", fcntl.LOCK_EX | fcntl.LOCK_NB):
                    self._stop()
            except BlockingIOError:
                return False
        return True

    def keep(self) -> None:
        """Wait until nobody uses the server, however they ended, and stop it: the keeper's life."""
        with suppress(FileNotFoundError):
            while True:
                with self._lock("watched", fcntl.LOCK_EX):
                    pass  # nobody held it for an instant; whether that lasts is decided below
                if self.stop_if_unused():
                    return
                time.sleep(0.02)

    @contextmanager
    def _lock(self, name: str, operation: int) -> Iterator[None]:
        descriptor = self._open_lock(name)
        try:
            fcntl.flock(descriptor, operation)
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        path = self.folder / cluster.OURS / f"{name}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        account = server_account(self.folder)
        if account is not None:
            os.fchown(descriptor, account.pw_uid, account.pw_gid)
        return descriptor

    # -- look ------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """Say whether the server runs and accepts connections."""
        lines = self._postmaster_file()
        return len(lines) > 7 and lines[7].strip() == "ready" and self.process() is not None

    def process(self) -> psutil.Process | None:
        """Find the running server. A process that only re-uses its number works elsewhere."""
        try:
            process = psutil.Process(int(self._postmaster_file()[0]))
            return process if self.folder.samefile(process.cwd()) else None
        except (IndexError, ValueError, OSError, psutil.Error):
            return None

    def _postmaster_file(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text(errors="replace").splitlines()
        except OSError:
            return []

    # -- start and stop --------------------------------------------------------------------------

    def _make_ready(self, programs: Path) -> None:
        """Come back when the server accepts connections. The caller holds both locks."""
        cluster.prepare(self.folder, programs)
        cluster.initialise(self.folder, programs)
        cluster.check(self.folder)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process() is None:
                self._start(programs)
            elif time.monotonic() > deadline:
                raise failed("the server does not become ready.", self.folder, self._log_text())
            time.sleep(0.02)

    def _start(self, programs: Path) -> None:
        # Nobody runs here, so these are a dead server's. PostgreSQL would stop at the number of a
        # process that is not it, or that is dead and not yet reaped.
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        (self.sockets / f".s.PGSQL.{cluster.PORT}.lock").unlink(missing_ok=True)
        self._spawn_keeper()
        # fsync, synchronous_commit and full_page_writes stay on, as PostgreSQL has them.
        options = {
            "listen_addresses": "",
            "port": cluster.PORT,
            "unix_socket_directories": str(self.sockets),
            "max_connections": "200",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log_size = len(self._log_text())
        log = str(self.log.relative_to(self.folder))
        command = ("start", "-w", "-t", str(START_SECONDS), "-s", "-l", log)
        program = programs / "pg_ctl"
        result = cluster.run(self.folder, program, *command, "-o", shlex.join(arguments))
        if result.returncode and self.process() is None:
            details = self._log_text()[log_size:] or result.stderr.removesuffix(EXAMINE)
            raise failed("the server does not start.", self.folder, details)

    def _stop(self) -> None:
        with suppress(EmbeddedServerError):
            program = cluster.program_folder() / "pg_ctl"
            for mode in ("fast", "immediate"):
                if self.process() is not None:
                    command = ("stop", "-w", "-t", "60", "-s", "-m", mode)
                    cluster.run(self.folder, program, *command)
        if self.sockets != self.folder:
            shutil.rmtree(self.sockets, ignore_errors=True)

    def _spawn_keeper(self) -> None:
        """Start the keeper through a shell that ends at once, so that it is nobody's child."""
        path = os.pathsep.join(filter(None, [str(cluster.BASE_DIR), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-m", "project.embedded", str(self.folder)]
        subprocess.run(
            ["/bin/sh", "-c", f"{shlex.join(command)} &"],
            check=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _log_text(self) -> str:
        try:
            return self.log.read_text(errors="replace")
        except OSError:
            return ""
