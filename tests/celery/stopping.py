"""A way to the server that stops at one message: what follows waits, as if it were on the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from django.db import connection

from tests.celery.proxy import connect

#: What a client sends, and what the server sends.
Side = Literal["questions", "answers"]


class Stop:
    """One connection stops once: where ``texts`` have come by in this order on the side ``seen``.

    From then on the side ``held`` waits, with the message that it was (where both are the same
    side), until it is released. Other connections are not affected.
    """

    def __init__(self, *texts: str, seen: Side, held: Side) -> None:
        self.texts = [text.encode() for text in texts]
        self.seen = seen
        self.held = held
        self.reached = threading.Event()
        self.answered = threading.Event()
        self._released = threading.Event()
        self._is_delivered = False

    def drop(self) -> None:
        """Close the connection without what waits: the server hears that its client is gone."""
        self._released.set()

    def deliver(self) -> None:
        """Let go what waits."""
        self._is_delivered = True
        self._released.set()

    def wait(self) -> bool:
        """Wait until released; whether what waits is to be delivered."""
        self._released.wait()
        return self._is_delivered


class _Relay:
    """One connection through it."""

    def __init__(self, stop: Stop, client: socket.socket) -> None:
        self._stop = stop
        self._sockets = {"questions": client, "answers": connect()}
        self._texts = list(stop.texts)
        self._before = b""
        self._is_stopped = False
        for side, other in ("questions", "answers"), ("answers", "questions"):
            threading.Thread(target=self._forward, args=[side, other], daemon=True).start()

    def close(self) -> None:
        for each in self._sockets.values():
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _forward(self, side: Side, other: Side) -> None:
        stop = self._stop
        with suppress(OSError):
            while data := self._sockets[side].recv(65536):
                is_here = side == stop.seen and not stop.reached.is_set() and self._is_next(data)
                self._is_stopped |= is_here
                if is_here and side != stop.held:
                    self._sockets[other].sendall(data)
                    stop.reached.set()
                    continue
                if self._is_stopped and side == stop.held:
                    stop.reached.set()
                    if not stop.wait():
                        break
                self._sockets[other].sendall(data)
        if self._is_stopped and side == "answers":
            stop.answered.set()
        self.close()

    def _is_next(self, data: bytes) -> bool:
        """Whether the last of the texts has come by now."""
        data = self._before + data
        while self._texts and (at := data.find(self._texts[0])) >= 0:
            data = data[at + len(self._texts.pop(0)) :]
        # A text may come in two pieces.
        self._before = data[-100:]
        return not self._texts


@contextmanager
def stopping(stop: Stop) -> Iterator[dict[str, Any]]:
    """What to put into a database's settings, to reach the server through this."""
    relays: list[_Relay] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=[server, stop, relays], daemon=True).start()
        try:
            yield {
                "HOST": "127.0.0.1",
                "PORT": server.getsockname()[1],
                "OPTIONS": {**connection.settings_dict["OPTIONS"], "sslmode": "disable"},
            }
        finally:
            stop.drop()
            for relay in relays:
                relay.close()


def _accept(server: socket.socket, stop: Stop, relays: list[_Relay]) -> None:
    with suppress(OSError):
        while True:
            relays.append(_Relay(stop, server.accept()[0]))
