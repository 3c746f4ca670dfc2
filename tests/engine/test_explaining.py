"""``explain_run``: why a run stands as it does, and what to do next."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pgflow_django import RunFailed, RunNotFound, executor, explain_run, flow_builder, step_function
from pgflow_django.agents.operations.shapes import ControlRun
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from pgflow_django.runs.explanation import Explanation
from tests.engine.building import build
from tests.engine.database import query
from tests.engine.workers import HandWorker

FLOW: dict[str, list[str]] = {"extract": [], "load": ["extract"], "mail": ["load"]}
LOAD = {"load": {"uses": "csv.load", "max_attempts": 3, "inputs": {"rows": "extract"}}}


def fail(flow: str, functions: dict[str, Any] | None, run_input: Any = None) -> UUID:
    """Execute a run that fails; its id."""
    with pytest.raises(RunFailed) as caught:
        executor.execute_dynamic(flow, {} if run_input is None else run_input, functions)
    assert caught.value.run_id is not None
    return caught.value.run_id


def raise_key_error(input: dict[str, Any]) -> Any:
    return input["missing"]


def one(input: dict[str, Any]) -> int:
    return 1


def size_of(found: Explanation) -> int:
    return len(json.dumps(found.to_dict()))


FUNCTIONS = {"extract": one, "load": raise_key_error, "mail": one}


def test_a_failed_run_says_where_why_and_what_was_not_done() -> None:
    build("etl", FLOW, options=LOAD)
    run_id = fail("etl", FUNCTIONS, {"day": "today"})
    found = explain_run(run_id)
    assert found.headline == "Step \"load\" failed at its 3rd of 3 attempts: KeyError: 'missing'"
    assert (found.flow, found.version, found.status, found.completed) == ("etl", 1, "failed", 1)
    assert (found.cancelled, found.cancelled_total) == (("mail",), 1)
    cause = found.cause
    assert cause is not None
    assert (cause.code, cause.step, cause.function) == ("step_failed", "load", "csv.load")
    assert (cause.attempt, cause.error_type, cause.message) == (3, "KeyError", "'missing'")
    assert cause.input_keys == ("rows", "extract", "run", "day")
    assert "raise_key_error" in cause.traceback
    assert cause.worker
    assert [row.attempt for row in found.attempts] == [1, 2, 3]
    assert found.attempts_total == 3
    assert (found.waiting, found.same_error, found.changed_since_success) == (None, None, None)
    (action,) = found.next
    # It had functions of its caller, which no command has.
    assert action.command == f'executor.retry_run("{run_id}", step_functions=…)'


def test_it_is_json_of_one_shape_for_every_status() -> None:
    build("etl", FLOW, options=LOAD)
    failed = fail("etl", FUNCTIONS)
    done = executor.start_flow(build("short", {"a": []}))
    worker = HandWorker()
    worker.complete(*worker.claim())
    waiting = executor.start_flow("etl").id
    cancelled = executor.start_flow("etl").id
    executor.cancel_run(cancelled, reason="wrong day")
    shapes = []
    for run_id in (failed, done.id, waiting, cancelled):
        shape = json.loads(json.dumps(explain_run(run_id).to_dict()))
        shapes.append(list(shape))
    assert all(shape == shapes[0] for shape in shapes)


def test_a_completed_run_says_what_took_longest() -> None:
    run = executor.start_flow(build("two", {"a": [], "b": ["a"]}))
    worker = HandWorker()
    worker.complete(*worker.claim())
    worker.complete(*worker.claim())
    query(
        "update workflow_step_states set started_at = ended_at - interval '7 seconds' "
        "where step_slug = 'b'"
    )
    found = explain_run(run.id)
    assert found.headline.startswith("Completed in 0.")
    assert found.headline.endswith('; step "b" took longest, 7.0 s')
    assert (found.slowest[0].step, found.slowest[0].seconds) == ("b", 7.0)
    assert (found.cause, found.next, found.completed) == (None, (), 2)


def test_a_run_that_waits_says_what_for_in_the_words_of_its_status() -> None:
    run = executor.start_flow(build("gpu", {"a": []}, queue="gpu"))
    found = explain_run(str(run.id))
    assert found.waiting == executor.get_run_status(run.id).waiting
    assert found.waiting is not None
    assert found.headline == f"It waits: {found.waiting.message}"
    (action,) = found.next
    assert (action.command, action.certain) == (
        "celery -A tests worker --pgflow-queues gpu", True
    )  # fmt: skip
    HandWorker(["gpu"]).claim()
    found = explain_run(run.id)
    assert (found.waiting, found.headline) == (None, "It goes on: 0 of 1 steps are done")


def test_what_ends_a_wait_is_told_to_people_and_to_programs() -> None:
    run = executor.start_flow(build("one", {"a": []}, max_attempts=3)).id
    worker = HandWorker()
    worker.fail(*worker.claim(), delay=600)
    (action,) = explain_run(run).next
    assert action.command == f"python manage.py retryrun {run} --step a --now"
    asked = ControlRun(**action.arguments)
    assert (action.tool, asked.action, asked.step) == ("control_run", "retry_now", "a")
    executor.pause_run(run)
    (action,) = explain_run(run).next
    assert action.command == f"python manage.py resumerun {run}"
    asked = ControlRun(**action.arguments)
    assert (action.tool, asked.run_id, asked.action) == ("control_run", run, "resume")


def test_a_cancelled_run_says_the_reason() -> None:
    run = executor.start_flow(build("one", {"a": []}))
    executor.cancel_run(run.id, reason="cancelled by ann in the admin")
    found = explain_run(run.id)
    assert found.headline == "Cancelled: cancelled by ann in the admin"
    assert found.cause is not None
    assert (found.cause.code, found.cause.message) == (
        "run_cancelled", "cancelled by ann in the admin"
    )  # fmt: skip
    assert [action.command for action in found.next] == [f"python manage.py retryrun {run.id}"]
    assert found.cancelled == ("a",)


def test_what_came_before_a_retry_counts_no_more() -> None:
    run = executor.start_flow(build("one", {"a": []}, max_attempts=1))
    for _ in range(2):
        worker = HandWorker()
        worker.fail(*worker.claim())
        found = explain_run(run.id)
        assert (found.attempts_total, found.headline) == (
            1, 'Step "a" failed at its 1st of 1 attempts: ValueError: by hand'
        )  # fmt: skip
        executor.retry_run(run.id)
    assert explain_run(run.id).attempts_total == 2  # of a run that goes on, all of them


def test_the_task_of_a_map_is_named() -> None:
    executor.start_flow(build("map", {"each*": []}, max_attempts=1), [1, 2, 3])
    worker = HandWorker()
    tasks = worker.claim(3)
    worker.fail(tasks[2])
    found = explain_run(UUID(tasks[0].group.run_id))
    assert found.headline.startswith('Step "each", task 2 failed at its 1st of 1 attempts: ')
    assert found.cause is not None
    assert found.cause.input_keys == ("item", "index", "run")


def test_what_changed_since_it_worked_and_how_often_it_failed_so() -> None:
    build("etl", FLOW, options=LOAD)
    executor.execute_dynamic("etl", {}, {**FUNCTIONS, "load": one})
    first = fail("etl", FUNCTIONS)
    assert explain_run(first).changed_since_success is None
    document = flow_builder.export_flow("etl")
    document["steps"][1]["params"] = {"delimiter": ";"}
    flow_builder.create_flow_from_spec(document, replace=True)
    fail("etl", {**FUNCTIONS, "extract": raise_key_error})
    found = explain_run(fail("etl", FUNCTIONS))
    changed = found.changed_since_success
    assert changed is not None
    assert (changed.version, changed.changes_total) == (1, 1)
    assert changed.changes == ('step load: params null → {"delimiter": ";"}',)
    assert found.same_error is not None
    assert found.same_error.runs == 1
    times = {run.pk: run.started_at for run in WorkflowRun.objects.all()}
    assert found.same_error.first == times[first]


def test_an_earlier_flow_of_its_name_is_not_what_it_was() -> None:
    executor.execute_dynamic(build("again", {"extract": []}), {}, FUNCTIONS)
    flow_builder.delete_flow("again")
    run_id = fail(build("again", {"load": []}, max_attempts=1), FUNCTIONS)
    assert explain_run(run_id).changed_since_success is None


def test_a_failure_without_a_step_or_an_attempt() -> None:
    build("stuck", {"a": [], "each*": ["a"]})
    run = executor.start_flow("stuck")
    worker = HandWorker()
    worker.complete(*worker.claim(), output={"no": "list"})
    found = explain_run(run.id)
    assert found.headline.startswith('Step "each" failed: TypeViolation: map step "each" maps ')
    assert found.cause is not None
    assert (found.cause.attempt, found.cause.input_keys, found.attempts) == (None, (), ())
    query(
        "update workflow_runs set error = jsonb_build_object('code', 'caller_lost', 'error_type', "
        "'CallerLost', 'error_message', 'gone')"
    )
    found = explain_run(run.id)
    assert found.headline == "The run failed: CallerLost: gone"
    (action,) = found.next
    assert (action.command, action.certain) == (f"python manage.py retryrun {run.id}", True)


def test_a_broken_contract_has_its_places() -> None:
    schema = {"type": "object", "properties": {"rows": {"type": "array"}}, "required": ["rows"]}

    @step_function("tests.typed", input=schema)
    def typed(input: dict[str, Any]) -> int:
        return 1

    try:
        build("typed", {"a": []}, options={"a": {"uses": "tests.typed"}})
        run_id = fail("typed", None, {"rows": 7})
    finally:
        registry.unregister("tests.typed")
    found = explain_run(run_id)
    assert found.cause is not None
    assert found.cause.code == "invalid_step_input"
    (problem,) = found.cause.problems
    assert problem["pointer"] == "/rows"
    edit, start, retry = found.next
    assert edit.command == "python manage.py exportflow typed --output flow.json"
    assert "python manage.py importflow flow.json --replace" in edit.why
    assert start.command == "python manage.py runflow typed --input @input.json"
    assert "a retry would keep version 1" in start.why
    assert retry.command == f"python manage.py retryrun {run_id}"


def test_there_is_no_such_run() -> None:
    unknown = uuid4()
    for given in (unknown, str(unknown), "no id", ""):
        with pytest.raises(RunNotFound) as theirs:
            executor.get_run_status(given)
        with pytest.raises(RunNotFound) as ours:
            explain_run(given)
        assert str(ours.value) == str(theirs.value)


HOSTILE = '\N{PILE OF POO}\x1b"\\' * 20_000


def test_it_stays_small_whatever_the_run() -> None:
    """Names of full length, values that take most room in JSON, many attempts and steps."""
    slugs = [f"{'s' * 120}{n}" for n in range(60)]
    long = "f" * 255
    steps: dict[str, list[str]] = {slug: [] for slug in slugs}
    names = {f"{HOSTILE[:80]}{n}": "run" for n in range(50)}
    options = {slugs[0]: {"uses": long, "max_attempts": 9, "inputs": names}}
    flow = build("w" * 128, steps, options=options)
    executor.execute_dynamic(flow, {}, dict.fromkeys(slugs, one))
    document = flow_builder.export_flow(flow)
    for row in document["steps"]:
        row["params"] = {HOSTILE[:50]: HOSTILE[:200]}
    flow_builder.create_flow_from_spec(document, replace=True)
    executor.start_flow(flow)
    worker = HandWorker()
    for task in worker.claim(60):
        if task.group.step_slug == slugs[0]:
            worker.fail(task, permanent=True)
    run = executor.start_flow(flow, {f"{HOSTILE[:400]}{n}": n for n in range(100)})
    (task,) = [task for task in worker.claim(60) if task.group.step_slug == slugs[0]]
    error = {
        "code": "invalid_step_input",
        "error_type": HOSTILE[:100],
        "error_message": HOSTILE[:20_000],
        "traceback": "\n".join([HOSTILE[:1000]] * 40),
        "step_slug": slugs[0],
        "task_index": 0,
        "attempt": 1,
        "problems": [{"pointer": "/" + HOSTILE[:290], "message": HOSTILE[:290]}] * 5,
    }
    worker.fail(task, permanent=True)
    query(
        "insert into workflow_task_attempts (run_id, step_slug, task_index, attempt, code, "
        "error_type, error_message, traceback, worker, ended_at) select %s, %s, 0, i, 'step_failed'"
        ", %s, %s, '', %s, clock_timestamp() from generate_series(2, 900) as i",
        run.id, slugs[0], HOSTILE[:200], HOSTILE[:20_000], HOSTILE[:300],
    )  # fmt: skip
    query("update workflow_runs set error = %s::jsonb where status = 'failed'", json.dumps(error))
    with CaptureQueriesContext(connection) as queries:
        found = explain_run(run.id)
    assert len(queries) <= 8
    assert size_of(found) <= 16_000
    assert found.attempts_total == 900
    assert found.cancelled_total == 59
    assert found.same_error is not None
    assert found.changed_since_success is not None
    assert found.changed_since_success.changes_total == 60


def test_it_stays_small_whatever_a_run_waits_for() -> None:
    slugs = [f"{'s' * 120}{n}" for n in range(300)]
    options = {slug: {"queue": f"{'q' * 36}{n % 20}"} for n, slug in enumerate(slugs)}
    run = executor.start_flow(build("w" * 128, {slug: [] for slug in slugs}, options=options))
    found = explain_run(run.id)
    assert found.waiting == executor.get_run_status(run.id).waiting
    assert found.waiting is not None
    assert len(found.waiting.queues) == 20
    assert size_of(found) <= 16_000
    (action,) = found.next
    assert action.command.endswith(",".join(found.waiting.queues[:8]))
    assert action.why == "A worker takes what waits in these 8 of 20 queues."


def test_no_status_takes_more_than_eight_queries() -> None:
    build("etl", FLOW, options=LOAD)
    executor.execute_dynamic("etl", {}, {**FUNCTIONS, "load": one})
    flow_builder.add_step("etl", "late", ["mail"])
    failed = fail("etl", {**FUNCTIONS, "late": one})
    waiting = executor.start_flow("etl").id
    owned = executor.start_flow("etl").id
    query("update workflow_runs set owner_id = 1 where id = %s", owned)
    counts = {}
    for name, run_id in {"failed": failed, "waiting": waiting, "owned": owned}.items():
        with CaptureQueriesContext(connection) as queries:
            assert explain_run(run_id).headline
        counts[name] = len(queries)
    assert max(counts.values()) <= 8, counts
