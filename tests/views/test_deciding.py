"""The page on which a step, or a task of a map, is decided by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.views.conftest import LogIn, address, run_flow

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def run(flow: str) -> WorkflowRun:
    """Give a run whose first step failed."""
    return run_flow(flow, {"is_broken": True})


def link(run: WorkflowRun, step: str, index: int | None = None) -> str:
    path = address("workflowrun_decide", run.pk, step)
    return path if index is None else f"{path}?index={index}"


def decide(client: Client, path: str, verdict: str, **data: str) -> tuple[int, str]:
    response = client.post(path, {"verdict": verdict, **data}, follow=True)
    return response.status_code, response.content.decode()


def status(run: WorkflowRun) -> str:
    return executor.get_run_status(run.pk).status


def output(run: WorkflowRun) -> Any:
    return WorkflowRun.objects.get(pk=run.pk).output


def test_a_step_is_completed_by_hand_and_the_run_goes_on(client: Client, run: WorkflowRun) -> None:
    page = client.get(link(run, "fetch")).content.decode()
    assert "Decide fetch" in page
    assert "The run is taken up again" in page
    _, page = decide(client, link(run, "fetch"), "complete", output="[5, 6]", reason="by phone")
    assert "Completed by hand: fetch." in page
    executor.drain()
    assert output(run)["report"]["sum"] == 22
    event = WorkflowRunEvent.objects.get(run_id=run.pk, kind="completed_by_hand")
    assert event.data is not None
    assert (event.data["by"], event.data["reason"]) == ("admin:boss", "by phone")
    noted = LogEntry.objects.get(object_id=str(run.pk))
    assert noted.change_message == "Completed by hand: fetch."


def test_what_is_no_json_is_told_and_nothing_is_lost(client: Client, run: WorkflowRun) -> None:
    data = {"output": '{"a": <b>', "reason": "by <i>phone</i>", "hold": "on"}
    code, page = decide(client, link(run, "fetch"), "complete", **data)
    assert code == 422
    assert "This is not JSON: line 1, column 7" in page
    assert "{&quot;a&quot;: &lt;b&gt;" in page
    assert "by &lt;i&gt;phone&lt;/i&gt;" in page
    assert "<i>phone" not in page
    assert page.count("checked") == 1
    code, page = decide(client, link(run, "fetch"), "complete", output="  ")
    assert code == 422
    assert "Write it as JSON: null for nothing." in page
    assert status(run) == "failed"
    assert not LogEntry.objects.exists()


def test_a_step_is_skipped_with_all_that_comes_after_it(client: Client, run: WorkflowRun) -> None:
    page = client.get(link(run, "fetch")).content.decode()
    assert "After it come: double, report" in page
    code, page = decide(client, link(run, "fetch"), "skip")
    assert code == 422  # a map has nothing to map over
    assert "double" in page
    code, page = decide(client, link(run, "fetch"), "skip", downstream="on")
    assert (code, "Skipped: fetch." in page) == (200, True)
    assert status(run) == "completed"
    assert output(run) == {}


def test_a_run_is_held_until_it_is_resumed(client: Client, run: WorkflowRun) -> None:
    decide(client, link(run, "fetch"), "complete", output="[1]", hold="on")
    assert status(run) == "paused"
    executor.resume_run(run.pk)
    executor.drain()
    assert status(run) == "completed"


def test_one_task_of_a_map_is_completed_by_hand(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    executor.complete_step(run.pk, "fetch", [1, "two", 3], hold=True)
    page = client.get(link(run, "double", 1)).content.decode()
    assert "Decide double 1" in page
    _, page = decide(client, link(run, "double", 1), "complete", output="40")
    assert "Completed by hand: double 1." in page
    executor.resume_run(run.pk)
    executor.drain()
    assert output(run)["report"]["sum"] == 48


def test_a_list_of_another_length_is_refused(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    executor.complete_step(run.pk, "fetch", [1, 2, 3], hold=True)
    assert "each of its 3 tasks" in client.get(link(run, "double")).content.decode()
    code, page = decide(client, link(run, "double"), "complete", output="[1]")
    assert code == 422
    assert "[1]</textarea>" in page
    assert decide(client, link(run, "double"), "complete", output="[1, 2, 3]")[0] == 200


def test_what_is_done_already_is_not_decided(client: Client, flow: str) -> None:
    run = run_flow(flow)
    page = client.get(link(run, "fetch")).content.decode()
    assert "there is nothing to decide" in page
    assert "<textarea" not in page
    code, _ = decide(client, link(run, "fetch"), "skip")
    assert code in {200, 422}
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("step", "query"), [("nowhere", ""), ("fetch", "?index=x"), ("fetch", "?index=-1")]
)
def test_what_no_run_has_is_not_found(
    client: Client, run: WorkflowRun, step: str, query: str
) -> None:
    assert client.get(link(run, step) + query).status_code == 404
