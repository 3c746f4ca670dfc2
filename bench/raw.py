"""What the machine allows: round trips, commits, pgmq and Python, without any engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import perf_counter
from typing import Any, Final, Self

import psycopg

from bench.database import connect
from bench.figures import Item, Sample, Subject
from bench.flows import payload

COMMITS: Final = Subject("raw", "commit 1 client")

CLIENTS = 16
SECONDS = 0.25
MESSAGES = 400
BATCH = 50
BATCHES = 40

TEXT = json.dumps(payload(0))
INSERT = "insert into bench_rows (payload) values (%s)"
INSERT_MANY = "insert into bench_rows (payload) select unnest(%s::text[])"


class RawLimits:
    """The probes, each with the connections that it needs, for the database ``default``."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._connections: list[psycopg.Connection[Any]] = []

    def __enter__(self) -> Self:
        for _ in range(CLIENTS):
            self._connections.append(self._stack.enter_context(connect()))
        self._run("create table bench_rows (id bigint generated always as identity, payload text)")
        self._run("select pgmq.create('bench_raw')")
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def commits_per_second(self) -> float:
        """Give C: single rows that one client commits per second."""
        return self._rate(lambda: self._run(INSERT, TEXT))

    def items(self) -> list[Item]:
        """Every probe but that of C."""
        probes: dict[str, Callable[[], float]] = {
            "select 1": lambda: self._rate(lambda: self._run("select 1")),
            f"commit {CLIENTS} clients": self._many_clients,
            "50 rows a commit": lambda: self._rows_per_second(50),
            "1000 rows a commit": lambda: self._rows_per_second(1000),
            "pgmq.send": self._send,
            f"pgmq.send_batch {BATCH}": self._send_batch,
            "pgmq.read": self._read,
            f"pgmq.read {BATCH}": self._read_batch,
            "pgmq.archive": self._archive,
            f"pgmq.archive {BATCH}": self._archive_batch,
            "python loop": _python_loop,
        }
        return [Item(Subject("raw", name), _sampler(probe)) for name, probe in probes.items()]

    def _run(self, query: str, *parameters: Any) -> Any:
        cursor = self._connections[0].execute(query, parameters, prepare=True)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]

    def _rate(self, call: Callable[[], object]) -> float:
        count, began = 0, perf_counter()
        while (seconds := perf_counter() - began) < SECONDS:
            call()
            count += 1
        return count / seconds

    def _many_clients(self) -> float:
        def insert(connection: psycopg.Connection[Any]) -> float:
            return self._rate(lambda: connection.execute(INSERT, [TEXT], prepare=True))

        with ThreadPoolExecutor(CLIENTS) as pool:
            return sum(pool.map(insert, self._connections))

    def _rows_per_second(self, rows: int) -> float:
        return rows * self._rate(lambda: self._run(INSERT_MANY, [TEXT] * rows))

    def _send(self) -> float:
        query = "select pgmq.send('bench_raw', %s::jsonb)"
        return self._messages(1, MESSAGES, lambda _: self._run(query, TEXT))

    def _send_batch(self) -> float:
        return self._messages(BATCH, BATCHES, lambda _: self._fill(BATCH))

    def _read(self) -> float:
        self._fill(MESSAGES)
        query = "select count(*) from pgmq.read('bench_raw', 30, 1)"
        return self._messages(1, MESSAGES, lambda _: self._run(query))

    def _read_batch(self) -> float:
        self._fill(BATCH * BATCHES)
        query = "select count(*) from pgmq.read('bench_raw', 30, %s)"
        return self._messages(BATCH, BATCHES, lambda _: self._run(query, BATCH))

    def _archive(self) -> float:
        ids = self._fill(MESSAGES)
        query = "select pgmq.archive('bench_raw', %s::bigint)"
        return self._messages(1, MESSAGES, lambda call: self._run(query, ids[call]))

    def _archive_batch(self) -> float:
        ids = self._fill(BATCH * BATCHES)
        query = "select count(*) from pgmq.archive('bench_raw', %s::bigint[])"
        return self._messages(
            BATCH, BATCHES, lambda call: self._run(query, ids[call * BATCH : (call + 1) * BATCH])
        )

    def _fill(self, count: int) -> list[int]:
        """Send messages in one batch; their ids."""
        query = "select array_agg(id) from pgmq.send_batch('bench_raw', %s::jsonb[]) as id"
        ids: list[int] = self._run(query, [TEXT] * count)
        return ids

    def _messages(self, size: int, calls: int, call: Callable[[int], object]) -> float:
        """Messages per second in so many calls of ``size`` messages each."""
        began = perf_counter()
        for number in range(calls):
            call(number)
        seconds = perf_counter() - began
        self._run("truncate pgmq.q_bench_raw, pgmq.a_bench_raw")
        return size * calls / seconds


def _sampler(probe: Callable[[], float]) -> Callable[[], Sample]:
    return lambda: {"per_s": probe()}


def _python_loop() -> float:
    """Decode a task's input, call its body, encode its output: what Python alone costs."""

    def body(input: dict[str, Any]) -> dict[str, Any]:
        return payload(input["n"] + 1)

    count, began = 0, perf_counter()
    while (seconds := perf_counter() - began) < SECONDS:
        for _ in range(100):
            json.dumps(body(json.loads(TEXT)))
        count += 100
    return count / seconds
