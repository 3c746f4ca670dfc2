"""Steps and tasks that a person skips or completes with an output, in place of their function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from pgflow_django import PgflowError, RunNotFound, StepFunctionMissing, executor, signals
from pgflow_django.exceptions import ActionRefused, InvalidOutput, RunFailed
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from pgflow_django.runs.view import load
from tests.engine.building import build, chain
from tests.engine.by_hand import status
from tests.engine.conftest import Register
from tests.engine.database import messages, query, step_statuses
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.threads import at_once
from tests.engine.workers import HandWorker


def echo(input: dict[str, Any]) -> Any:
    """What a step was given, without the run's input."""
    return {key: value for key, value in input.items() if key not in {"run", "n"}}


def fail_at(steps: dict[str, list[str]], last: str, **flow: Any) -> WorkflowRun:
    """A run in which all that could be done is, and this step has failed."""
    build("flow", steps, **flow)
    run = executor.start_flow("flow", [1, 2, 3])
    worker = HandWorker()
    held = []
    while tasks := worker.claim_in_another_thread(10):
        mine = [task for task in tasks if task.group.step_slug == last]
        held += mine
        worker.complete(*(task for task in tasks if task not in mine), output=[1, 2, 3])
    worker.fail(*held[:1], permanent=True)
    worker.leave()
    assert step_statuses(run.id)[last] == "failed"
    return run


def finish(run: WorkflowRun, steps: dict[str, list[str]], register: Register) -> dict[str, Any]:
    """Let echoing workers end the run, and give its output."""
    register({name.removesuffix("*"): echo for name in steps})
    check_consistency()
    assert executor.drain(timeout=60)
    check_all_ended()
    return executor.wait(run.id, timeout=0)


# -- in runs that have ended -------------------------------------------------------------------

FAN = {"a": [], "b": ["a"], "c": ["b"], "d": ["a", "b"]}


def test_a_skipped_step_is_none_where_it_is_waited_for(register: Register) -> None:
    run = fail_at(FAN, "b")
    done = executor.skip_step(run.id, "b", reason="not needed today", by="admin:ada")
    assert (done.action, done.did, done.before, done.status) == ("skip", True, "failed", "started")
    assert (done.steps, done.tasks) == (("b",), 1)
    output = finish(run, FAN, register)
    assert output == {"c": {"b": None}, "d": {"a": [1, 2, 3], "b": None}}
    assert step_statuses(run.id)["b"] == "skipped"
    kinds = WorkflowRunEvent.objects.filter(run_id=run.id).order_by("id")
    assert [event.kind for event in kinds] == ["retried", "skipped"]
    told = kinds[1]
    assert (told.step_slug, told.task_index, told.message) == ("b", None, "not needed today")
    assert told.data == {
        "by": "admin:ada",
        "reason": "not needed today",
        "tasks": 1,
        "steps": ["b"],
    }


def test_a_step_completed_by_hand_gives_its_output(register: Register) -> None:
    run = fail_at(FAN, "b")
    done = executor.complete_step(run.id, "b", {"by": "hand"})
    assert (done.action, done.steps, done.tasks) == ("complete", ("b",), 1)
    output = finish(run, FAN, register)
    assert output["c"] == {"b": {"by": "hand"}}
    (told,) = WorkflowRunEvent.objects.filter(kind="completed_by_hand")
    assert (told.step_slug, told.message) == ("b", 'step "b" was completed by hand')


@pytest.mark.parametrize("value", [None, [], {}, "é", 1.5])
def test_any_json_may_be_the_output(value: Any, register: Register) -> None:
    run = fail_at(FAN, "b")
    executor.complete_step(run.id, "b", value)
    assert finish(run, FAN, register)["c"] == {"b": value}


def test_a_skipped_leaf_is_missing_in_the_output(register: Register) -> None:
    steps = {"a": [], "b": ["a"], "c": ["a"]}
    run = fail_at(steps, "b")
    executor.skip_step(run.id, "b")
    assert finish(run, steps, register).keys() == {"c"}


def test_a_run_whose_last_step_is_decided_completes_at_once() -> None:
    run = fail_at(chain(2), "s1")
    assert executor.skip_step(run.id, "s1").status == "completed"
    run.refresh_from_db()
    assert (run.status, run.output) == ("completed", {})
    other = fail_at_again("s1")
    assert executor.complete_step(other.id, "s1", 5, hold=True).status == "completed"
    assert WorkflowRun.objects.get(id=other.id).output == {"s1": 5}
    check_all_ended()


