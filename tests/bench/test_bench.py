"""``python -m bench``, from the outside: tiny sizes, no word about speed."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.db import connections

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HEAD = ["engine", "workload", "size"]
THROUGHPUT = [*HEAD, "tasks", "wall_s", "tasks_per_s", "procs"]
LATENCY = ["first_p50_ms", "first_p95_ms", "step_p50_ms", "step_p95_ms", "run_p50_ms"]


def bench(
    *arguments: str, module: str = "bench", **environment: str
) -> subprocess.CompletedProcess[str]:
    database = f"pgflow_bench_test_{secrets.token_hex(4)}"
    result = subprocess.run(
        [sys.executable, "-m", module, "--database", database, *arguments],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert database not in databases()
    return result


def databases() -> set[str]:
    """The names of all databases of the server."""
    parameters = connections["default"].get_connection_params() | {"dbname": "postgres"}
    for name in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters) as connection:
        return {name for (name,) in connection.execute("select datname from pg_database")}


def test_each_line_is_json_with_the_keys_of_its_workload() -> None:
    result = bench(
        *("--engine", "inprocess", "--only", "W1,W2,W3,W5", "--scale", "0.01", "--rounds", "1")
    )
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert list(lines[0]) == ["engine", "workload", "per_s"]
    assert (lines[0]["engine"], lines[0]["workload"]) == ("raw", "commit 1 client")
    assert lines[0]["per_s"] > 0
    by_label = {f"{line['workload']}:{line['size']}": line for line in lines[1:]}
    tasks = {"W1:5": 15, "W2:1": 3, "W2:10": 12, "W2:100": 102, "W5:0": 15, "W5:100000": 15}
    for label, count in tasks.items():
        line = by_label.pop(label)
        assert list(line) == THROUGHPUT
        assert (line["engine"], line["tasks"], line["procs"]) == ("inprocess", count, 1)
        assert line["tasks_per_s"] == pytest.approx(count / line["wall_s"], rel=0.01)
    assert list(by_label.pop("W3:1")) == [*HEAD, *LATENCY, "procs"]
    assert list(by_label) == ["W5 growth:100000"]
    for shown in ("W1 chains: 5", "W2 map: 100", "commit 1 client = C", "a Python client's"):
        assert shown in result.stderr


def test_with_json_only_there_is_nothing_else() -> None:
    result = bench("--only", "load:3", "--rounds", "1", "--json-only")
    assert (result.returncode, result.stderr) == (0, "")
    commits, load = map(json.loads, result.stdout.splitlines())
    assert commits["workload"] == "commit 1 client"
    assert {"stored_start_ms", "code_start_ms"} < load.keys()


def test_it_refuses_a_server_whose_commits_are_not_durable() -> None:
    result = bench("--only", "W3", PGOPTIONS="-c synchronous_commit=off")
    assert (result.returncode, result.stdout) == (2, "")
    assert "synchronous_commit is off" in result.stderr


@pytest.mark.parametrize("arguments", [["--only", "W9"], ["--rounds", "0"], ["--scale", "-1"]])
def test_bad_usage_ends_with_status_2(arguments: list[str]) -> None:
    result = bench(*arguments)
    assert result.returncode == 2
    assert f"argument {arguments[0]}" in result.stderr


def test_each_row_tells_how_many_rounds_it_has_had() -> None:
    result = bench("--only", "load:3,memory", "--scale", "0.01", "--rounds", "3")
    assert result.returncode == 0, result.stderr
    table = result.stderr[result.stderr.index("inprocess: ") :].splitlines()
    place = next(line for line in table if "Rounds" in line).index("Rounds")
    rows = {"stored flow: all of a start": "3", "peak of the process": "2"}
    for what, rounds in rows.items():
        row = next(line for line in table if what in line)
        assert row[place : place + len("Rounds")].strip() == rounds


def test_looks_at_flows_and_runs_are_measured() -> None:
    result = bench("--only", "simulate,explain", "--scale", "0.02", "--rounds", "1")
    assert result.returncode == 0, result.stderr
    simulated, explained = [json.loads(line) for line in result.stdout.splitlines()][1:]
    assert list(simulated) == [*HEAD, "simulated_ms", "procs"]
    assert (simulated["workload"], simulated["size"]) == ("simulate", 6)
    assert list(explained) == [*HEAD, "explained_ms", "procs"]
    assert 0 < explained["explained_ms"] < 1_000


def test_latency_is_measured_under_load_and_an_idle_worker_watched() -> None:
    result = bench(
        *("--engine", "celery", "--only", "load:200,idle"),
        *("--scale", "0.05", "--rounds", "1"),
    )
    assert result.returncode == 0, result.stderr
    load, idle = [json.loads(line) for line in result.stdout.splitlines()][1:]
    assert list(load) == [*HEAD, "run_p50_ms", "run_p95_ms", "runs_per_s", "procs"]
    assert (load["workload"], load["size"]) == ("load", 200)
    assert 0 < load["run_p50_ms"] <= load["run_p95_ms"]
    # It looks into its queues every 2.5 seconds, and renews its lease.
    assert 0.2 < idle["queries_per_s"] < 2


def test_celery_workers_are_measured_as_well() -> None:
    result = bench(
        *("--engine", "celery", "--only", "W1,W2,W3", "--scale", "0.01", "--rounds", "1")
    )
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()][1:]
    assert {(line["engine"], line["procs"]) for line in lines} == {("celery-prefork-2", 2)}
    counts = {(line["workload"], line["size"]): line.get("tasks") for line in lines}
    assert counts == {("W1", 50): 150, ("W2", 100): 102, ("W3", 1): None}


def test_a_call_over_mcp_is_measured_beside_the_same_in_python() -> None:
    result = bench("--calls", "3", module="bench.mcp")
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    row = json.loads(line)
    assert (row["row"], row["calls"], row["target_ms"]) == ("mcp", 3, 10)
    assert row["more_ms"] == pytest.approx(row["mcp_ms"] - row["python_ms"], abs=0.11)
