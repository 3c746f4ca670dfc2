"""``cancelrun`` and ``retryrun``."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from pgflow_django import PermanentFailure, RunFailed, executor
from pgflow_django.cli.lines import LineDisplay
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from pgflow_django.runs.view import load
from tests.commands.calling import Answer, call
from tests.engine.building import build
from tests.engine.database import messages


def status(run: WorkflowRun) -> str:
    return WorkflowRun.objects.get(id=run.id).status


def test_runs_are_cancelled_with_a_reason(doubles: str) -> None:
    first, second = executor.start_flows(doubles, [{}, {}])
    answer = call("cancelrun", str(first.id), str(second.id), str(first.id), reason="wrong day")
    assert answer == Answer(
        f'Run {first.id} of flow "doubles": cancelled.\n'
        f'Run {second.id} of flow "doubles": cancelled.\n',
        "",
        0,
    )
    assert status(first) == status(second) == "cancelled"
    assert messages() == []
    events = WorkflowRunEvent.objects.filter(kind="cancelled")
    assert [event.message for event in events] == ["wrong day", "wrong day"]


def test_a_run_that_has_ended_stays_as_it_is(doubles: str) -> None:
    call("runflow", doubles)
    run = WorkflowRun.objects.get()
    answer = call("cancelrun", str(run.id))
    assert answer.status == 0
    assert answer.stdout == f'Run {run.id} of flow "doubles": had ended already: completed.\n'
    assert call("cancelrun", str(run.id), json=True).json == [
        {"run_id": str(run.id), "cancelled": False, "status": "completed"}
    ]


def test_one_wrong_id_and_nothing_is_cancelled(doubles: str) -> None:
    run = executor.start_flow(doubles)
    unknown = uuid4()
    answer = call("cancelrun", str(run.id), str(unknown))
    assert answer == Answer("", f'Error: There is no run "{unknown}".\n', 2)
    assert status(run) == "started"


def test_a_retry_leaves_the_run_to_workers(doubles: str) -> None:
    run = executor.start_flow(doubles)
    call("cancelrun", str(run.id))
    answer = call("retryrun", str(run.id))
    assert answer == Answer(
        f'Run {run.id} of flow "doubles" is started again, for the workers.\n',
        f"How it goes on: python manage.py showrun {run.id}\n",
        0,
    )
    assert status(run) == "started"
    executor.drain()
    assert status(run) == "completed"


def test_a_retry_as_json(doubles: str) -> None:
    run = executor.start_flow(doubles)
    call("cancelrun", str(run.id))
    answer = call("retryrun", str(run.id), json=True)
    assert answer.json == {"run_id": str(run.id), "status": "started"}
    assert answer.stderr == ""


def test_a_step_that_ends_once_more_between_two_looks_is_told(tmp_path: Path) -> None:
    build(
        "gated",
        {"fail_until": []},
        options={"fail_until": {"uses": "tests.fail_until", "max_attempts": 1}},
    )
    gate = tmp_path / "gate"
    run = executor.start_flow("gated", {"gate": str(gate)})
    executor.drain()
    lines: list[str] = []
    display = LineDisplay(lines.append)
    display.start(load(run.id, using="default"))
    gate.touch()
    executor.retry_run(run.id)
    executor.drain()
    display.stop(load(run.id, using="default"))
    assert [line for line in lines if line.startswith("step fail_until: completed")]


def test_a_retry_here_keeps_what_had_completed(tmp_path: Path) -> None:
    build(
        "gated",
        {"numbers": [], "fail_until": ["numbers"]},
        options={
            "numbers": {"uses": "tests.numbers"},
            "fail_until": {"uses": "tests.fail_until", "max_attempts": 1},
        },
    )
    gate = tmp_path / "gate"
    assert call("runflow", "gated", input={"gate": str(gate)}).status == 1
    run = WorkflowRun.objects.get()
    again = call("retryrun", str(run.id), here=True)
    assert again.status == 1
    assert f"Take it up again: python manage.py retryrun {run.id} --here" in again.stderr
    gate.touch()
    answer = call("retryrun", str(run.id), here=True)
    assert (answer.status, answer.json) == (0, {"fail_until": "through"})
    assert "step fail_until: completed" in answer.stderr
    assert f"run {run.id}: completed after" in answer.stderr
    assert status(run) == "completed"


def test_a_retry_here_may_time_out(tmp_path: Path) -> None:
    build("holding", {"hold": []}, options={"hold": {"uses": "tests.hold"}})
    paths = {"mark": str(tmp_path / "mark"), "gate": str(tmp_path / "gate")}
    run = executor.start_flow("holding", paths)
    executor.cancel_run(run.id)
    answer = call("retryrun", str(run.id), here=True, timeout="0.3")
    assert answer.status == 124
    assert status(run) == "cancelled"


def test_a_run_that_completed_can_not_be_retried(doubles: str) -> None:
    call("runflow", doubles)
    run = WorkflowRun.objects.get()
    for options in ({}, {"here": True}):
        answer = call("retryrun", str(run.id), **options)
        assert answer.status == 2
        assert answer.stdout == ""
        # Before it, a slow machine may have shown how the run stands.
        assert answer.stderr.endswith(
            f'Error: run {run.id} of flow "doubles" can\'t be retried: it is completed; only '
            "failed and cancelled runs can\n"
        )


def test_a_run_with_functions_of_its_caller_is_refused() -> None:
    build("own", {"a": []})

    def fail(_: object) -> None:
        raise PermanentFailure("not today")

    with pytest.raises(RunFailed) as caught:
        executor.execute_dynamic("own", {}, {"a": fail})
    answer = call("retryrun", str(caught.value.run_id), json=True)
    assert answer.status == 2
    assert answer.json["error"]["code"] == "missing_step_functions"
    assert answer.json["error"]["missing"] == [{"step_slug": "a", "function": "a"}]
