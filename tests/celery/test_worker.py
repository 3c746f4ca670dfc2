"""What a worker serves, when it wakes, what it costs, and how it shares its pool."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.db import transaction

from pgflow_django import executor
from tests.celery import flows
from tests.celery.processes import Worker, worker
from tests.celery.proxy import by_tcp
from tests.celery.test_pools import POOLS
from tests.engine.database import query, value
from tests.waiting import wait_until


class SiteTasks:
    """Celery tasks of the site beside the flows, through a broker of files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._outbox = folder, folder / "outbox"
        self._outbox.mkdir()
        #: What ``worker`` needs to have them.
        self.options: dict[str, Any] = {
            "app": "tests.celery.site",
            "broker": {"WORKER_TEST_BROKER_FOLDER": str(folder)},
        }
        self._app = Celery("sender", broker="filesystem://", set_as_current=False)
        self._app.conf.broker_transport_options = {
            "data_folder_in": str(folder),
            "data_folder_out": str(self._outbox),
            "control_folder": str(folder),
        }

    def send(self, name: str, *paths: Path) -> None:
        """Call one."""
        self._app.send_task(f"site.{name}", [str(path) for path in paths])
        # A worker would also read a file that is not written yet.
        for message in self._outbox.iterdir():
            message.rename(self._folder / message.name)

    def close(self) -> None:
        """Send no more."""
        self._app.close()


@pytest.fixture
def site_tasks(tmp_path: Path) -> Iterator[SiteTasks]:
    """Tasks of the site, and this process to send them."""
    tasks = SiteTasks(tmp_path / "broker")
    yield tasks
    tasks.close()


def test_a_worker_serves_the_queues_that_it_is_told_to(tmp_path: Path) -> None:
    slug = flows.single("work.pid", queue="gpu")
    with (
        worker(tmp_path, "--pgflow-queues", "default", name="first") as first,
        worker(tmp_path, name="second", QUEUES=["gpu"]) as second,
    ):
        first.wait_ready(2)
        second.wait_ready(2)
        assert {tuple(row.queues) for row in first.rows()} == {("default",)}
        run = executor.start_flow(slug)
        assert executor.wait(run.id, timeout=30)["only"] in second.children()


def test_a_worker_of_all_queues_serves_those_made_later(tmp_path: Path) -> None:
    with worker(tmp_path) as running:
        running.wait_ready(2)
        run = executor.start_flow(flows.single("work.pid", queue="made_later"))
        assert executor.wait(run.id, timeout=30)["only"] in running.children()


def test_a_queue_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with worker(tmp_path, "--pgflow-queues", "default,No Queue") as running:
        assert running.end() != 0
        assert "'No Queue' is not the name of a queue" in running.log()


def test_a_worker_leaves_tasks_alone_whose_function_it_lacks(tmp_path: Path) -> None:
    run = executor.start_flow(flows.single("work.unknown"))
    with worker(tmp_path) as running:
        running.wait_ready(2)
        other = executor.start_flow(flows.mapped(), {"count": 3})
        assert executor.wait(other.id, timeout=30) == {"total": 6}
    assert executor.get_run_status(run.id).status == "started"


def test_a_message_that_is_due_later_is_run_then(tmp_path: Path) -> None:
    slug = flows.single("work.later")
    with worker(tmp_path) as running:
        running.wait_ready(2)
        run = executor.start_flow(slug, {"mark": str(tmp_path / "mark"), "seconds": 0.7})
        waited = executor.wait(run.id, timeout=30)["only"]
    assert 0.7 <= waited < 3


def test_what_a_long_transaction_started_is_found(tmp_path: Path) -> None:
    slug = flows.mapped()
    with worker(tmp_path) as running:
        with transaction.atomic():
            run = executor.start_flow(slug, {"count": 3})  # nobody sleeps yet: it tells nobody
            running.wait_logged("ready.")
            time_to_sleep = time.monotonic() + 1
            wait_until(lambda: time.monotonic() > time_to_sleep)
        assert executor.wait(run.id, timeout=30) == {"total": 6}


def _sleeps(running: Worker) -> bool:
    return any(row.is_asleep for row in running.rows())


