"""What people do to a run on its page: done once, told, and noted by who did it."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.engine.database import messages
from tests.engine.threads import at_once
from tests.views.conftest import LogIn, address, run_flow

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def post(client: Client, act: str, run: WorkflowRun, **data: str) -> str:
    """Do it, and give the page that it leads to."""
    response = client.post(address(f"workflowrun_{act}", run.pk), data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def see(client: Client, run: WorkflowRun) -> str:
    return client.get(address("workflowrun_change", run.pk)).content.decode()


def status(run: WorkflowRun) -> str:
    return executor.get_run_status(run.pk).status


def test_a_run_is_paused_and_resumed(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    page = post(client, "pause", run, reason="the <model> is down")
    assert "The run is paused." in page
    assert "Resume" in page
    assert "Pause this run" not in page
    assert status(run) == "paused"
    assert messages() == []
    event = WorkflowRunEvent.objects.get(run_id=run.pk, kind="paused")
    assert event.data == {"by": "admin:boss", "reason": "the <model> is down"}
    page = post(client, "resume", run)
    assert "The run goes on." in page
    assert "Pause this run" in page
    executor.drain()
    assert status(run) == "completed"
    noted = LogEntry.objects.filter(object_id=str(run.pk)).order_by("pk")
    assert [entry.change_message for entry in noted] == ["Paused.", "Resumed."]


def test_what_is_so_already_is_told_and_noted_once(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    assert "The run was not paused." in post(client, "resume", run)
    assert "The run is paused." in post(client, "pause", run)
    assert "The run was paused already." in post(client, "pause", run)
    assert LogEntry.objects.count() == 1
    assert WorkflowRunEvent.objects.filter(run_id=run.pk).count() == 1


def test_a_run_that_has_ended_is_neither_paused_nor_resumed(client: Client, flow: str) -> None:
    run = run_flow()
    for act in ("pause", "resume"):
        assert "has ended: it is completed" in post(client, act, run)
    assert not LogEntry.objects.exists()
    assert "Pause this run" not in see(client, run)


def test_a_reason_is_kept_with_what_was_done(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    post(client, "cancel", run, reason="  wrong month  ")
    event = WorkflowRunEvent.objects.get(run_id=run.pk, kind="cancelled")
    assert event.message == "wrong month"
    assert (event.data or {})["by"] == "admin:boss"


def test_who_may_only_look_has_no_button_for_it(log_in: LogIn, flow: str) -> None:
    run = executor.start_flow(flow)
    page = see(log_in("viewer"), run)
    assert "Pause this run" not in page
    assert "Cancel this run" not in page
    page = see(log_in("operator", "view_workflowrun", "pause_workflowrun"), run)
    assert "Pause this run" in page
    assert "Cancel this run" not in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["cancel", "pause", "resume"])
def test_of_two_clicks_one_does_it(log_in: LogIn, flow: str, act: str) -> None:
    run = executor.start_flow(flow)
    if act == "resume":
        executor.pause_run(run.pk)
    ann, bob = log_in("ann", "*"), log_in("bob", "*")
    pages = at_once([lambda: post(ann, act, run), lambda: post(bob, act, run)])
    assert len({"already" in page or "was not paused" in page for page in pages}) == 2
    assert LogEntry.objects.count() == 1
    kind = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}[act]
    assert WorkflowRunEvent.objects.filter(run_id=run.pk, kind=kind).count() == 1


def test_a_page_that_is_there_already_is_told_what_came_of_it(log_in: LogIn, flow: str) -> None:
    client = log_in("boss", headers={"HX-Request": "true"})
    run = executor.start_flow(flow)
    answer = client.post(address("workflowrun_pause", run.pk))
    assert (answer.status_code, "The run is paused." in answer.content.decode()) == (200, True)
    answer = client.post(address("workflowrun_retry", run.pk))
    assert (answer.status_code, "be retried" in answer.content.decode()) == (409, True)
