"""Brokers on loopback ports of their own, each stopped at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.celery.pgmq_database import own_database, same_database
from tests.engine.database import query
from tests.waiting import wait_until


@dataclass(frozen=True)
class Broker:
    """Where it is, and how Celery is to speak with it."""

    url: str
    #: kombu's transport, where the URL's scheme does not name it; and its options.
    transport: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    #: Whether workers can answer remote control.
    has_answers: bool = True

    @property
    def variables(self) -> dict[str, str]:
        """What makes a worker of ``tests.celery.site`` use it."""
        settings = {"broker_transport": self.transport, "broker_transport_options": self.options}
        return {"CELERY_BROKER_URL": self.url, "WORKER_TEST_BROKER": json.dumps(settings)}

    @contextmanager
    def sender(self) -> Iterator[Celery]:
        """An app that sends by it."""
        with Celery("sender", broker=self.url, set_as_current=False) as app:
            app.conf.broker_transport = self.transport
            app.conf.broker_transport_options = self.options
            try:
                yield app
            finally:
                app.pool.force_close_all()


@contextmanager
def memory(folder: Path) -> Iterator[Broker]:
    """None at all."""
    yield Broker("memory://", options={"polling_interval": 0.2})


@contextmanager
def redis(folder: Path) -> Iterator[Broker]:
    """A Redis server."""
    port = _free_port()
    command = [_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with _server([*command, "--dir", str(folder)], port, dict(os.environ)):
        yield Broker(f"redis://127.0.0.1:{port}/0")


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Broker]:
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
        yield Broker(f"amqp://guest:guest@127.0.0.1:{port}//")


@contextmanager
def pgmq(folder: Path) -> Iterator[Broker]:
    """The flows' own database and pgmq, through kombu's transport: no extension is asked for."""
    if find_spec("kombu.transport.pgmq") is None:
        pytest.skip("this kombu has no transport for pgmq, which came with 5.7")
    with same_database() as url:
        options = {
            "init_extension": False,
            "wait_time_seconds": 0,
            "polling_interval": 0.1,
            # Its client prefers DATABASE_URL, where that is set, to the URL of the broker.
            "conn_string": url.replace("pgmq://", "postgresql://"),
        }
        # Names of queues for answers are longer than pgmq allows.
        yield Broker(url, "kombu.transport.pgmq:Transport", options, has_answers=False)


@contextmanager
def kombu_pgmq(folder: Path) -> Iterator[Broker]:
    """The same through the package kombu-pgmq."""
    if find_spec("kombu_pgmq") is None:
        pytest.skip("kombu-pgmq is not installed")
    with same_database() as url:
        options = {"check_extension": False, "polling_interval": 0.1}
        yield Broker(url, "kombu_pgmq.transport:TransportPGMQ", options)
        query("drop table if exists kombu_pgmq_bindings")


@contextmanager
def pgmq_extension(folder: Path) -> Iterator[Broker]:
    """A database of its own, in which kombu-pgmq finds the extension that it asks for."""
    if find_spec("kombu_pgmq") is None:
        pytest.skip("kombu-pgmq is not installed")
    with own_database() as url:
        options = {"polling_interval": 0.1}
        yield Broker(url, "kombu_pgmq.transport:TransportPGMQ", options)


BROKERS = {
    "memory": memory,
    "redis": redis,
    "rabbitmq": rabbitmq,
    "pgmq": pgmq,
    "kombu-pgmq": kombu_pgmq,
    "kombu-pgmq-extension": pgmq_extension,
}


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