def _loops() -> list[int]:
    """The sessions of loops, by what they asked last: some have begun to listen with it."""
    found = query(
        "select array_agg(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and query ~ 'settle_and_claim|next_visible|^listen \"pgflow\"$'"
    )
    return found[0][0] or []


def _listeners() -> list[int]:
    """Those of them that have just begun to listen."""
    found = query(
        "select array_agg(pid) from pg_stat_activity"
        " where query = 'listen \"pgflow\"' and datname = current_database()"
    )
    return found[0][0] or []


def _sessions() -> list[int]:
    """All sessions of this database but the test's own."""
    found = query(
        "select array_agg(pid order by pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    return found[0][0] or []


def test_a_message_that_comes_with_a_long_step_does_not_wait_for_it(tmp_path: Path) -> None:
    hold, pid = flows.over_input("work.hold", timeout=60), flows.single("work.pid")
    mark, gate = tmp_path / "mark", tmp_path / "gate"
    with worker(tmp_path) as running:
        running.wait_ready(2)
        wait_until(lambda: _sleeps(running), "the loops asleep, one of which listens")
        first = executor.start_flow(hold, {"count": 1, "mark": str(mark), "gate": str(gate)})
        for _ in range(5):
            run = executor.start_flow(pid)
            assert executor.wait(run.id, timeout=2)["only"] in running.children()
        assert executor.get_run_status(first.id).status == "started"
        gate.touch()
        executor.wait(first.id, timeout=30)


def test_a_loop_that_listens_keeps_its_session_whatever_it_runs(tmp_path: Path) -> None:
    """A session that is new has every statement of the engine planned anew: 40 ms a run."""
    flow = flows.mapped()
    executor.start_flow(flow, {"count": 3})  # its session has run steps before it listens
    with worker(tmp_path, concurrency=1) as running:
        running.wait_ready(1)
        wait_until(lambda: _sleeps(running), "the loop to listen")
        sessions = []
        for _ in range(4):
            executor.wait(executor.start_flow(flow, {"count": 3}).id, timeout=30)
            wait_until(lambda: _sleeps(running), "the worker asleep")
            sessions.append(_sessions())
        assert sessions == sessions[:1] * 4


def test_a_loop_that_listens_notices_when_its_session_ends(tmp_path: Path) -> None:
    slug = flows.single("work.pid")
    with worker(tmp_path, concurrency=1) as running:
        running.wait_ready(1)
        wait_until(lambda: _sleeps(running), "the loop to listen")
        before = _loops()
        assert before
        query("select pg_terminate_backend(unnest(%s))", before)
        wait_until(lambda: set(_loops()) - set(before), "it to have a session again")
        run = executor.start_flow(slug)
        assert executor.wait(run.id, timeout=2)["only"] in running.children()


@pytest.mark.slow
def test_behind_a_transaction_pooler_a_worker_polls(tmp_path: Path) -> None:
    slug = flows.mapped()
    with (
        by_tcp(has_notifications=False) as (database, _),
        worker(tmp_path, database=database) as running,
    ):
        running.wait_ready(2)
        for count in (3, 100):
            run = executor.start_flow(slug, {"count": count})
            assert executor.wait(run.id, timeout=30) == {"total": count * (count - 1)}
        assert running.log().count("polling instead") == 1
        assert not _listeners()
        assert not any(row.is_asleep for row in running.rows())
        assert running.stop() == 0


@pytest.mark.slow
def test_an_idle_worker_costs_next_to_nothing(tmp_path: Path) -> None:
    seconds = 10.0
    counted = {"OPTIONS": {"options": "-c track_functions=all"}}
    with worker(tmp_path, concurrency=4, database=counted) as running:
        running.wait_ready(4)
        run = executor.start_flow(flows.mapped(), {"count": 100})
        executor.wait(run.id, timeout=30)
        wait_until(lambda: _sleeps(running))
        pids = [row.pid for row in running.rows()]
        # A backend that is idle tells of its last calls after ten seconds.
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 11, patience=60)
        calls, cpu, began = _calls(), running.cpu_seconds(), time.monotonic()
        wait_until(lambda: time.monotonic() - began > seconds, patience=60)
        passed = time.monotonic() - began
        calls, cpu = _calls() - calls, running.cpu_seconds() - cpu
        assert calls > 0
        assert pids == [row.pid for row in running.rows()]
    assert calls / passed <= 1
    assert cpu / passed < 0.01