def fail_at_again(last: str) -> WorkflowRun:
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    while tasks := worker.claim():
        if tasks[0].group.step_slug == last:
            worker.fail(*tasks, permanent=True)
        else:
            worker.complete(*tasks, output=1)
    worker.leave()
    return run


def test_a_held_run_waits_for_its_resumption(register: Register) -> None:
    run = fail_at(FAN, "b")
    assert executor.skip_step(run.id, "b", hold=True).status == "paused"
    assert not messages(run.id)
    check_consistency()
    assert executor.drain(timeout=60)
    assert status(run.id) == "paused"
    executor.resume_run(run.id)
    assert finish(run, FAN, register).keys() == {"c", "d"}


MAPS = {"a": [], "each*": ["a"], "again*": ["each"], "sum": ["each"]}


def test_a_skipped_task_has_null_in_the_list_of_its_map(register: Register) -> None:
    run = fail_at(MAPS, "each")
    assert executor.skip_step(run.id, "each", index=0).tasks == 1
    output = finish(run, MAPS, register)
    others = [{"item": index + 1, "index": index} for index in (1, 2)]
    assert output["sum"] == {"each": [None, *others]}
    assert output["again"] == [
        {"item": item, "index": index} for index, item in enumerate([None, *others])
    ]


def test_a_task_completed_by_hand_is_in_its_place(register: Register) -> None:
    run = fail_at(MAPS, "each")
    executor.complete_step(run.id, "each", "mine", index=0)
    assert finish(run, MAPS, register)["sum"]["each"][0] == "mine"


def test_a_map_of_which_all_is_skipped_task_by_task_is_a_list_of_nulls(register: Register) -> None:
    run = fail_at(MAPS, "each")
    for index in range(3):
        executor.skip_step(run.id, "each", index=index)
    assert step_statuses(run.id)["each"] == "completed"
    assert finish(run, MAPS, register)["sum"] == {"each": [None] * 3}


def test_a_whole_map_is_completed_with_a_list_of_its_length(register: Register) -> None:
    run = fail_at(MAPS, "each")
    for wrong in ([1, 2], [], {"0": 1}, "abc", None):
        with pytest.raises(InvalidOutput) as caught:
            executor.complete_step(run.id, "each", wrong)
        assert caught.value.code == "output_size_differs"
    assert status(run.id) == "failed", "nothing was done"
    executor.complete_step(run.id, "each", ["x", None, [1]])
    output = finish(run, MAPS, register)
    assert output["sum"] == {"each": ["x", None, [1]]}
    assert [one["item"] for one in output["again"]] == ["x", None, [1]]


@pytest.mark.parametrize("whole", ["skip", "complete"])
def test_what_a_map_has_done_stays_when_the_rest_is_decided(whole: str, register: Register) -> None:
    build("flow", {"each*": [], "sum": ["each"]}, max_attempts=1)
    run = executor.start_flow("flow", [1, 2, 3])
    worker = HandWorker()
    tasks = worker.claim(3)
    worker.complete(tasks[1], output="done")
    worker.fail(tasks[0])
    worker.leave()
    if whole == "skip":
        assert executor.skip_step(run.id, "each").tasks == 2
    else:
        assert executor.complete_step(run.id, "each", ["a", "b", "c"]).tasks == 2
    assert step_statuses(run.id)["each"] == "completed"
    expected = [None, "done", None] if whole == "skip" else ["a", "done", "c"]
    assert finish(run, {"sum": []}, register) == {"sum": {"each": expected}}


@pytest.mark.parametrize("is_ended", [False, True])
def test_what_has_begun_is_not_skipped_with_what_comes_before_it(
    register: Register, is_ended: bool
) -> None:
    steps = {"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"]}
    build("flow", steps)
    run = executor.start_flow("flow", [1, 2, 3])
    executor.complete_step(run.id, "b", "given")  # and so "c" begins
    if is_ended:
        executor.cancel_run(run.id)
    executor.skip_step(run.id, "a", downstream=True)
    statuses = {"a": "skipped", "b": "completed", "c": "started", "d": "skipped"}
    assert step_statuses(run.id) == statuses
    assert finish(run, steps, register) == {}
    assert step_statuses(run.id)["c"] == "completed"


