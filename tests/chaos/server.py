"""A PostgreSQL of the suite's own, from the embedded package's programs, to be broken at will."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection

from project.embedded import cluster
from project.embedded.accounts import server_account

_OPTIONS = ("HOST", "PORT", "NAME", "USER", "PASSWORD")


class OwnServer:
    """A running server on a port of its own; as root it runs as an ordinary user."""

    def __init__(self, folder: Path, addresses: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.port = _free_port()
        self._programs = cluster.program_folder()
        self._data = folder / "data"
        cluster.make_folder(self._data)
        cluster.prepare(self._data, self._programs)
        cluster.initialise(self._data, self._programs)
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.writelines(f"host all all {address}/24 trust\n" for address in addresses)
        listens = ",".join(("127.0.0.1", *addresses))
        settings = {
            "listen_addresses": listens,
            "port": self.port,
            "unix_socket_directories": self._data,
            "max_connections": 100,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._control("start", "-o", options)

    def restart_immediately(self) -> None:
        """Stop without a checkpoint, as a power cut would; start, which recovers."""
        self._control("restart", "-m", "immediate")

    def stop(self) -> None:
        """Stop for good."""
        self._control("stop", "-m", "immediate")

    def make_place(self, name: str) -> Path:
        """A folder that the server's user owns."""
        place = self.folder / name
        place.mkdir()
        self.give(place)
        return place

    def give(self, place: Path) -> None:
        """Let the server's user own a folder."""
        if (account := server_account(self._data)) is not None:
            os.chown(place, account.pw_uid, account.pw_gid)
        place.chmod(0o700)

    def _control(self, *arguments: str) -> None:
        log = str(self._data / "server.log")
        result = cluster.run(
            self._data,
            self._programs / "pg_ctl",
            *(*arguments, "-D", str(self._data), "-w", "-s", "-l", log),
        )
        assert result.returncode == 0, result.stderr


@contextmanager
def own_server(addresses: tuple[str, ...] = ()) -> Iterator[OwnServer]:
    """A server that Django's connection of this process leads to, with the app migrated.

    It listens on the loopback address and on ``addresses``, and trusts their networks (/24).
    """
    # Under /tmp: a socket's path is short, and the server's user may pass.
    folder = Path(tempfile.mkdtemp(prefix="pgflow-chaos-"))
    folder.chmod(0o755)
    try:
        server = OwnServer(folder, addresses)
        try:
            with _connected_to(server):
                yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _connected_to(server: OwnServer) -> Iterator[None]:
    settings = connection.settings_dict
    before: dict[str, Any] = {key: settings[key] for key in _OPTIONS}
    connection.close()
    ours = {"HOST": "127.0.0.1", "PORT": server.port, "NAME": "postgres", "USER": "postgres"}
    settings.update({**ours, "PASSWORD": ""})
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        settings.update(before)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