def _calls() -> int:
    """How often anybody has called functions of ours."""
    calls: int = value(
        "select coalesce(sum(calls), 0)::integer from pg_stat_user_functions "
        "where schemaname = 'pgflow' and funcname not like '\\_%%'"
    )
    return calls


@pytest.mark.parametrize("pool", POOLS)
def test_celery_tasks_get_their_turn_while_flows_run(
    pool: str, tmp_path: Path, site_tasks: SiteTasks
) -> None:
    slug = flows.over_input("work.hold", timeout=60)
    gate = tmp_path / "gate"
    gate.touch()
    with worker(tmp_path, pool=pool, concurrency=1, **site_tasks.options) as running:
        running.wait_ready(1)
        inputs = {"count": 2000, "mark": str(tmp_path / "mark"), "gate": str(gate)}
        run = executor.start_flow(slug, inputs)
        wait_until((tmp_path / "mark0").exists, "the flow to begin")
        site_tasks.send("touch", tmp_path / "touched")
        wait_until((tmp_path / "touched").exists, "the Celery task")
        assert len(executor.wait(run.id, timeout=60)["each"]) == 2000


def test_flows_go_on_after_celery_tasks_had_all_processes(
    tmp_path: Path, site_tasks: SiteTasks
) -> None:
    gate = tmp_path / "gate"
    with worker(tmp_path, concurrency=2, **site_tasks.options) as running:
        running.wait_ready(2)
        for number in range(2):
            site_tasks.send("hold", tmp_path / f"held{number}", gate)
        wait_until(lambda: all((tmp_path / f"held{n}").exists() for n in range(2)), "both")
        run = executor.start_flow(flows.mapped(), {"count": 3})
        assert not running.loops()
        gate.touch()
        assert executor.wait(run.id, timeout=30) == {"total": 6}


@pytest.mark.slow
def test_autoscale_adds_loops_while_there_is_plenty_to_do(tmp_path: Path) -> None:
    slug = flows.over_input("work.hold", timeout=60)
    gate = tmp_path / "gate"
    with worker(tmp_path, "--autoscale=3,1") as running:
        running.wait_ready(1)
        run = executor.start_flow(
            slug, {"count": 6, "mark": str(tmp_path / "mark"), "gate": str(gate)}
        )
        wait_until(lambda: len(list(tmp_path.glob("mark*"))) == 3, "three at once")
        gate.touch()
        assert len(set(executor.wait(run.id, timeout=30)["each"])) == 3
        wait_until(lambda: len(running.loops()) == 1, "the others to leave")


def test_autoscale_adds_loops_though_the_parent_looks_late(tmp_path: Path) -> None:
    slug = flows.over_input("work.hold", timeout=60)
    mark, gate = tmp_path / "mark", tmp_path / "gate"
    with worker(tmp_path, "--autoscale=2,1") as running:
        running.wait_ready(1)
        run = executor.start_flow(slug, {"count": 4, "mark": str(mark), "gate": str(gate)})
        wait_until(lambda: list(tmp_path.glob("mark*")), "the first to begin")
        # A busy machine, made sure of: meanwhile the loop hands back what waits behind it.
        os.kill(running.pid, signal.SIGSTOP)
        go_on_at = time.monotonic() + 1
        wait_until(lambda: time.monotonic() > go_on_at)
        os.kill(running.pid, signal.SIGCONT)
        wait_until(lambda: len(list(tmp_path.glob("mark*"))) == 2, "a second one to begin")
        gate.touch()
        executor.wait(run.id, timeout=30)


def test_children_are_replaced_when_they_have_done_enough(tmp_path: Path) -> None:
    slug = flows.single("work.pid")
    with worker(tmp_path, "--max-tasks-per-child=1", concurrency=1, LOOP_SECONDS=0.2) as running:
        first = running.wait_ready(1).children()
        wait_until(lambda: running.children() and not first & running.children(), "a new child")
        run = executor.start_flow(slug)
        assert executor.wait(run.id, timeout=30)["only"] not in first | {os.getpid()}