def test_a_map_over_a_skipped_step_goes_with_all_that_comes_after(register: Register) -> None:
    steps = {"a": [], "b": ["a"], "each*": ["b"], "end": ["each", "a"], "side": ["a"]}
    run = fail_at(steps, "b")
    with pytest.raises(ActionRefused, match='"each" maps over what it gives') as caught:
        executor.skip_step(run.id, "b")
    assert caught.value.code == "step_not_skippable"
    assert status(run.id) == "failed", "nothing was done"
    done = executor.skip_step(run.id, "b", downstream=True)
    assert done.steps == ("b", "each", "end")
    assert finish(run, steps, register).keys() == {"side"}
    assert step_statuses(run.id) == {
        "a": "completed",
        "b": "skipped",
        "each": "skipped",
        "end": "skipped",
        "side": "completed",
    }


@pytest.mark.parametrize("way", ["skip", "complete"])
def test_a_map_over_what_is_no_list_can_be_decided(way: str, register: Register) -> None:
    build("flow", {"a": [], "each*": ["a"], "sum": ["each"]})
    register({"a": lambda _: 5})
    run = executor.start_flow("flow", {})
    executor.drain()
    run.refresh_from_db()
    assert run.error["code"] == "type_violation"
    if way == "skip":
        executor.skip_step(run.id, "each")
    else:
        executor.complete_step(run.id, "each", [1, 2])
    given = None if way == "skip" else [1, 2]
    assert finish(run, {"sum": []}, register) == {"sum": {"each": given}}


def test_what_was_decided_stays_so_when_the_run_is_retried(register: Register) -> None:
    run = fail_at(MAPS, "each")
    executor.complete_step(run.id, "each", "mine", index=1)
    executor.skip_step(run.id, "each", index=2)
    executor.cancel_run(run.id)
    executor.retry_run(run.id)
    check_consistency()
    output = finish(run, MAPS, register)
    assert output["sum"] == {"each": [{"item": 1, "index": 0}, "mine", None]}


# -- in runs that go on ------------------------------------------------------------------------


def test_a_task_that_is_decided_waits_for_no_other_attempt() -> None:
    run = executor.start_flow(build("flow", {"each*": []}, max_attempts=3), [1, 2])
    worker = HandWorker()
    first, second = worker.claim(2)
    worker.fail(first, delay=600)
    assert executor.get_run_status(run.id).reasons[0].code == "retrying"
    executor.complete_step(run.id, "each", 1, index=first.index)
    assert [reason.code for reason in executor.get_run_status(run.id).reasons] == ["running"]
    (step,) = load(run.id, using="default").steps
    assert (step.status, step.done) == ("running", 1)
    worker.complete(second, output=2)
    assert status(run.id) == "completed"


@pytest.mark.parametrize("is_paused", [False, True])
@pytest.mark.parametrize("index", [0, 1, 57, 99, 100, 249])
def test_a_task_leaves_the_message_that_it_shares(index: int, is_paused: bool) -> None:
    build("flow", {"each*": []})
    run = executor.start_flow("flow", list(range(250)))
    if is_paused:
        executor.pause_run(run.id)
    executor.skip_step(run.id, "each", index=index)
    assert sum(one["count"] for one in messages(run.id)) == (0 if is_paused else 249)
    check_consistency()
    executor.resume_run(run.id)
    check_consistency()
    worker = HandWorker()
    while tasks := worker.claim(100):
        assert index not in [task.index for task in tasks]
        worker.complete(*tasks, output=1)
    worker.leave()
    check_all_ended()
    assert WorkflowRun.objects.get(id=run.id).output["each"][index] is None


@pytest.mark.parametrize("way", ["skip", "complete"])
def test_what_runs_just_now_is_cut_off_and_settles_nothing(way: str) -> None:
    build("flow", chain(2))
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    (task,) = worker.claim()
    if way == "skip":
        executor.skip_step(run.id, "s0")
    else:
        executor.complete_step(run.id, "s0", 7)
    assert worker.complete(task, output="late") == 0
    assert worker.fail(task, permanent=True) == 0
    assert worker.release(task) == 0
    (attempt,) = query("select code, error_message from workflow_task_attempts")
    assert attempt == (
        "cancelled",
        f"cut off: the task was {way.rstrip('e')}{'ped' if way == 'skip' else 'ed'} by hand",
    )
    (following,) = worker.claim()
    assert following.build_input()["s0"] == (None if way == "skip" else 7)
    worker.complete(following, output=1)
    worker.leave()
    check_all_ended()
    assert status(run.id) == "completed"


