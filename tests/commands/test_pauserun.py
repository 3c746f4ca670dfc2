"""``pauserun`` and ``resumerun``."""

from __future__ import annotations

from uuid import uuid4

from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.commands.calling import Answer, call
from tests.engine.database import messages


def status(run: WorkflowRun) -> str:
    return executor.get_run_status(run.id).status


def test_runs_are_paused_and_resumed(doubles: str) -> None:
    first, second = executor.start_flows(doubles, [{}, {}])
    answer = call("pauserun", str(first.id), str(second.id), reason="the model is down")
    assert answer == Answer(
        f'Run {first.id} of flow "doubles": paused.\nRun {second.id} of flow "doubles": paused.\n',
        "",
        0,
    )
    assert status(first) == status(second) == "paused"
    assert messages() == []
    event = WorkflowRunEvent.objects.get(run_id=first.id, kind="paused")
    data = event.data or {}
    assert data["reason"] == "the model is down"
    assert data["by"].startswith("command:")
    answer = call("resumerun", str(first.id), json=True)
    assert answer.json == [{"run_id": str(first.id), "resumed": True, "status": "started"}]
    executor.drain()
    assert (status(first), status(second)) == ("completed", "paused")


def test_what_is_so_already_stays_as_it_is(doubles: str) -> None:
    run = executor.start_flow(doubles)
    name = f'Run {run.id} of flow "doubles"'
    assert call("resumerun", str(run.id)).stdout == f"{name}: was not paused: started.\n"
    call("pauserun", str(run.id))
    assert call("pauserun", str(run.id)).stdout == f"{name}: was so already: paused.\n"
    assert call("pauserun", str(run.id), json=True).json == [
        {"run_id": str(run.id), "paused": False, "status": "paused"}
    ]


def test_one_that_has_ended_is_refused_and_the_others_are_paused(doubles: str) -> None:
    call("runflow", doubles)
    ended = WorkflowRun.objects.get()
    run = executor.start_flow(doubles)
    answer = call("pauserun", str(ended.id), str(run.id))
    assert answer == Answer(
        f'Run {run.id} of flow "doubles": paused.\n',
        f"Error: run {ended.id} has ended: it is completed\n",
        2,
    )
    answer = call("resumerun", str(ended.id), str(run.id), json=True)
    assert answer.status == 2
    refused, resumed = answer.json
    assert refused["error"]["code"] == "run_has_ended"
    assert resumed == {"run_id": str(run.id), "resumed": True, "status": "started"}


def test_one_wrong_id_and_nothing_is_paused(doubles: str) -> None:
    run = executor.start_flow(doubles)
    unknown = uuid4()
    answer = call("pauserun", str(run.id), str(unknown))
    assert answer == Answer("", f'Error: There is no run "{unknown}".\n', 2)
    assert status(run) == "started"
