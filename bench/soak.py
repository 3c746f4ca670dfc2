"""Steady load on a Celery worker for half an hour: ``python -m bench.soak`` (``make soak``).

Samples memory, latency, dead rows and queues; says at the end whether they stayed flat.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from time import monotonic, sleep
from typing import Any

import psutil

from bench.__main__ import prepare_django
from bench.options import parse_options

#: Runs that are started a second, and items of the map that is started every ten seconds.
RATE = 20
MAP_ITEMS = 500
_MAP_EVERY = 10.0
_SAMPLE_EVERY = 30.0
#: Seconds at the start that do not count: caches fill, the planner learns.
_SETTLING = 300.0
_PRUNE_AFTER = timedelta(minutes=5)
#: What counts as flat: memory, and the median latency, against what they were at first.
MEMORY_GROWTH = 0.05
LATENCY_GROWTH = 0.5
DEAD_ROWS = 200_000


def main() -> int:
    """Run the command line: 0 all stayed flat, 1 something did not."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="(default: 30)")
    minutes = parser.parse_args().minutes
    prepare_django(parse_options([]))
    from bench import flows
    from bench.celery_engine import CeleryPrefork
    from bench.database import bench_database

    with bench_database():
        flows.install()
        engine = CeleryPrefork(2)
        with engine.running("default") as parents:
            samples = _soak(minutes * 60, parents)
    return _judge(samples, min(_SETTLING, minutes * 60 / 4))


def _soak(seconds: float, parents: Sequence[psutil.Process]) -> list[dict[str, Any]]:
    from bench.flows import CHAIN, MAP
    from pgflow_django import executor

    began = monotonic()
    next_start = next_map = next_sample = began
    samples: list[dict[str, Any]] = []
    while (now := monotonic()) < began + seconds:
        if now >= next_sample:
            next_sample += _SAMPLE_EVERY
            samples.append(_sample(now - began, parents))
            print(json.dumps(samples[-1]), flush=True)
            _prune()
        if now >= next_map:
            next_map += _MAP_EVERY
            executor.start_flow(MAP.flow, MAP.inputs(MAP_ITEMS)[0])
        executor.start_flow(CHAIN.flow, CHAIN.inputs(1)[0])
        next_start += 1 / RATE
        sleep(max(0.0, next_start - monotonic()))
    return samples


def _sample(at: float, parents: Sequence[psutil.Process]) -> dict[str, Any]:
    from django.db import connection

    from pgflow_django.models import WorkflowRun

    since = datetime.now().astimezone() - timedelta(seconds=_SAMPLE_EVERY)
    ended = WorkflowRun.objects.filter(ended_at__gte=since, workflow_slug__contains="chain")
    waits = sorted((end - start).total_seconds() * 1000 for start, end in _times(ended))
    with connection.cursor() as cursor:
        cursor.execute(
            "select sum(n_dead_tup)::bigint, pg_database_size(current_database()) "
            "from pg_stat_user_tables"
        )
        dead, size = cursor.fetchone()
        cursor.execute("select count(*) from pgmq.q_pgflow_default")
        (queued,) = cursor.fetchone()
    memory = [
        process.memory_info().rss for parent in parents for process in [parent, *parent.children()]
    ]
    return {
        "minute": round(at / 60, 1),
        "memory_mb": round(sum(memory) / 1e6, 1),
        "runs": len(waits),
        "run_p50_ms": round(median(waits), 2) if waits else None,
        "run_p95_ms": round(waits[int(len(waits) * 0.95)], 2) if waits else None,
        "dead_rows": int(dead or 0),
        "queued": queued,
        "database_mb": round(size / 1e6, 1),
    }


def _times(runs: Any) -> list[tuple[datetime, datetime]]:
    return list(runs.values_list("started_at", "ended_at"))


def _prune() -> None:
    """Delete what ended a while ago, as a site with a retention would."""
    from pgflow_django import engine

    before = datetime.now().astimezone() - _PRUNE_AFTER
    engine.prune_runs(before, ["completed"], 5000, using="default")


def _judge(samples: Sequence[dict[str, Any]], settling: float) -> int:
    settled = [each for each in samples if each["minute"] * 60 >= settling]
    if len(settled) < 4:
        print("too short to say anything", file=sys.stderr)
        return 1
    for each in settled:
        if not each["runs"]:
            print(f"no run ended in the half minute before {each['minute']} min", file=sys.stderr)
            return 1
    quarter = max(1, len(settled) // 4)

    def growth(name: str) -> float:
        first = median(each[name] for each in settled[:quarter])
        last = median(each[name] for each in settled[-quarter:])
        return float(last / first - 1)

    verdicts = {
        "memory": (growth("memory_mb"), MEMORY_GROWTH),
        "latency": (growth("run_p50_ms"), LATENCY_GROWTH),
        "dead rows": (max(each["dead_rows"] for each in settled), DEAD_ROWS),
    }
    for name, (found, limit) in verdicts.items():
        shown = f"{found:,}" if name == "dead rows" else f"{found:+.1%}"
        allowed = f"{limit:,}" if name == "dead rows" else f"{limit:+.0%}"
        verdict = "ok" if found <= limit else "TOO MUCH"
        print(f"{name}: {shown} (at most {allowed}) {verdict}", file=sys.stderr)
    return int(any(found > limit for found, limit in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
