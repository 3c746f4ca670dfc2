"""A transaction pooler as far as LISTEN is concerned: notifications do not come through."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import connection

_NOTIFICATION = b"A"


@contextmanager
def without_notifications() -> Iterator[dict[str, Any]]:
    """What to put into a database's settings, to reach the server without its notifications."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=[server], daemon=True).start()
        yield {
            "HOST": "127.0.0.1",
            "PORT": server.getsockname()[1],
            "OPTIONS": {**connection.settings_dict["OPTIONS"], "sslmode": "disable"},
        }


def _accept(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            upstream = _connect()
            for relay in (_to_server, _to_client):
                threading.Thread(target=relay, args=[client, upstream], daemon=True).start()


def _connect() -> socket.socket:
    host, port = connection.settings_dict["HOST"], connection.settings_dict["PORT"] or 5432
    if not str(host).startswith("/"):
        return socket.create_connection((host, int(port)))
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(f"{host}/.s.PGSQL.{port}")
    return upstream


def _to_server(client: socket.socket, upstream: socket.socket) -> None:
    with suppress(OSError):
        while data := client.recv(65536):
            upstream.sendall(data)
    _end(client, upstream)


def _to_client(client: socket.socket, upstream: socket.socket) -> None:
    with suppress(OSError), upstream.makefile("rb") as reader:
        while header := reader.read(5):
            kind, length = struct.unpack("!ci", header)
            body = reader.read(length - 4)
            if kind != _NOTIFICATION:
                client.sendall(header + body)
    _end(client, upstream)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
