"""What people do to a run on its page: done once, told, and noted by who did it."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.engine.database import messages
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


def see(client: Client, run: WorkflowRun, **query: str) -> str:
    return client.get(address("workflowrun_change", run.pk), query).content.decode()


def run_slugs(run: WorkflowRun) -> list[str]:
    return list(run.step_states.order_by("step_index").values_list("step_slug", flat=True))


def drain_once() -> None:
    """Work until all that is left waits for a later moment."""
    assert executor.drain(timeout=0.5) is False


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


def test_one_is_tried_first_and_the_rest_follows(client: Client, flow: str) -> None:
    run = run_flow(input={"is_broken": True})
    assert "Try this first" in see(client, run, step="fetch")
    page = post(client, "retry", run, step="fetch")
    assert "One is tried first: fetch. The rest waits until the run is resumed." in page
    assert 'data-step="fetch"' in page
    assert status(run) == "paused"
    assert "goes on already" in post(client, "retry", run, step="fetch")
    assert LogEntry.objects.filter(object_id=str(run.pk)).count() == 1


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"step": "nowhere"}, "nowhere"),
        ({"step": "fetch", "index": "7"}, "no task 7"),
        ({"step": "fetch", "index": "x"}, "has no task"),
    ],
)
def test_what_no_run_has_is_not_tried(
    client: Client, flow: str, form: dict[str, str], told: str
) -> None:
    run = run_flow(input={"is_broken": True})
    assert told in post(client, "retry", run, **form)
    assert status(run) == "failed"
    assert not LogEntry.objects.exists()


def test_what_waits_for_its_next_attempt_has_it_now(client: Client, steps: None) -> None:
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": "patient",
            "steps": [{"slug": "wait", "uses": "fetch", "base_delay": 600, "max_attempts": 2}],
        }
    )
    run = executor.start_flow("patient", {"is_broken": True})
    drain_once()
    assert "Retry now" in see(client, run, step="wait")
    assert "The next attempt is made now." in post(client, "hurry", run, step="wait")
    assert "Retry now" not in see(client, run, step="wait")
    event = WorkflowRunEvent.objects.get(run_id=run.pk, kind="retried_now")
    assert (event.data or {})["by"] == "admin:boss"
    # The second of two clicks finds nothing that waits.
    assert "The next attempt is made now." not in post(client, "hurry", run, step="wait")
    assert LogEntry.objects.count() == 1


def test_a_rerun_begins_with_the_same_input_once(client: Client, flow: str) -> None:
    run = run_flow(input={"is_broken": True, "note": "<b>"})
    page = see(client, run)
    token = re.findall(r'name="token" value="(\w{32})"', page)[0]
    for _ in range(2):
        page = post(client, "rerun", run, token=token)
    new = WorkflowRun.objects.exclude(pk=run.pk).get()
    assert (new.rerun_of, new.input) == (run.pk, {"is_broken": True, "note": "<b>"})
    assert str(new.pk) in page
    assert new.started_by == "boss"
    assert LogEntry.objects.filter(object_id=str(new.pk)).count() == 1
    assert status(run) == "failed"


def test_a_rerun_from_a_step_takes_over_what_was_done_before_it(client: Client, flow: str) -> None:
    run = run_flow()
    last = list(run_slugs(run))[-1]
    assert "Rerun from here" in see(client, run, step=last)
    post(client, "rerun", run, step=last)
    new = WorkflowRun.objects.exclude(pk=run.pk).get()
    states = new.step_states.values_list("step_slug", "status")
    assert dict(states)["fetch"] == "completed"
    assert dict(states)[last] != "completed"


def test_a_run_with_another_input_says_whose_rerun_it_is(client: Client, flow: str) -> None:
    run = run_flow()
    link = f"{address('workflow_run', flow)}?from={run.pk}"
    assert link in see(client, run)
    data = {"mode": "json", "input": '{"n": 2}', "token": "0" * 32}
    for _ in range(2):
        assert client.post(link, data).status_code == 302
    new = WorkflowRun.objects.exclude(pk=run.pk).get()
    assert (new.rerun_of, new.input) == (run.pk, {"n": 2})


def test_who_may_not_see_the_input_reruns_it_as_it_is(log_in: LogIn, flow: str) -> None:
    run = run_flow(input={"n": 1})
    client = log_in("runner", "view_workflow", "view_workflowrun", "run_workflow")
    data = {"mode": "json", "input": '{"n": 2}', "token": "0" * 32}
    client.post(f"{address('workflow_run', flow)}?from={run.pk}", data)
    assert WorkflowRun.objects.exclude(pk=run.pk).get().rerun_of is None
    post(client, "rerun", run)
    new = WorkflowRun.objects.get(rerun_of=run.pk)
    assert new.input == {"n": 1}


def test_a_page_that_is_there_already_is_told_what_came_of_it(log_in: LogIn, flow: str) -> None:
    client = log_in("boss", headers={"HX-Request": "true"})
    run = executor.start_flow(flow)
    answer = client.post(address("workflowrun_pause", run.pk))
    assert (answer.status_code, "The run is paused." in answer.content.decode()) == (200, True)
    executor.cancel_run(run.pk)
    answer = client.post(address("workflowrun_pause", run.pk))
    assert (answer.status_code, "has ended" in answer.content.decode()) == (409, True)