@pytest.mark.parametrize("way", ["skip", "complete"])
def test_a_step_that_has_not_begun_may_be_decided(way: str, register: Register) -> None:
    steps = {"a": [], "b": ["a"], "c": ["b"], "each*": ["b"]}
    build("flow", steps)
    run = executor.start_flow("flow", {})
    if way == "skip":
        executor.skip_step(run.id, "b", downstream=True)
        assert finish(run, steps, register) == {}
    else:
        executor.complete_step(run.id, "b", [5, 6])
        check_consistency()
        assert step_statuses(run.id) == {
            "a": "started",
            "b": "completed",
            "c": "started",
            "each": "started",
        }
        output = finish(run, steps, register)
        assert output == {"c": {"b": [5, 6]}, "each": [{"item": i + 5, "index": i} for i in (0, 1)]}


def test_a_map_that_has_not_begun_may_be_given(register: Register) -> None:
    steps = {"a": [], "each*": ["a"], "again*": ["each"], "sum": ["again"]}
    build("flow", steps)
    run = executor.start_flow("flow", {})
    executor.complete_step(run.id, "each", ["x", "y"])
    executor.skip_step(run.id, "a")
    output = finish(run, steps, register)
    assert [one["item"] for one in output["sum"]["again"]] == ["x", "y"]


def test_a_map_over_a_map_has_as_many_tasks_as_that_also_before_it_begins() -> None:
    build("flow", {"each*": [], "again*": ["each"]})
    run = executor.start_flow("flow", [1, 2, 3])
    with pytest.raises(InvalidOutput, match="an array of 3"):
        executor.complete_step(run.id, "again", [1, 2])
    executor.complete_step(run.id, "again", [1, 2, 3])
    check_consistency()
    assert executor.skip_step(run.id, "each").status == "completed"
    assert WorkflowRun.objects.get(id=run.id).output == {"again": [1, 2, 3]}


def test_a_running_run_can_be_held_while_a_step_is_decided() -> None:
    build("flow", FAN)
    run = executor.start_flow("flow", {})
    assert executor.complete_step(run.id, "a", 1, hold=True).status == "paused"
    assert not messages(run.id)
    check_consistency()
    assert step_statuses(run.id)["b"] == "started"


def test_a_run_that_its_caller_executes_goes_on_with_what_is_decided() -> None:
    build("flow", chain(3))

    def decide(input: dict[str, Any], context: Any) -> int:
        executor.complete_step(context.run_id, "s1", "given")
        return 1

    functions = {"s0": decide, "s1": lambda _: "called", "s2": lambda i: i["s1"]}
    assert executor.execute_dynamic("flow", {}, functions) == {"s2": "given"}
    check_all_ended()


# -- what is told ------------------------------------------------------------------------------


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str]]]:
    """The signals of steps and runs, in order."""
    found: list[tuple[str, str]] = []

    def step(step_slug: str, **_: Any) -> None:
        found.append(("step_completed", step_slug))

    def end(status: str, **_: Any) -> None:
        found.append(("run_ended", status))

    signals.step_completed.connect(step)
    signals.run_ended.connect(end)
    yield found
    signals.step_completed.disconnect(step)
    signals.run_ended.disconnect(end)


def test_signals_tell_of_steps_completed_by_hand_and_not_of_skipped_ones(
    heard: list[tuple[str, str]],
) -> None:
    build("flow", chain(3))
    run = executor.start_flow("flow", {})
    executor.complete_step(run.id, "s0", 1)
    executor.skip_step(run.id, "s1")
    executor.complete_step(run.id, "s2", 1)
    assert heard == [
        *(("step_completed", slug) for slug in ("s0", "s2")),
        ("run_ended", "completed"),
    ]


# -- what is refused ---------------------------------------------------------------------------


