"""What MCP costs beside the function that it calls: ``python -m bench.mcp``, JSON lines.

One line: a call over HTTP to a server of several threads, the same call in Python, in turn, and the
difference of the medians. The target is at most 10 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import django

CALLS = 200
#: Of the calls before those that count, one for ten.
WARM_UP = 0.1
TARGET_MS = 10
HOST = "127.0.0.1"
#: A client of the bench calls more often than any program may.
UNLIMITED = {"AGENTS": "read", "AGENT_POLICY": {"CALLS_PER_MINUTE": 1_000_000}}
TOOL = "list_flows"
VERSION = "2026-07-28"
PREFIX = "io.modelcontextprotocol"
MESSAGE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": TOOL,
            "arguments": {},
            "_meta": {
                f"{PREFIX}/protocolVersion": VERSION,
                f"{PREFIX}/clientInfo": {"name": "bench", "version": "1"},
                f"{PREFIX}/clientCapabilities": {},
            },
        },
    }
)


def serve() -> None:
    """Tell the port and serve the site, a thread for each connection, until standard input ends."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.db import connections

    class Quiet(WSGIRequestHandler):
        # wsgiref writes head and body apart: the second would wait 40 ms until the first is known
        # to have come, as it does with no server that a site runs on.
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    # The other side keeps its session, too: a new one for each request takes longer than the rest.
    connections.settings["default"]["CONN_MAX_AGE"] = None
    server = ThreadedWSGIServer((HOST, 0), Quiet)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def serving() -> Iterator[int]:
    """A process that serves the site; its port. In this one it would share the interpreter."""
    from bench import settings

    command = [sys.executable, "-m", "bench.mcp", "--serve", "--database", settings.NAME]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def speaker(connection: HTTPConnection, secret: str) -> Callable[[], None]:
    """What sends a call and reads its answer, which must be one."""
    headers = {
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": TOOL,
    }

    def speak() -> None:
        connection.request("POST", "/agents/mcp/", MESSAGE, headers)
        answer = connection.getresponse()
        result = json.loads(answer.read())
        assert not result["result"].get("isError"), result

    return speak


def measure(one: Callable[[], None], other: Callable[[], None], calls: int) -> tuple[float, float]:
    """The medians of both in milliseconds, measured in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    warm_up = int(calls * WARM_UP) + 1
    for number in range(warm_up + calls):
        for call, found in zip((one, other), seconds, strict=True):
            started = time.perf_counter()
            call()
            if number >= warm_up:
                found.append(time.perf_counter() - started)
    first, second = (statistics.median(found) * 1000 for found in seconds)
    return first, second


def run(calls: int) -> dict[str, Any]:
    """The row."""
    from django.contrib.auth import get_user_model

    from pgflow_django.agents.access import Principal
    from pgflow_django.agents.performing import perform
    from pgflow_django.agents.tokens import create_token
    from pgflow_django.choices import Access
    from project import flows

    flows.install_all()
    user = get_user_model().objects.create_superuser("bench")
    _, secret = create_token(user, "bench")
    principal = Principal(user, Access.READ, "bench")

    def in_python() -> None:
        assert not perform(principal, TOOL, {}).is_error

    with serving() as port:
        connection = HTTPConnection(HOST, port)
        over_mcp, python = measure(speaker(connection, secret), in_python, calls)
        connection.close()
    return {
        "row": "mcp",
        "tool": TOOL,
        "calls": calls,
        "mcp_ms": round(over_mcp, 1),
        "python_ms": round(python, 1),
        "more_ms": round(over_mcp - python, 1),
        "target_ms": TARGET_MS,
    }


def main() -> None:
    """Measure, and print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help=f"how often ({CALLS})")
    parser.add_argument("--database", help="the database to make for it")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.database:
        os.environ["PGFLOW_BENCH_DATABASE"] = options.database
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
    django.setup()
    from django.test import override_settings

    from bench.database import bench_database

    with override_settings(PGFLOW=UNLIMITED, ALLOWED_HOSTS=[HOST]):
        if options.serve:
            serve()
            return
        with bench_database():
            row = run(options.calls)
    sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
