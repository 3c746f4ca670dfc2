"""Hears from the database: LISTEN, on a connection of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
from django.db import connections
from psycopg import sql

from pgflow_django.worker.keepalive import harden

#: New messages, for whoever has said that it sleeps: the queue's name and a number, which all
#: notifications of one transaction share.
WORK = "pgflow"
#: A queue that was made.
QUEUES = "pgflow_queues"
#: Seconds that a notification to oneself may take.
_PATIENCE = 5.0
#: Seconds between two tests where notifications don't come.
_TEST_INTERVAL = 60.0


def number_of(payload: str) -> int:
    """The number that tells a notification of new messages from others; 0 for one without."""
    number = payload.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0


def take_notifications(connection: psycopg.Connection[Any]) -> Iterator[tuple[str, str]]:
    """Channel and payload of each that has come, without waiting. Raises what psycopg raises."""
    connection.pgconn.consume_input()
    while notification := connection.pgconn.notifies():
        yield notification.relname.decode(), notification.extra.decode()


class Listener:
    """A connection that listens, and whether notifications come at all.

    Behind a transaction pooler they don't: LISTEN reaches a server connection that is somebody
    else's in the next moment.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._own = f"pgflow_{secrets.token_hex(8)}"
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._tested_at = 0.0
        #: Whether a notification to oneself has come; ``None`` while that is not known.
        self.works: bool | None = None

    def fileno(self) -> int | None:
        """What is readable when there is something to hear."""
        return None if self._connection is None else self._connection.fileno()

    def connect(self) -> bool:
        """Connect and listen, unless it does; whether it had to. Raises what psycopg raises."""
        if self._connection is not None:
            return False
        harden(self._using)
        connection = psycopg.connect(**connections[self._using].get_connection_params())
        try:
            connection.autocommit = True
            for channel in (WORK, QUEUES, self._own):
                connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._tested_at = 0.0
        self.works = None
        return True

    def hear(self) -> list[tuple[str, str]]:
        """Channel and payload of what has come. Raises what psycopg raises, and is closed then."""
        if self._connection is None:
            return []
        try:
            heard = list(take_notifications(self._connection))
        except psycopg.Error:
            self.close()
            raise
        if any(channel == self._own for channel, _ in heard):
            self.works = True
        return heard

    def test(self, now: float) -> bool | None:
        """Notify oneself, now and then where that has failed; False when that is found to fail."""
        if self.works is None and self._tested_at and now - self._tested_at > _PATIENCE:
            self.works = False
            return False
        if not self._tested_at or (self.works is False and now - self._tested_at > _TEST_INTERVAL):
            self._tested_at = time.monotonic()
            with connections[self._using].cursor() as cursor:
                cursor.execute("select pg_notify(%s, '')", [self._own])
        return None

    def close(self) -> None:
        """Stop listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()
