"""Runs whose outputs are each within bounds, and joined too large: they fail, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psutil
from django.db.models import F, Max

from pgflow_django import executor
from pgflow_django.models import WorkflowRun
from tests.celery.processes import worker
from tests.celery.test_hostile import STEPS
from tests.chaos.conftest import Tell
from tests.engine.building import build
from tests.engine.invariants import check_all_ended
from tests.engine.test_hostile import build_plain
from tests.waiting import wait_until

GIB = 1024**3
LARGE = {"uses": "hostile.large"}


@contextmanager
def largest_process() -> Iterator[list[int]]:
    """Bytes of memory of the largest Python or PostgreSQL process, without what is shared."""
    seen, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for process in psutil.process_iter(["name", "memory_info"]):
                with suppress(psutil.Error, TypeError):
                    if process.info["name"].startswith(("postgres", "celery", "python", "[celery")):
                        memory = process.info["memory_info"]
                        seen[0] = max(seen[0], memory.rss - memory.shared)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_maps_of_large_outputs_fail_by_name_beside_a_hundred_quick_runs(
    tmp_path: Path, tell: Tell
) -> None:
    build_plain()
    build("leaf", {"each*": []}, max_attempts=1, options={"each": LARGE})
    build("fan_in", {"each*": [], "sum": ["each"]}, max_attempts=1, options={"each": LARGE})
    build("again", {"each*": [], "more*": ["each"]}, options={"each": LARGE, "more": LARGE})
    with worker(tmp_path, *STEPS) as running, largest_process() as memory:
        running.wait_ready(2)
        many = list(range(36))
        large = [executor.start_flow(slug, many) for slug in ("leaf", "fan_in")]
        large.append(executor.start_flow("leaf", ["y" * 1024 * 1024] * 7 + many))
        large.append(executor.start_flow("again", many[:12]))
        quick = []
        pause = threading.Event()
        for _ in range(100):
            quick.append(executor.start_flow("plain", {}).id)
            pause.wait(0.1)  # spread over the time in which the large ones run
        ids = [run.id for run in large]
        left = WorkflowRun.objects.filter(id__in=[*ids, *quick], ended_at=None)
        wait_until(lambda: not left.exists(), "all runs", patience=120)
        assert running.stop() == 0
    took = WorkflowRun.objects.annotate(took=F("ended_at") - F("started_at"))
    slowest = took.filter(id__in=quick).aggregate(most=Max("took"))["most"] or timedelta()
    longest = took.filter(id__in=ids).aggregate(most=Max("took"))["most"] or timedelta()
    for run in WorkflowRun.objects.filter(id__in=ids):
        error = run.error or {}
        assert (run.status, error.get("code")) == ("failed", "output_too_large"), error
    assert WorkflowRun.objects.filter(id__in=quick, status="completed").count() == 100
    assert memory[0] < GIB
    check_all_ended()
    tell(
        f"the slowest quick run took {slowest.total_seconds():.2f} s, the longest large one "
        f"{longest.total_seconds():.1f} s; the largest process had {memory[0] / 1024**2:,.0f} MiB"
    )
