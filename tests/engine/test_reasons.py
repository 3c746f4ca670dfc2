"""``explain_run(...).reasons``: all reasons why a run stands as it does, the most urgent first."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pgflow_django import engine, executor, explain_run, flow_builder
from pgflow_django.runs.why.reason import Reason
from tests.engine.building import build, chain
from tests.engine.conftest import Register
from tests.engine.database import end_leases, query, value
from tests.engine.test_explaining import HOSTILE
from tests.engine.workers import HandWorker, sweep

ONE = {"a": []}


def reasons(run_id: UUID | str) -> tuple[Reason, ...]:
    """What is said, by both doors."""
    found = explain_run(run_id).reasons
    told = executor.get_run_status(run_id).reasons
    assert [each.code for each in told] == [each.code for each in found]
    return found


def only(run_id: UUID) -> Reason:
    (reason,) = reasons(run_id)
    return reason


def codes(run_id: UUID) -> list[str]:
    return [reason.code for reason in reasons(run_id)]


def find(run_id: UUID, code: str) -> Reason:
    (reason,) = (each for each in reasons(run_id) if each.code == code)
    return reason


def without_times(text: str) -> str:
    """A sentence without the days, times and numbers of processes, which differ each time."""
    text = re.sub(r"\d{4}-\d\d-\d\d ", "", text)
    return re.sub(r"pid \d+", "pid n", re.sub(r"\d\d:\d\d:\d\d", "hh:mm:ss", text))


def since_minutes(minutes: float, column: str = "queued_at") -> None:
    """Let all tasks have waited, or run, for so long."""
    query(
        f"update workflow_step_tasks set {column} = clock_timestamp() - %s * interval '1 minute'",
        minutes,
    )
    if column == "queued_at":
        query(
            "update workflow_step_states set started_at = clock_timestamp() - "
            "%s * interval '1 minute' where status = 'started'",
            minutes,
        )


def fail_with(worker: HandWorker, tasks: Sequence[Any], message: str, delay: float) -> None:
    engine.fail_tasks(
        [
            {
                **task.ref,
                "code": "step_failed",
                "error_type": "ConnectionError",
                "error_message": message,
                "traceback": "",
                "permanent": False,
                "delay": delay,
            }
            for task in tasks
        ],
        using="default",
    )


# A test for each code, with its sentence.


def test_no_worker() -> None:
    run = executor.start_flow(build("flow", {"train": []}, queue="gpu"))
    since_minutes(5)
    reason = only(run.id)
    assert reason.message == (
        'no live worker serves queue "gpu", where step "train" has waited for 5 min'
    )
    assert (reason.code, reason.fix) == (
        "no_worker", "celery -A tests worker --pgflow-queues gpu"
    )  # fmt: skip
    assert (reason.steps, reason.queues, reason.needs_help) == (("train",), ("gpu",), True)
    assert reason.action == "see_workers"
    assert reason.since is not None
    queued_at = value("select queued_at from workflow_step_tasks")
    assert abs(reason.since - queued_at) < timedelta(seconds=5)


def test_no_function() -> None:
    run = executor.start_flow(build("flow", ONE, options={"a": {"uses": "shop.fetch"}}))
    HandWorker(functions=["shop.other"])
    HandWorker(["gpu"])
    reason = only(run.id)
    assert without_times(reason.message) == (
        'no live worker of queue "default" has function "shop.fetch" (step "a"). '
        "The queue is served by by-hand, pid n"
    )
    assert (reason.code, reason.functions) == ("no_function", ("shop.fetch",))


def test_busy(register: Register) -> None:
    """Three that were there before take about as long as they have taken so far."""
    build("long", {"hold": []})
    worker = HandWorker()
    executor.start_flow("long")
    worker.complete(*worker.claim())
    query("update workflow_step_tasks set started_at = ended_at - interval '80 seconds'")
    executor.start_flows("long", [{}] * 4)
    worker.claim()
    run = executor.start_flow(build("flow", ONE))
    reason = only(run.id)
    assert reason.message == (
        'the only worker of queue "default" is busy: step "a" waits for its turn; '
        "3 tasks are ahead of it, at the usual pace about 4 min"
    )
    assert (reason.code, reason.fix) == ("busy", "python manage.py listworkers")
    assert not reason.needs_help


def test_no_more_than_a_thousand_tasks_are_counted_ahead() -> None:
    build("long", {"hold": []})
    worker = HandWorker()
    executor.start_flow("long")
    worker.claim()
    query(
        "insert into pgmq.q_pgflow_default (enqueued_at, vt, message) select t, t, "
        "jsonb_build_object('run_id', i, 'step_slug', 'x', 'task_index', 0, 'count', 2, "
        "'function', 'x') from generate_series(1, 1200) as i, "
        "lateral (select clock_timestamp() - interval '1 hour' as t) as past"
    )
    run = executor.start_flow(build("flow", ONE))
    assert only(run.id).message.endswith("; more than 2,000 tasks are ahead of it")


def test_delayed() -> None:
    run = executor.start_flow(build("flow", ONE, options={"a": {"start_delay": 50}}))
    HandWorker()
    reason = only(run.id)
    assert re.fullmatch(
        r'step "a" is due in (4\d|50)\.\d s, at hh:mm:ss: a delayed start',
        without_times(reason.message),
    )
    assert reason.code == "delayed"
    started = value("select started_at from workflow_step_states")
    assert reason.until == started + timedelta(seconds=50)


def test_retrying() -> None:
    build("flow", {"a*": []}, options={"a": {"max_attempts": 3}})
    run = executor.start_flow("flow", list(range(42)))
    worker = HandWorker()
    tasks = worker.claim(42)
    fail_with(worker, tasks[:1], "host db1\nrefused", 100)
    fail_with(worker, tasks[1:], "host db2 refused", 200)
    reason = only(run.id)
    assert re.fullmatch(
        r'step "a" is due in \d+\.\d s, at hh:mm:ss: attempt 2 of 3, last: '
        "ConnectionError: host db1 refused; 41 more items wait",
        without_times(reason.message),
    )
    assert (reason.code, reason.action) == ("retrying", "retry_now")
    assert reason.fix == f"python manage.py retryrun {run.id} --step a --now"
    assert reason.until == value("select min(retry_at) from workflow_task_attempts")
    waiting = executor.get_run_status(run.id).waiting
    assert waiting is not None
    assert waiting.reason == "delayed"  # as ever


def test_running() -> None:
    build("flow", {"a": []}, options={"a": {"timeout": 900}})
    worker = HandWorker()
    for _ in range(3):
        executor.start_flow("flow")
        worker.complete(*worker.claim())
    query("update workflow_step_tasks set started_at = ended_at - interval '3 minutes'")
    run = executor.start_flow("flow")
    worker.claim()
    assert only(run.id).message.endswith(": 15 min until its timeout")
    query(
        "update workflow_step_tasks set started_at = clock_timestamp() - interval '9 minutes' "
        "where status = 'started'"
    )
    reason = only(run.id)
    assert without_times(reason.message) == (
        'step "a" runs since hh:mm:ss (9 min) on by-hand, pid n: 3.0 times longer than usual, '
        "6 min until its timeout"
    )
    began = value("select started_at from workflow_step_tasks where status = 'started'")
    assert (reason.code, reason.since) == ("running", began)
    assert reason.until == began + timedelta(seconds=900)
    assert executor.get_run_status(run.id).waiting is None


def test_running_tasks_of_a_map_are_counted() -> None:
    run = executor.start_flow(build("flow", {"a*": []}, options={"a": {"timeout": 60}}), [1, 2, 3])
    HandWorker().claim(2)
    assert without_times(only(run.id).message) == (
        '2 tasks of step "a" run since hh:mm:ss (0 s) on by-hand, pid n: 60 s until its timeout'
    )


def test_caller() -> None:
    build("flow", ONE)
    worker = HandWorker(["in_process"])
    (run_id,) = engine.start_flow("flow", "[{}]", owner=worker.id, using="default")
    reason = only(run_id)
    assert without_times(reason.message) == (
        "it belongs to the process that executes it (by-hand, pid n)"
    )
    assert (reason.code, reason.steps) == ("caller", ("a",))
    end_leases()
    assert only(run_id).message.startswith("the process that executed it is gone: ")


def test_lost() -> None:
    run = executor.start_flow(build("flow", ONE))
    worker = HandWorker()
    worker.claim()
    other = HandWorker()
    worker.die()
    reason = only(run.id)
    assert without_times(reason.message) == (
        'the worker of step "a" (by-hand, pid n) has not been heard of since hh:mm:ss: within '
        "10 s another worker takes back what it held, and it is tried again"
    )
    assert (reason.code, reason.fix) == ("lost", "python manage.py listworkers")
    assert reason.until is not None
    other.leave()
    assert codes(run.id) == ["no_worker", "lost"]
    assert find(run.id, "lost").message.endswith(
        "the next worker that starts takes back what it held, and it is tried again"
    )
    sweep()
    assert codes(run.id) == ["no_worker"]


def test_blocked() -> None:
    run = executor.start_flow(build("flow", chain(4), queue="gpu"))
    reason = find(run.id, "blocked")
    assert reason.message == (
        'step "s1" waits for step "s0" (no worker serves its queue); 2 steps behind it'
    )
    assert reason.steps == ("s1", "s2", "s3")


@pytest.mark.parametrize("by", ["", "admin:ada"])
@pytest.mark.parametrize("why", ["", "until the bill is paid"])
def test_paused(by: str, why: str) -> None:
    run = executor.start_flow(build("flow", ONE))
    HandWorker()
    executor.pause_run(run.id, reason="once before")
    executor.resume_run(run.id)
    executor.pause_run(run.id, reason=why, by=by)
    reason = only(run.id)
    who = f" by {by}" if by else ""
    told = f" ({why})" if why else ""
    assert without_times(reason.message) == (
        f"the run is paused{who} since hh:mm:ss{told}: nothing of it is started until it goes on"
    )
    assert (reason.code, reason.action, reason.needs_help) == ("paused", "resume", True)
    assert reason.fix == f"python manage.py resumerun {run.id}"
    events = "select max(at) from workflow_run_events where kind = 'paused'"
    assert reason.since == value(events)


def test_failed() -> None:
    steps = {"load*": [], "mail": ["load"], "end": ["mail"], "aside": [], "last": ["aside"]}
    run = executor.start_flow(build("flow", steps, max_attempts=2), [1, 2, 3])
    worker = HandWorker()
    tasks = [task for task in worker.claim(10) if task.group.step_slug == "load"]
    worker.fail(*tasks, delay=0)
    again = [task for task in worker.claim(10) if task.group.step_slug == "load"]
    worker.fail(again[1])
    reason = only(run.id)
    index = again[1].index
    assert reason.message == (
        f'step "load", item {index}, failed: ValueError: by hand; 2 more items had this '
        'type of error, too; steps "mail", "end" can\'t be reached any more; steps "aside", "last" '
        "were cancelled with it"
    )
    assert (reason.code, reason.action, reason.steps) == ("failed", "retry", ("load",))
    assert reason.fix == f"python manage.py retryrun {run.id}"
    assert reason.since == value("select ended_at from workflow_runs")


def test_what_a_retry_would_not_mend_is_not_offered_one() -> None:
    run = executor.start_flow(build("stuck", {"a": [], "each*": ["a"]}))
    worker = HandWorker()
    worker.complete(*worker.claim(), output={"no": "list"})
    reason = only(run.id)
    assert reason.message.startswith('step "each" failed: TypeViolation: ')
    assert (reason.fix, reason.action) == ("", "")


def test_cancelled() -> None:
    run = executor.start_flow(build("flow", ONE))
    executor.cancel_run(run.id, reason="nobody asks any more", by="admin:ada")
    reason = only(run.id)
    assert reason.message == "the run was cancelled by admin:ada: nobody asks any more"
    assert (reason.code, reason.action, reason.steps) == ("cancelled", "retry", ("a",))


def test_completed() -> None:
    run = executor.start_flow(build("flow", ONE))
    worker = HandWorker()
    worker.complete(*worker.claim())
    query("update workflow_runs set ended_at = started_at + interval '70 seconds'")
    reason = only(run.id)
    assert (reason.code, reason.message) == ("completed", "the run completed after 70 s")
    assert (reason.fix, reason.action) == ("", "")


# Several at once.


def build_busy_run() -> tuple[UUID, HandWorker]:
    """A run of which every step waits for something else."""
    steps = {
        "work": [],
        "retry": [],
        "gpu": [],
        "odd": [],
        "later": [],
        "turn": [],
        "after": ["gpu"],
        "end": ["after", "retry"],
    }
    options: dict[str, Any] = {
        "gpu": {"queue": "gpu"},
        "odd": {"uses": "odd.one"},
        "later": {"start_delay": 60},
        "retry": {"max_attempts": 3},
    }
    worker = HandWorker(functions=["work", "retry", "later", "turn"])
    run = executor.start_flow(build("flow", steps, options=options))
    tasks = {task.group.step_slug: task for task in worker.claim(3)}
    fail_with(worker, [tasks["retry"]], "refused", 100)
    worker.release(tasks["turn"])
    return run.id, worker


def test_all_are_told_the_most_urgent_first() -> None:
    run, _ = build_busy_run()
    found = reasons(run)
    assert [(reason.code, reason.steps) for reason in found] == [
        ("no_worker", ("gpu",)),
        ("no_function", ("odd",)),
        ("retrying", ("retry",)),
        ("busy", ("turn",)),
        ("delayed", ("later",)),
        ("running", ("work",)),
        ("blocked", ("after", "end")),
    ]
    assert found[-1].message == (
        'step "after" waits for step "gpu" (no worker serves its queue); step "end" waits for step '
        '"retry" (it waits for its next attempt)'
    )
    status = executor.get_run_status(run)
    assert status.waiting is not None
    assert status.waiting.reason == "no_worker"


def test_a_paused_run_also_says_what_it_will_wait_for() -> None:
    run, worker = build_busy_run()
    executor.pause_run(run)
    worker.die()
    assert codes(run) == ["paused", "no_worker", "lost", "retrying", "delayed", "blocked"]
    assert executor.get_run_status(run).waiting.reason == "paused"  # type: ignore[union-attr]


def test_what_begins_in_a_moment_has_no_reason() -> None:
    run = executor.start_flow(build("flow", {"a": [], "b": ["a"]}))
    HandWorker()
    reason = only(run.id)
    assert reason.message == 'step "b" waits for step "a" (it is about to begin)'
    assert executor.get_run_status(run.id).waiting is None


# Bounds.


def count_queries(run: UUID) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert explain_run(run).headline
    return len(queries)


def test_eight_queries_are_enough_for_all_at_once() -> None:
    run, _ = build_busy_run()
    since_minutes(5, "started_at")
    executor.start_flows(build("other", {"turn": []}), [{}] * 3)
    query("update pgmq.q_pgflow_default set enqueued_at = enqueued_at - interval '1 hour'")
    assert find(run, "busy").message.count("ahead") <= 1
    assert count_queries(run) <= 8
    executor.pause_run(run)
    assert count_queries(run) <= 8
    executor.cancel_run(run)
    assert count_queries(run) <= 8


@pytest.mark.slow
def test_it_stays_small_with_two_thousand_steps() -> None:
    slugs = [f"{'s' * 120}{number}" for number in range(2_000)]
    steps: dict[str, list[str]] = {slug: [] for slug in slugs[:1_000]}
    steps |= dict.fromkeys(slugs[1000:], slugs[:3])
    options = {slug: {"queue": f"{'q' * 36}{n % 20}"} for n, slug in enumerate(slugs)}
    run = executor.start_flow(build("w" * 128, steps, options=options, max_attempts=2)).id
    expect_small(run, ["no_worker", "blocked"])
    worker = HandWorker([f"{'q' * 36}{n}" for n in range(20)])
    fail_with(worker, worker.claim(500), HOSTILE[:2_000], 100)
    expect_small(run, [*["retrying"] * 5, "blocked"])
    query("update workflow_step_states set status = 'cancelled', ended_at = now()")
    query(
        "update workflow_runs set status = 'failed', ended_at = now(), error = %s::jsonb",
        json.dumps({"step_slug": slugs[0], "error_type": HOSTILE, "error_message": HOSTILE}),
    )
    expect_small(run, ["failed"])


def expect_small(run: UUID, expected: list[str]) -> None:
    """Expect these reasons, told within the bounds."""
    assert codes(run) == expected
    with CaptureQueriesContext(connection) as queries:
        told = explain_run(run).to_dict()
    assert len(queries) <= 8
    assert len(json.dumps(told)) <= 16_000
    assert told["reasons"]
    assert [row["code"] for row in told["reasons"]] == expected[: len(told["reasons"])]


def test_a_deleted_step_tells_nothing() -> None:
    """A run that is being deleted, in slices, has lost its steps."""
    run = executor.start_flow(build("flow", ONE))
    executor.cancel_run(run.id)
    query("delete from workflow_step_tasks")
    query("delete from workflow_step_states")
    assert only(run.id).code == "cancelled"
    flow_builder.create_flow("empty")