def test_each_refusal_has_its_code_and_changes_nothing() -> None:
    build("flow", {"a": [], "each*": ["a"], "after": ["each"]})
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    worker.complete(*worker.claim(), output=[1, 2])
    worker.complete(*worker.claim(), output=1)
    for code, arguments in [
        ("step_not_found", {"step": "nowhere"}),
        ("step_already_done", {"step": "a"}),
        ("step_already_done", {"step": "a", "index": 0}),
        ("step_already_done", {"step": "each", "index": 0}),
        ("task_not_found", {"step": "each", "index": 2}),
        ("task_not_found", {"step": "after", "index": 1}),
    ]:
        for call in (executor.skip_step, executor.complete_step):
            given = {"output": 1} if call is executor.complete_step else {}
            with pytest.raises(ActionRefused) as caught:
                call(run.id, **arguments, **given)
            assert (caught.value.code, caught.value.run_id) == (code, run.id)
    with pytest.raises(ActionRefused) as caught:
        executor.skip_step(run.id, "each", index=1, downstream=True)
    assert caught.value.code == "step_not_skippable"
    assert not WorkflowRunEvent.objects.exists()
    worker.complete(*worker.claim(), output=1)
    worker.complete(*worker.claim(), output=1)
    with pytest.raises(ActionRefused, match="it is completed") as caught:
        executor.skip_step(run.id, "a")
    assert caught.value.code == "run_has_ended"
    with pytest.raises(RunNotFound):
        executor.skip_step(UUID(int=5), "a")
    worker.leave()
    check_all_ended()


def test_a_map_without_tasks_has_none_to_decide() -> None:
    build("flow", {"a": [], "each*": ["a"]})
    run = executor.start_flow("flow", {})
    with pytest.raises(ActionRefused, match="has not begun") as caught:
        executor.skip_step(run.id, "each", index=0)
    assert caught.value.code == "task_not_found"


def test_outputs_that_can_not_be_stored_are_refused(settings: Any) -> None:
    run = fail_at(chain(2), "s1")
    with pytest.raises(InvalidOutput) as caught:
        executor.complete_step(run.id, "s1", object())
    assert caught.value.code == "output_not_json"
    settings.PGFLOW = {"MAX_OUTPUT_BYTES": 10}
    with pytest.raises(InvalidOutput) as caught:
        executor.complete_step(run.id, "s1", "x" * 11)
    assert caught.value.code == "output_too_large"
    assert status(run.id) == "failed"


def test_a_run_with_functions_of_its_caller_is_not_taken_up_for_workers() -> None:
    build("flow", chain(2), max_attempts=1)
    with pytest.raises(RunFailed) as failed:
        executor.execute_dynamic("flow", {}, {"s0": lambda _: 1 / 0, "s1": lambda _: 1})
    assert failed.value.run_id is not None
    with pytest.raises(StepFunctionMissing):
        executor.skip_step(failed.value.run_id, "s0")


@pytest.mark.parametrize("way", ["skip", "complete"])
@pytest.mark.parametrize("is_ended", [False, True])
def test_two_clicks_at_once_decide_once(way: str, is_ended: bool) -> None:
    build("flow", {"each*": [], "after": ["each"]}, max_attempts=1)
    for _ in range(4):
        run = executor.start_flow("flow", [1, 2])
        if is_ended:
            executor.cancel_run(run.id)

        def click(run: Any = run) -> str:
            try:
                if way == "skip":
                    return executor.skip_step(run.id, "each", index=1).action
                return executor.complete_step(run.id, "each", [1, 2]).action
            except PgflowError as error:
                return error.code

        assert sorted(at_once([click, click])) == sorted([way, "step_already_done"])
        kinds = ["skipped", "completed_by_hand"]
        assert WorkflowRunEvent.objects.filter(run_id=run.id, kind__in=kinds).count() == 1
        check_consistency()


@pytest.mark.parametrize("rival", ["settle", "claim", "fail", "release", "pause", "cancel"])
def test_deciding_and_its_rival_at_the_same_instant_agree(rival: str) -> None:
    build("flow", {"each*": [], "after": ["each"]}, max_attempts=3)
    for number in range(8):
        run = executor.start_flow("flow", list(range(150)))
        worker, other = HandWorker(), HandWorker()
        tasks = worker.claim(7)
        calls = {
            "settle": lambda w=worker, t=tasks: w.complete(*t, output=1),
            "claim": lambda o=other: o.claim(100),
            "fail": lambda w=worker, t=tasks: w.fail(*t),
            "release": lambda w=worker, t=tasks: w.release(*t),
            "pause": lambda run=run: executor.pause_run(run.id),
            "cancel": lambda run=run: executor.cancel_run(run.id),
        }

        def skip(run: Any = run, index: int | None = [None, 3, 50][number % 3]) -> str:
            try:
                return executor.skip_step(run.id, "each", index=index).action
            except ActionRefused as error:
                return error.code

        done, _ = at_once([skip, calls[rival]])
        assert done in {"skip", "step_already_done"}
        check_consistency()
        executor.cancel_run(run.id)
        worker.leave()
        other.leave()
    check_all_ended()
