"""A way to the server by TCP, on which notifications may get lost as behind a pooler."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import connection

_NOTIFICATION = b"A"


@contextmanager
def by_tcp(*, has_notifications: bool) -> Iterator[tuple[dict[str, Any], threading.Event]]:
    """What to put into a database's settings, to reach the server with or without them.

    While the event is set, nothing comes through, as where a network is cut: connections stay open.
    """
    cut = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=[server, has_notifications, cut], daemon=True).start()
        address = {
            "HOST": "127.0.0.1",
            "PORT": server.getsockname()[1],
            "OPTIONS": {**connection.settings_dict["OPTIONS"], "sslmode": "disable"},
        }
        yield address, cut


def _accept(server: socket.socket, has_notifications: bool, cut: threading.Event) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(
                target=_relay, args=[client, has_notifications, cut], daemon=True
            ).start()


def _relay(client: socket.socket, has_notifications: bool, cut: threading.Event) -> None:
    with client, connect() as upstream:
        back = threading.Thread(
            target=_forward if has_notifications else _filter,
            args=[upstream, client, cut],
            daemon=True,
        )
        back.start()
        _forward(client, upstream, cut)
        back.join()


def connect() -> socket.socket:
    """A connection to the server of the tests, whichever way it is reached."""
    host, port = connection.settings_dict["HOST"], connection.settings_dict["PORT"] or 5432
    if not str(host).startswith("/"):
        return socket.create_connection((host, int(port)))
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(f"{host}/.s.PGSQL.{port}")
    return upstream


def _forward(source: socket.socket, target: socket.socket, cut: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            _wait_whole(cut)
            target.sendall(data)
    _end(source, target)


def _wait_whole(cut: threading.Event) -> None:
    while cut.is_set():
        time.sleep(0.01)


def _filter(source: socket.socket, target: socket.socket, cut: threading.Event) -> None:
    """Forward the server's messages but notifications: a letter, a length, a body each."""
    with suppress(OSError), source.makefile("rb") as reader:
        while len(header := reader.read(5)) == 5:
            kind, length = struct.unpack("!ci", header)
            body = reader.read(length - 4)
            _wait_whole(cut)
            if kind != _NOTIFICATION:
                target.sendall(header + body)
    _end(source, target)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
