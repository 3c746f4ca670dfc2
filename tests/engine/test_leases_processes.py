"""Real processes, killed with SIGKILL in the middle of their work: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgflow_django import RunFailed, executor
from pgflow_django.models import Workflow, WorkflowRun, WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import end_leases, query, step_statuses, value
from tests.engine.invariants import check_all_ended, check_consistency
from tests.engine.processes import process
from tests.engine.workers import sweep
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

_STEPS = """
@step_function("slow")
def slow(input):
    say("slow")
    time.sleep(600)

@step_function("quick")
def quick(input):
    say("quick")
    return "theirs"

@step_function("each")
def each(input):
    if input["item"] == "stop":
        say("stop")
        time.sleep(600)
    return ["theirs", input["item"]]
"""


def leases_are_over() -> None:
    """Let the leases of the killed process end, as they do by themselves after a while."""
    end_leases()


def test_a_killed_drain_loses_nothing(tmp_path: Path, register: Register) -> None:
    build("flow", {"quick": [], "slow": ["quick"], "after": ["slow"]}, max_attempts=2)
    run = executor.start_flow("flow", {})
    with process(tmp_path, _STEPS + "executor.drain()") as worker:
        worker.wait_for("slow")
        assert step_statuses(run.id)["quick"] == "completed", "what is finished is committed"
        worker.kill()
    register({"slow": lambda i: i["quick"], "after": lambda i: [i["slow"]], "quick": lambda i: 1})
    assert executor.drain()
    assert executor.get_run_status(run.id).status == "started", "its lease has not ended yet"
    leases_are_over()
    assert executor.drain()
    assert executor.wait(run.id) == {"after": ["theirs"]}
    attempt = WorkflowTaskAttempt.objects.get()
    assert (attempt.step_slug, attempt.code, attempt.attempt) == ("slow", "worker_lost", 1)
    check_all_ended()


def test_a_drain_killed_in_the_middle_of_a_map_keeps_what_was_done(
    tmp_path: Path, register: Register
) -> None:
    build("flow", {"each*": []}, max_attempts=1)
    items = ["a", "b", "c", "d", "stop", "e", "f"]
    run = executor.start_flow("flow", items)
    with process(tmp_path, _STEPS + "executor.drain()") as worker:
        worker.wait_for("stop")
        wait_until(
            lambda: (
                value("select count(*) from workflow_step_tasks where status = 'completed'") == 6
            ),
            "the tasks beside the one that never ends",
        )
        worker.kill()
    leases_are_over()
    assert sweep() == 1
    check_consistency()
    register({"each": lambda i: ["mine", i["item"]]})
    executor.drain()
    executor.drain()
    run.refresh_from_db()
    if run.status == "completed":  # it had been claimed with others: no attempt was spent
        expected = [["mine" if item == "stop" else "theirs", item] for item in items]
        assert run.output == {"each": expected}
    else:
        assert (run.error["code"], run.error["task_index"]) == ("worker_lost", 4)
    check_all_ended()


def test_a_killed_execution_fails_its_run_and_can_be_taken_up_again(tmp_path: Path) -> None:
    build("flow", {"quick": [], "slow": ["quick"], "last": ["slow"]})
    script = """
executor.execute_dynamic("flow", {"n": 1}, {
    "quick": lambda i: "theirs", "slow": lambda i: (say("slow"), time.sleep(600)), "last": print,
})
"""
    with process(tmp_path, script) as caller:
        caller.wait_for("slow")
        caller.kill()
    run = WorkflowRun.objects.get()
    assert (run.status, run.has_caller_functions) == ("started", True)
    leases_are_over()
    build("other", {"a": []})
    executor.execute_dynamic("other", {}, {"a": lambda i: 1})  # whoever comes next sweeps
    with pytest.raises(RunFailed, match="caller_lost|CallerLost") as caught:
        executor.wait(run.id)
    assert caught.value.error_code == "caller_lost"
    again = executor.retry_run(
        run.id,
        step_functions={
            "quick": lambda i: "never called",
            "slow": lambda i: i["quick"],
            "last": lambda i: [i["slow"], i["n"]],
        },
    )
    assert again.output == {"last": ["theirs", 1]}
    check_all_ended()


def test_leases_of_a_killed_process_end_by_themselves(tmp_path: Path, register: Register) -> None:
    build("flow", {"slow": []})
    run = executor.start_flow("flow", {})
    with process(tmp_path, _STEPS + "executor.drain()", LEASE_SECONDS=1.0) as worker:
        worker.wait_for("slow")
        worker.kill()
    register({"slow": lambda i: "mine"})
    wait_until(lambda: sweep() == 1, "the lease to end")
    executor.drain()
    assert executor.wait(run.id) == {"slow": "mine"}


def test_an_atomic_step_of_a_killed_process_has_written_nothing(
    tmp_path: Path, register: Register
) -> None:
    build("flow", {"write": []}, max_attempts=3)
    run = executor.start_flow("flow", {})
    script = """
from pgflow_django.models import Workflow
@step_function("write", atomic=True)
def write(input):
    Workflow.objects.create(workflow_slug="written")
    say("written")
    time.sleep(600)
executor.drain()
"""
    with process(tmp_path, script) as worker:
        worker.wait_for("written")
        worker.kill()
    leases_are_over()
    from pgflow_django import step_function

    @step_function("write", atomic=True)
    def write(input: dict[str, object]) -> str:
        Workflow.objects.create(workflow_slug="written")
        return "once"

    register({"write": write})
    executor.drain()
    assert executor.wait(run.id) == {"write": "once"}
    assert Workflow.objects.filter(workflow_slug="written").count() == 1


def test_an_interrupted_execution_cancels_its_run(tmp_path: Path) -> None:
    build("flow", {"a": []})
    script = """
def a(input):
    say("a")
    for _ in range(6000):
        time.sleep(0.1)
try:
    executor.execute_dynamic("flow", {}, {"a": a})
except KeyboardInterrupt:
    sys.exit(130)
"""
    with process(tmp_path, script) as caller:
        caller.wait_for("a")
        caller.interrupt()
        assert caller.end() == 130
    run = WorkflowRun.objects.get()
    assert run.status == "cancelled"
    events = query("select kind, message from workflow_run_events where run_id = %s", run.id)
    assert len(events) == 1
    assert events[0][0] == "cancelled"
    assert "interrupted" in events[0][1]
    check_all_ended()
