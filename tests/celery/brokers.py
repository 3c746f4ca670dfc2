"""Brokers on loopback ports of their own, each stopped at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.db import connection

from tests.celery.proxy import by_tcp
from tests.engine.database import query
from tests.waiting import wait_until


@contextmanager
def memory(folder: Path) -> Iterator[str]:
    """None at all."""
    yield "memory://"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis server."""
    port = _free_port()
    command = [_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with _server([*command, "--dir", str(folder)], port, dict(os.environ)):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """A RabbitMQ node, with what it writes in the folder."""
    port, peers, names = _free_port(), _free_port(), _free_port()
    # Debian's program on the PATH changes the user, who could not write here.
    program = _program("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
    variables = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"pgflow{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(peers),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
    }
    # Its name server, which the program would otherwise start and leave behind.
    with (
        _server([_program("epmd"), "-port", str(names)], names, variables),
        _server([program], port, variables),
    ):
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


@contextmanager
def pgmq(folder: Path) -> Iterator[str]:
    """The test's own database, through kombu-pgmq."""
    if find_spec("kombu_pgmq") is None:
        pytest.skip("kombu-pgmq is not installed")
    if not query("select from pg_available_extensions where name = 'pgmq'"):
        pytest.skip("kombu-pgmq needs the extension pgmq, which this server does not offer")
    settings = connection.settings_dict
    login = f"{settings['USER']}:{settings['PASSWORD'] or 'none'}"
    with by_tcp(has_notifications=True) as (database, _):
        yield f"pgmq://{login}@{database['HOST']}:{database['PORT']}/{settings['NAME']}"
    query("drop table if exists kombu_pgmq_bindings")


BROKERS = {"memory": memory, "redis": redis, "rabbitmq": rabbitmq, "pgmq": pgmq}


def _program(name: str, *places: str) -> str:
    found = next(filter(None, map(shutil.which, [name, *places])), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def _server(command: list[str], port: int, variables: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as popen:
        try:
            wait_until(lambda: _answers(port), f"{command[0]} to answer", patience=60)
            yield
        finally:
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait(30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
