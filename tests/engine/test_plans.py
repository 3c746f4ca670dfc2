"""How the hot statements get at their rows, told by the server's own counters.

The tables are empty when they are analysed, and full when they are worked on: that is when a
planner that may choose goes wrong.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection

from pgflow_django import engine, executor, explain_run, simulate_flow
from pgflow_django.worker.claimed import ClaimedTask
from tests.engine.building import build, chain
from tests.engine.conftest import Register
from tests.engine.database import TABLES, query, value
from tests.engine.workers import HandWorker, sweep
from tests.waiting import wait_until

QUEUES = ("pgmq.q_pgflow_default", "pgmq.q_pgflow_in_process")
HOT = ("workflow_runs", "workflow_step_states", "workflow_step_tasks")


def count_other_sessions() -> int:
    """How many others there are; ends those that a test before has left behind idle."""
    others = (
        "from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    query(
        f"select pg_terminate_backend(pid) {others} "
        "and state = 'idle' and state_change < clock_timestamp() - interval '1 second'"
    )
    return int(value(f"select count(*) {others}"))


@dataclass(frozen=True)
class Counters:
    """What the server has counted so far: sequential scans and rows fetched by index, by table."""

    seq_scans: dict[str, int]
    fetched: dict[str, int]
    index_scans: dict[str, int]

    @classmethod
    def now(cls) -> Counters:
        """Read them, once everybody has handed in theirs."""
        wait_until(lambda: not count_other_sessions(), "other sessions to end")
        query("select pg_stat_force_next_flush()")
        query("select 1")
        tables = query("select relname, seq_scan, idx_tup_fetch from pg_stat_user_tables")
        indexes = query("select indexrelname, idx_scan from pg_stat_user_indexes")
        return cls(
            {name: scans for name, scans, _ in tables},
            {name: fetched or 0 for name, _, fetched in tables},
            {name: scans or 0 for name, scans in indexes},
        )

    def since(self, before: Counters) -> Counters:
        """The difference."""
        return Counters(
            {name: count - before.seq_scans.get(name, 0) for name, count in self.seq_scans.items()},
            {name: count - before.fetched.get(name, 0) for name, count in self.fetched.items()},
            {
                name: count - before.index_scans.get(name, 0)
                for name, count in self.index_scans.items()
            },
        )


@pytest.fixture(autouse=True)
def without_statistics(transactional_db: None) -> None:
    """Let the planner believe that the tables are empty."""
    if connection.cursor().connection.info.server_version < 150000:
        pytest.skip("statistics are handed in on demand from PostgreSQL 15 on")
    query(f"truncate {', '.join((*TABLES, *QUEUES))}")
    for table in (*TABLES, *QUEUES):
        query(f"alter table {table} set (autovacuum_enabled = off)")
        query(f"analyze {table}")


@pytest.fixture(autouse=True)
def vacuum_again(without_statistics: None) -> Any:
    """Put the tables back under autovacuum."""
    yield
    for table in (*TABLES, *QUEUES):
        query(f"alter table {table} reset (autovacuum_enabled)")


def measure(work: Callable[[], Any]) -> Counters:
    """What the server counts while this works."""
    before = Counters.now()
    work()
    return Counters.now().since(before)


def know_trials_only(slug: str) -> None:
    """Let the planner believe that hardly any run is no trial."""
    for _ in range(20):
        executor.start_trial(slug, allow_effects=True)
    query(f"analyze {', '.join(HOT)}")
    executor.drain()
    query(f"truncate {', '.join(HOT)}, pgmq.q_pgflow_default")


def claim_all(worker: HandWorker, size: int) -> list[list[ClaimedTask]]:
    """Claim everything, in batches under claims of their own."""
    batches = []
    while batch := worker.claim_in_another_thread(size):
        batches.append(batch)
    return batches


def one(input: dict[str, Any]) -> int:
    return 1


def fill() -> HandWorker:
    """Work for every case below: 200 chains, a map of 2,000, and its rows."""
    build("chains", chain(3))
    build("wide", {"each*": [], "end": ["each"]})
    build("fan", {"root": [], **{f"p{i}": ["root"] for i in range(30)}, "join": ["p0", "p29"]})
    executor.start_flows("chains", [{}] * 200)
    executor.start_flow("wide", list(range(2000)))
    executor.start_flows("fan", [{}] * 5)
    return HandWorker()


def test_draining_scans_no_table_from_end_to_end(register: Register) -> None:
    fill().leave()
    names = ["s0", "s1", "s2", "each", "end", "root", "join", *(f"p{i}" for i in range(30))]
    register(dict.fromkeys(names, one))
    counted = measure(executor.drain)
    assert {name: counted.seq_scans[name] for name in HOT} == dict.fromkeys(HOT, 0)
    # It would look at every active run for each run that is counted down.
    assert counted.index_scans["workflow_runs_active"] < 5
    assert value("select count(*) from workflow_runs where status = 'completed'") == 206


@pytest.mark.parametrize("way", ["settle", "fail", "release", "cancel", "sweep", "retry"])
def test_no_way_on_scans_a_table_from_end_to_end(way: str) -> None:
    worker = fill()
    batches = claim_all(worker, 100)
    tasks = [task for batch in batches for task in batch]
    assert len(tasks) == 2205
    runs = sorted({UUID(task.group.run_id) for task in tasks})
    if way == "retry":
        for run in runs[:20]:
            executor.cancel_run(run)
    ways: dict[str, Callable[[], Any]] = {
        "settle": lambda: [worker.complete(*batch, output=1) for batch in batches],
        "fail": lambda: worker.fail(*tasks[:300]),
        "release": lambda: worker.release(*tasks[:300]),
        "cancel": lambda: [engine.cancel_run(run, "", using="default") for run in runs[:20]],
        "retry": lambda: [engine.retry_run(run, None, using="default") for run in runs[:20]],
        "sweep": sweep,
    }
    if way == "sweep":
        worker.die()
    counted = measure(ways[way])
    assert {name: counted.seq_scans[name] for name in HOT} == dict.fromkeys(HOT, 0)


def _decide(run: UUID, step: str, index: int | None) -> Any:
    return engine.decide_step(
        run, step, index, verdict="skipped", output_json=None, using="default"
    )


#: What people do to a run and its first step, and whether that has been cancelled before.
ACTS: dict[str, tuple[bool, Callable[[UUID, str], Any]]] = {
    "pause": (False, lambda run, step: engine.pause_run(run, "", using="default")),
    "resume": (False, lambda run, step: engine.resume_run(run, "", using="default")),
    "retry now": (False, lambda run, step: engine.retry_now(run, using="default")),
    "try one": (True, lambda run, step: engine.retry_run(run, None, step=step, using="default")),
    "skip one": (False, lambda run, step: _decide(run, step, 0)),
    "skip": (True, lambda run, step: _decide(run, step, None)),
    "rerun": (False, lambda run, step: engine.rerun(run, "", using="default")),
    "rerun from": (
        False,
        lambda run, step: engine.rerun(run, "", from_step=step, using="default"),
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_people_do_to_a_run_scans_no_table_from_end_to_end(act: str) -> None:
    worker = fill()
    for batch in claim_all(worker, 100):
        worker.fail(*batch, delay=3600)
    firsts = query(
        "select run_id, step_slug from workflow_step_states where step_index = 0 "
        "order by run_id desc limit 20"
    )
    assert [step for _, step in firsts].count("each") == 1
    is_cancelled, do = ACTS[act]
    for run, _ in firsts:
        if is_cancelled:
            executor.cancel_run(run)
        elif act == "resume":
            executor.pause_run(run)
    counted = measure(lambda: [do(run, step) for run, step in firsts])
    tables = (*HOT, "workflow_task_attempts", "workflow_run_events")
    assert {name: counted.seq_scans[name] for name in tables} == dict.fromkeys(tables, 0)


def test_starting_a_run_scans_no_table_from_end_to_end() -> None:
    fill()
    counted = measure(lambda: [executor.start_flow("chains", {}) for _ in range(20)])
    assert {name: counted.seq_scans[name] for name in HOT} == dict.fromkeys(HOT, 0)


def fetched_per_task(count: int, register: Register) -> dict[str, float]:
    """Rows that are fetched for each task of a map of this size."""
    register({"each": lambda i: i["item"], "end": lambda i: len(i["each"])})
    run = executor.start_flow("wide", list(range(count)))
    counted = measure(executor.drain)
    assert executor.wait(run.id) == {"end": count}
    return {name: counted.fetched[name] / count for name in HOT}


def test_a_task_costs_no_more_rows_in_a_large_map_than_in_a_small_one(register: Register) -> None:
    build("wide", {"each*": [], "end": ["each"]})
    small = fetched_per_task(300, register)
    large = fetched_per_task(3000, register)
    for table in HOT:
        assert large[table] <= small[table] * 1.5 + 0.5, (table, small, large)
    assert large["workflow_step_tasks"] < 20


def test_a_chain_costs_no_more_rows_among_thousands_of_runs_than_among_few(
    register: Register,
) -> None:
    build("chains", chain(3))
    register({f"s{i}": one for i in range(3)})

    def fetched(count: int) -> dict[str, float]:
        executor.start_flows("chains", [{}] * count)
        counted = measure(executor.drain)
        return {name: counted.fetched[name] / count for name in HOT}

    few, many = fetched(50), fetched(1000)
    for table in HOT:
        assert many[table] <= few[table] * 1.5 + 0.5, (table, few, many)


def delay_many(queue: str, count: int = 20_000) -> None:
    """A retry storm: so many messages that are due in an hour."""
    query(
        f"insert into pgmq.q_pgflow_{queue} (enqueued_at, vt, message) "
        "select due, due, jsonb_build_object('run_id', i, 'step_slug', 'only', 'task_index', 0, "
        "'count', 1, 'function', 'only') from generate_series(1, %s) as i, "
        "lateral (select clock_timestamp() + interval '1 hour' as due) as later",
        count,
    )


@pytest.mark.parametrize("functions", [None, ["only", "other"]])
@pytest.mark.parametrize("queue", ["default", "gpu"])
def test_what_is_delayed_costs_a_claim_and_an_idle_look_nothing(
    queue: str, functions: list[str] | None
) -> None:
    build("flow", {"only": []}, queue=queue)
    executor.start_flows("flow", [{}] * 20)
    delay_many(queue)
    worker = HandWorker(queues=[queue], functions=functions)

    def work() -> None:
        for _ in range(20):
            (task,) = worker.claim(1)
            worker.complete(task)
        for _ in range(20):
            assert worker.claim(1) == []
            assert engine.next_visible(worker.id, using="default")

    counted = measure(work)
    table = f"q_pgflow_{queue}"
    assert counted.seq_scans[table] == 0
    assert counted.index_scans[f"{table}_rank_idx"] == 40
    # A claim fetches the message, and some that others have taken before it; a look fetches one.
    assert counted.fetched[table] < 400


@pytest.mark.parametrize("status", ["failed", "cancelled", "completed"])
def test_explaining_a_run_looks_at_few_rows_among_thousands(status: str) -> None:
    build("chains", chain(2), max_attempts=2)
    know_trials_only("chains")
    ids = [run.id for run in executor.start_flows("chains", [{}] * 1500)]
    worker = HandWorker()
    for _ in range(2):
        for batch in claim_all(worker, 100):
            worker.fail(*batch)
    query(
        "insert into workflow_run_events (run_id, kind, message) "
        "select id, 'log', 'x' from workflow_runs, generate_series(1, 5)"
    )
    run = ids[-1]
    if status != "failed":
        executor.retry_run(run)
    if status == "cancelled":
        executor.cancel_run(run)
    if status == "completed":
        for _ in range(2):
            worker.complete(*worker.claim())
    assert executor.get_run_status(run).status == status
    counted = measure(lambda: explain_run(run))
    for table in (*HOT, "workflow_task_attempts", "workflow_run_events"):
        # One that has failed is compared with the hundred before it. To read these by their keys
        # costs as much as reading all of a table that is so small.
        assert counted.seq_scans[table] <= (table == "workflow_runs"), table
        assert counted.fetched[table] <= 220, table


def test_a_failed_map_is_shown_without_a_look_at_its_tasks() -> None:
    build("flow", {"wide*": []}, max_attempts=1)
    run = executor.start_flow("flow", list(range(3000))).id
    worker = HandWorker()
    batch = worker.claim(100)
    worker.complete(*batch[:90])
    worker.fail(batch[95])
    query("analyze workflow_step_tasks")
    shown = io.StringIO()
    counted = measure(lambda: call_command("showrun", str(run), "--json", stdout=shown))
    (step,) = json.loads(shown.getvalue())["steps"]
    assert (step["status"], step["failed_tasks"]) == ("failed", 1)
    assert counted.seq_scans["workflow_step_tasks"] == 0
    assert counted.fetched["workflow_step_tasks"] <= 5


@pytest.mark.parametrize("statistics", ["none", "of trials", "of the queue", "full"])
def test_why_a_run_waits_is_found_in_few_rows_among_thousands(statistics: str) -> None:
    steps = {"wide*": [], "long": [], "after": ["wide"]}
    build("flow", steps, max_attempts=3)
    build("chains", chain(2), options={"s0": {"max_attempts": 2}})
    if statistics == "of trials":
        know_trials_only("chains")
    run = executor.start_flow("flow", list(range(500))).id
    worker = HandWorker()
    tasks = [task for batch in claim_all(worker, 100) for task in batch]
    worker.fail(*(task for task in tasks if task.group.step_slug == "wide"), delay=1000)
    executor.start_flows("chains", [{}] * 1500)
    worker.fail(*worker.claim_in_another_thread(100), delay=1000)
    query(
        "insert into workflow_task_attempts (run_id, step_slug, task_index, attempt, code, "
        "error_type, error_message, traceback, worker) "
        "select id, 's0', i, 1, 'step_failed', '', '', '', '' "
        "from workflow_runs, generate_series(1, 20) as i where workflow_slug = 'chains'"
    )
    query("update workflow_step_tasks set started_at = started_at - interval '1 hour'")
    if statistics == "of the queue":  # as of before the storm
        query("analyze pgmq.q_pgflow_default")
    delay_many("default")
    if statistics == "full":
        query(f"analyze {', '.join((*TABLES, 'pgmq.q_pgflow_default'))}")
    late = executor.start_flow(build("late", {"turn": []})).id
    expected = {run: ["retrying", "running", "blocked"], late: ["busy"]}
    for asked, codes in expected.items():
        counted = measure(partial(explain_run, asked))
        assert [reason.code for reason in explain_run(asked).reasons] == codes
        for table in (*HOT, "workflow_task_attempts", "workflow_run_events", "q_pgflow_default"):
            assert counted.seq_scans.get(table, 0) == 0, (asked, table)
        # 500 attempts of the map, twice: by their step, and of the run, counted.
        assert counted.fetched["workflow_task_attempts"] <= 1_100
        assert counted.fetched["workflow_step_tasks"] <= 700
        assert counted.fetched["workflow_step_states"] <= 10
        assert counted.fetched["q_pgflow_default"] <= 1_100


@pytest.mark.parametrize("statistics", ["none", "of one run that waits", "of trials"])
def test_the_times_of_steps_are_found_in_few_rows_among_thousands(
    register: Register, statistics: str
) -> None:
    build("chains", chain(3))
    build("wide", {"each*": []})
    register({**{f"s{i}": one for i in range(3)}, "each": one})
    if statistics == "of one run that waits":
        executor.start_flow("wide", list(range(3000)))
        query(f"analyze {', '.join(HOT)}")
    if statistics == "of trials":
        know_trials_only("chains")
    executor.start_flows("chains", [{}] * 1200)
    executor.start_flow("wide", list(range(3000)))
    executor.drain()
    steps = [{"slug": name, "uses": name} for name in ("s0", "s1", "each")]
    for slug, source in (("chains", 50), ("wide", 50), ("new", 50)):
        document = {"workflow_slug": slug, "steps": steps}
        counted = measure(partial(simulate_flow, document))
        assert [step.seconds.n for step in simulate_flow(document).steps] == [source] * 3
        for table in HOT:
            assert counted.seq_scans[table] == 0, (slug, table)
        # 50 runs of the flow, 200 of all; 50 tasks of each step.
        assert counted.fetched["workflow_runs"] <= 260, slug
        assert counted.fetched["workflow_step_tasks"] <= 400, slug
