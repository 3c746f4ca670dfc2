"""What runs while things break, and what must be true afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import OperationalError, connection

from pgflow_django import executor, flow_builder
from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.models import WorkflowRun, WorkflowStepTask
from tests.engine.audit import audited
from tests.engine.database import messages, query, value
from tests.engine.invariants import check_consistency
from tests.waiting import wait_until

#: Seconds after which a round counts as stuck.
PATIENCE = 90.0

WIDE = "chaos_wide"
MIXED = "chaos_mixed"


@dataclass(frozen=True)
class Load:
    """Runs of one flow with their inputs, and the output that each must have."""

    flow: str
    count: int
    items: int

    @property
    def expected(self) -> dict[str, int]:
        """The output of each run."""
        numbers = range(self.items)
        if self.flow == WIDE:
            return {"sum": 3 * sum(numbers)}
        return {"join": 4 * sum(numbers) + 7 + 1}


LOADS = {"map": Load(WIDE, 1, 1000), "mixed": Load(MIXED, 8, 20)}


@contextmanager
def prepared() -> Iterator[None]:
    """The flows, the table that atomic steps write into, and a witness of every task's moves."""
    numbers = {"slug": "numbers", "uses": "work.numbers"}
    triple = {
        "slug": "triple",
        "uses": "chaos.triple",
        "type": "map",
        "depends_on": ["numbers"],
        "max_attempts": 50,
    }
    branches = ["triple", "record", "flaky", "single"]
    steps = {
        WIDE: [numbers, triple, {"slug": "sum", "uses": "chaos.sum", "depends_on": ["triple"]}],
        MIXED: [
            numbers,
            triple,
            {**triple, "slug": "record", "uses": "chaos.record"},
            {"slug": "flaky", "uses": "chaos.flaky", "depends_on": ["numbers"]},
            {"slug": "single", "uses": "chaos.one"},
            {"slug": "join", "uses": "chaos.join", "depends_on": branches},
        ],
    }
    for slug, rows in steps.items():
        # A killed process takes an attempt of what it was running: nothing fails of that here.
        document = {"workflow_slug": slug, "base_delay": 0, "max_attempts": 50, "steps": rows}
        flow_builder.create_flow_from_spec(document)
    query("create table chaos_rows (run_id uuid, task_index integer)")
    try:
        with audited():
            yield
    finally:
        query("drop table chaos_rows")


def start(load: Load) -> list[UUID]:
    """Start a load; the ids of its runs."""
    inputs = [{"count": load.items}] * load.count
    return [run.id for run in executor.start_flows(load.flow, inputs)]


def has_ended(runs: list[UUID]) -> bool:
    """Whether all of these runs have ended; False also while the server is away."""
    try:
        return not WorkflowRun.objects.filter(id__in=runs, ended_at=None).exists()
    except (OperationalError, DatabaseNotReady):
        connection.close()
        return False


def check(load: Load, runs: list[UUID]) -> None:
    """Every run completed with the right output; nothing is left; atomic rows are there once."""
    assert not WorkflowRun.objects.filter(ended_at=None).exists()
    found = dict(WorkflowRun.objects.filter(id__in=runs).values_list("id", "output"))
    assert found == dict.fromkeys(runs, load.expected)
    # Claims of workers that sleep or are gone go a moment later.
    wait_until(_has_no_claimed_task, "claims to go")
    check_consistency()
    assert not messages(), "a message is left"
    rows = query("select run_id, task_index, count(*) from chaos_rows group by 1, 2")
    assert all(count == 1 for _, _, count in rows), "an atomic step's row is there twice"
    if load.flow == MIXED:
        mine = value("select count(*) from chaos_rows where run_id = any(%s)", runs)
        assert mine == load.count * load.items


def count_attempts(runs: list[UUID]) -> tuple[int, int]:
    """How many tasks these runs had, and how many attempts those took."""
    tasks = WorkflowStepTask.objects.filter(run_id__in=runs).values_list(
        "attempts_count", flat=True
    )
    return len(tasks), sum(tasks)


def _has_no_claimed_task() -> bool:
    return not WorkflowStepTask.objects.exclude(claim_id=None).exists()
