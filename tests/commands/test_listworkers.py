"""``listworkers``: who works, and what on."""

from __future__ import annotations

import re
from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from pgflow_django import engine, executor
from pgflow_django.models import WorkflowWorker
from pgflow_django.runs.workers import list_workers
from tests.commands.calling import Answer, call
from tests.engine.building import build
from tests.engine.database import query
from tests.engine.workers import HandWorker


def lines() -> list[str]:
    """What is listed, without the heads of columns."""
    return call("listworkers").stdout.splitlines()[1:]


def test_without_workers_it_says_how_to_start_one() -> None:
    assert call("listworkers") == Answer("", "No workers. Start one: celery -A tests worker\n", 0)
    assert call("listworkers", json=True) == Answer("[]\n", "", 0)


def test_a_line_says_who_it_is_and_what_it_can_do() -> None:
    engine.register_worker("celery", "box", 17, ["default", "gpu"], ["a", "b"], using="default",
                           node="celery@box")  # fmt: skip
    answer = call("listworkers")
    assert answer.stderr == ""
    head, line = answer.stdout.splitlines()
    assert re.fullmatch(r"NODE +HOST +PID +KIND +QUEUES +FUNCTIONS +HEARTBEAT +DOING", head)
    assert line.split()[:7] == ["celery@box", "box", "17", "celery", "default,", "gpu", "2"]
    assert re.search(r" m?s ago +idle$", line)


def test_a_worker_that_can_run_anything_and_one_without_a_node() -> None:
    worker = HandWorker()
    pid = WorkflowWorker.objects.get(id=worker.id).pid
    (line,) = lines()
    assert line.split()[:5] == ["by-hand", str(pid), "in_process", "default", "any"]


def test_what_a_worker_is_doing_and_since_when() -> None:
    run = executor.start_flow(build("flow", {"a": []}))
    HandWorker().claim()
    query("update workflow_step_tasks set started_at = clock_timestamp() - interval '90 s'")
    (line,) = lines()
    assert line.endswith(f" flow.a of run {run.id} for 1 min 30 s")


def test_the_tasks_of_a_map_are_counted_and_a_lone_one_is_named() -> None:
    run = executor.start_flow(build("flow", {"each*": []}), list(range(7)))
    worker = HandWorker()
    tasks = worker.claim(5)
    worker.claim_in_another_thread()
    (listed,) = call("listworkers", json=True).json
    assert len(listed["doing"]) == 1
    assert (listed["doing"][0]["tasks"], listed["doing"][0]["task_index"]) == (6, 0)
    assert f"flow.each (6 tasks) of run {run.id} for " in lines()[0]
    worker.complete(*tasks)
    assert f"flow.each[5] of run {run.id} for " in lines()[0]


def test_what_is_done_is_no_longer_shown() -> None:
    executor.start_flows(build("flow", {"a": []}), [{}] * 2)
    worker = HandWorker()
    tasks = worker.claim(2)
    assert "and 1 more step" in lines()[0]
    worker.complete(*tasks)
    assert lines()[0].endswith("idle")


def test_everything_as_json() -> None:
    run = executor.start_flow(build("flow", {"a": []}))
    worker = HandWorker(functions=["a"])
    worker.claim()
    (listed,) = call("listworkers", json=True).json
    started_at = parse_datetime(listed.pop("started_at"))
    assert started_at is not None
    assert timezone.now() - started_at < timedelta(minutes=1)
    assert 0 <= listed.pop("silent") < 30
    (doing,) = listed.pop("doing")
    assert doing.pop("since")
    assert doing == {
        "run_id": str(run.id),
        "workflow_slug": "flow",
        "step_slug": "a",
        "task_index": 0,
        "tasks": 1,
    }
    assert listed == {
        "id": worker.id,
        "node": "",
        "kind": "in_process",
        "hostname": "by-hand",
        "pid": WorkflowWorker.objects.get().pid,
        "queues": ["default"],
        "functions": ["a"],
        "is_alive": True,
    }


def test_a_silent_worker_is_marked_however_long_it_has_been_silent() -> None:
    for moment in ("clock_timestamp() - interval '100 s'", "'-infinity'"):
        HandWorker()
        query(
            f"update workflow_workers set started_at = clock_timestamp() - interval '1 hour', "
            f"lease_until = {moment} where lease_until > clock_timestamp()"
        )
    first, second = lines()
    assert re.search("2 min 10 s ago +silent: others take over its work", first)
    assert re.search("1 h ago +silent: others take over its work", second)
    assert [one["is_alive"] for one in call("listworkers", json=True).json] == [False, False]


def test_the_processes_of_a_node_stand_together() -> None:
    for node, pid in (("b@box", 1), ("a@box", 2), ("b@box", 3), ("a@box", 4)):
        engine.register_worker("celery", "box", pid, ["default"], [], using="default", node=node)
    assert [line.split()[0] for line in lines()] == ["a@box", "a@box", "b@box", "b@box"]
    assert [line.split()[2] for line in lines()] == ["2", "4", "1", "3"]


def test_however_much_workers_hold_two_queries_find_it() -> None:
    build("flow", {"each*": []})
    runs = executor.start_flows("flow", [list(range(300))] * 8)
    workers = [HandWorker() for _ in range(8)]
    for worker in workers:
        worker.claim(200)
        worker.claim_in_another_thread(100)
    with CaptureQueriesContext(connection) as queries:
        listed = list_workers(using="default")
    assert len(queries) == 2
    assert [sum(work.tasks for work in worker.doing) for worker in listed] == [300] * 8
    assert {work.run_id for worker in listed for work in worker.doing} == {run.id for run in runs}
