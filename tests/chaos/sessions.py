"""Sessions of the database that the tests use: which there are, and their end."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.db import connection

from tests.chaos.fleet import Fleet
from tests.waiting import wait_until


@contextmanager
def aside() -> Iterator[psycopg.Connection[Any]]:
    """A session beside Django's."""
    parameters = {**connection.get_connection_params(), "dbname": "postgres"}
    for key in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(key, None)
    with psycopg.connect(**parameters, autocommit=True) as ours:
        yield ours


def sessions(ours: psycopg.Connection[Any]) -> list[int]:
    """The process ids of all other sessions of the test's database."""
    found = ours.execute(
        "select pid from pg_stat_activity where datname = %s and backend_type = 'client backend' "
        "and pid <> pg_backend_pid()",
        [connection.settings_dict["NAME"]],
    )
    return [pid for (pid,) in found]


def is_up() -> bool:
    """Whether the server takes connections."""
    try:
        with aside() as there:
            there.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def terminate_all(ours: Fleet, dice: random.Random) -> str:
    """Every session of the database ends, ours included."""
    with aside() as there:
        for pid in sessions(there):
            there.execute("select pg_terminate_backend(%s)", [pid])
    connection.close()
    return "all sessions terminated"


def kill_one(ours: Fleet, dice: random.Random) -> str:
    """SIGKILL to one session: the server restarts at once and recovers, as after a crash."""
    wait_until(is_up, "the server")
    connection.close()
    with aside() as there:
        pids = sessions(there)
    with suppress(ProcessLookupError, IndexError):
        os.kill(dice.choice(pids), signal.SIGKILL)
    wait_until(is_up, "the server to come back")
    return "kill -9 of a session"
