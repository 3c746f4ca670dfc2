"""``explainrun``: why a run stands as it does, for people and as JSON."""

from __future__ import annotations

from uuid import uuid4

from pgflow_django import executor, explain_run
from pgflow_django.models import WorkflowRun
from tests.commands.calling import call
from tests.engine.building import build
from tests.engine.workers import HandWorker


def test_a_failed_run_is_explained(failing: str) -> None:
    for _ in range(2):
        call("runflow", failing)
    run = WorkflowRun.objects.order_by("-id")[0]
    answer = call("explainrun", str(run.id))
    lines = answer.stdout.splitlines()
    assert lines[0] == f"✗ failed  failing  {run.id}"
    assert lines[1] == (
        '  Step "fail" failed at its 2nd of 2 attempts: ValueError: no luck, and more'
    )
    assert "  function tests.fail" in lines
    assert "  input    had numbers, run" in lines
    assert "Traceback (most recent call last):" in lines
    assert "  not done after" in lines
    assert any(line.startswith("  before   1 run with the same error since ") for line in lines)
    (advice,) = (line for line in lines if line.startswith("  next "))
    assert advice.startswith(f"  next     python manage.py retryrun {run.id}  Once function ")


def test_as_json_it_is_what_the_function_gives(failing: str) -> None:
    call("runflow", failing)
    run = WorkflowRun.objects.get()
    answer = call("explainrun", str(run.id)[:-2], json=True)
    assert answer.status == 0
    assert answer.json == explain_run(run.id).to_dict()


def test_other_runs_are_explained_too(doubles: str) -> None:
    call("runflow", doubles)
    run = WorkflowRun.objects.get()
    assert "  Completed in " in call("explainrun", str(run.id)).stdout
    waiting = executor.start_flow(doubles)
    stdout = call("explainrun", str(waiting.id)).stdout
    assert "It waits: no live worker serves " in stdout
    assert "  next     celery -A tests worker  A worker takes what waits." in stdout


def test_what_ends_the_wait_for_the_next_attempt_is_told_and_does_so() -> None:
    run = executor.start_flow(build("flow", {"a": []}, max_attempts=3))
    worker = HandWorker()
    worker.fail(*worker.claim(), delay=600)
    fix = f"python manage.py retryrun {run.id} --step a --now"
    assert fix in [line.strip() for line in call("explainrun", str(run.id)).stdout.splitlines()]
    assert [reason.fix for reason in executor.get_run_status(run.id).reasons] == [fix]
    assert call(*fix.split()[2:]).status == 0
    assert len(worker.claim()) == 1


def test_an_unknown_run() -> None:
    answer = call("explainrun", str(uuid4()), json=True)
    assert (answer.status, answer.json["error"]["code"]) == (2, "run_not_found")
