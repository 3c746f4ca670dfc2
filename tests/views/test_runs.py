"""The list of runs and the page of one: states, payloads, polling, cancelling, retrying."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import executor
from pgflow_django.admin import WorkflowRunAdmin
from pgflow_django.exceptions import RunFailed
from pgflow_django.models import WorkflowRun, WorkflowStepTask, WorkflowTaskAttempt
from pgflow_django.registry import registry
from pgflow_django.runs.redaction import HIDDEN, redact
from pgflow_django.views.payloads import SHOWN, drop_hidden
from pgflow_django.views.runs.drawing import SHOWN_ATTEMPTS
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def see(client: Client, run: WorkflowRun, query: str = "") -> str:
    response = client.get(address("workflowrun_change", run.pk) + query)
    assert response.status_code == 200
    return response.content.decode()


def test_a_completed_run_shows_its_steps_and_its_output(client: Client, flow: str) -> None:
    run = run_flow(input={"token": "t-1", "count": 2})
    page = see(client, run)
    assert page.count("pgf-completed") >= 4
    assert "3 of 3 steps" in page
    assert "3 of 3 tasks" in page
    given, gave = (see(client, run, f"?tab=data&which={name}") for name in ("input", "output"))
    assert '<b>sum</b>: <code class="pgf-json-other">12<' in gave
    assert '<b>count</b>: <code class="pgf-json-other">2<' in given
    assert "t-1" not in page + given
    assert "k-123" not in page + gave
    assert "Retry" not in page


def test_a_failed_run_shows_why(client: Client, flow: str) -> None:
    page = see(client, run_flow(input={"is_broken": True}))
    assert "The step fetch failed" in page
    assert "<strong>RuntimeError</strong>: " in page
    assert "&lt;b&gt;no numbers&lt;/b&gt; today" in page
    assert "Traceback (most recent call last)" in page
    assert "Retry" in page


def test_a_waiting_run_says_what_it_waits_for(client: Client, flow: str) -> None:
    page = see(client, executor.start_flow(flow))
    assert "It waits:" in page
    assert "celery" in page
    assert "Cancel this run" in page


def test_the_number_of_queries_does_not_depend_on_the_number_of_steps(
    client: Client, flow: str
) -> None:
    steps = [{"slug": "fetch"}] + [
        {"slug": f"s{n}", "uses": "report", "depends_on": ["fetch"]} for n in range(120)
    ]
    make_flow("large", steps=steps)
    small, large = executor.start_flow(flow), executor.start_flow("large")
    see(client, small)
    for name in ("change", "find", "live", "details", "step"):
        counts = []
        for run in (small, large):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address(f"workflowrun_{name}", run.pk)).status_code == 200
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 22, name


def test_a_step_shows_its_attempts_and_outputs(client: Client, flow: str) -> None:
    run = run_flow()
    path = address("workflowrun_step", run.pk)
    panel = client.get(path, {"step": "double"}).content.decode()
    assert "3 of 3" in panel
    for output in ("2", "4", "6"):
        assert f"hx-disable>{output}</pre>" in panel
    assert HIDDEN in client.get(path, {"step": "report"}).content.decode()
    failed = run_flow(input={"is_broken": True})
    path = address("workflowrun_step", failed.pk)
    assert "no numbers" in client.get(path, {"step": "fetch"}).content.decode()
    assert "This run" in client.get(path, {"step": "nothing"}).content.decode()


def test_the_panel_of_a_step_does_not_load_what_the_run_gave(client: Client, flow: str) -> None:
    run = run_flow()
    with CaptureQueriesContext(connection) as queries:
        client.get(address("workflowrun_step", run.pk), {"step": "double"})
    of_run = [query["sql"] for query in queries if 'FROM "workflow_runs"' in query["sql"]]
    assert of_run
    assert not [sql for sql in of_run if '"workflow_runs"."output"' in sql]


def test_an_attempt_of_a_map_names_its_task_the_first_one_too(client: Client, steps: None) -> None:
    registry.unregister("double")

    def double(input: Any) -> Any:
        raise ValueError("not today")

    registry.register(double)
    run = run_flow(make_flow())
    panel = client.get(address("workflowrun_step", run.pk), {"step": "double"}).content.decode()
    assert "task 0" in panel
    run = run_flow(input={"is_broken": True})
    panel = client.get(address("workflowrun_step", run.pk), {"step": "fetch"}).content.decode()
    assert "no numbers" in panel
    assert "task 0" not in panel


def test_a_step_shows_its_own_attempts_however_often_another_failed(
    client: Client, flow: str
) -> None:
    run = run_flow(input={"is_broken": True})
    WorkflowTaskAttempt.objects.bulk_create(
        WorkflowTaskAttempt(
            run_id=run.pk,
            step_slug="report",
            task_index=0,
            attempt=number,
            code="step_failed",
            error_type="KeyError",
            error_message="something else",
        )
        for number in range(1, SHOWN_ATTEMPTS + 2)
    )
    path = address("workflowrun_step", run.pk)
    panel = client.get(path, {"step": "fetch"}).content.decode()
    assert "no numbers" in panel
    assert "something else" not in panel
    panel = client.get(path, {"step": "report"}).content.decode()
    assert panel.count("something else") == SHOWN_ATTEMPTS


def test_outputs_are_for_those_who_may_see_payloads(log_in: LogIn, flow: str) -> None:
    run = run_flow(input={"name": "Ada-Lovelace"})
    client = log_in("viewer")
    page = see(client, run)
    assert "&quot;sum&quot;" not in page
    assert "Ada-Lovelace" not in page
    panel = client.get(address("workflowrun_step", run.pk), {"step": "double"}).content.decode()
    assert "hx-disable" not in panel
    details = client.get(address("workflowrun_details", run.pk)).content.decode()
    assert "&quot;sum&quot;" not in details


def test_a_large_input_is_cut_and_can_be_downloaded(client: Client, flow: str) -> None:
    run = run_flow(input={"text": "x" * (2 * SHOWN), "password": "hush"})
    page = see(client, run, "?tab=data")
    assert "This is the beginning" in page
    assert len(page) < 2 * SHOWN
    response = client.get(address("workflowrun_payload", run.pk, "input"))
    assert json.loads(response.content) == {"text": "x" * (2 * SHOWN), "password": HIDDEN}
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert client.get(address("workflowrun_payload", run.pk, "secrets")).status_code == 404


def test_a_site_chooses_what_is_hidden(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_flow(input={"iban": "DE-1", "token": "t-1"})
    monkeypatch.setattr(
        WorkflowRunAdmin,
        "redact_payload",
        lambda self, request, run, value: {"iban": "***"} if "iban" in value else value,
    )
    page = see(client, run, "?tab=data")
    assert "DE-1" not in page
    assert "***" in page


def test_secrets_are_found_by_their_keys_wherever_they_are() -> None:
    value = {
        "a": [{"API-Key": "1", "name": "Ada"}],
        "dbPassword": {"nested": "2"},
        "access_token": ["3"],
        "secret": None,
        "Authorization": "4",
    }
    assert redact(value) == {
        "a": [{"API-Key": HIDDEN, "name": "Ada"}],
        "dbPassword": HIDDEN,
        "access_token": HIDDEN,
        "secret": None,
        "Authorization": HIDDEN,
    }
    assert drop_hidden(redact(value)) == {"a": [{"name": "Ada"}], "secret": None}


def test_cancelling(client: Client, flow: str) -> None:
    run = executor.start_flow(flow)
    for _ in range(2):
        response = client.post(address("workflowrun_cancel", run.pk), follow=True)
        assert response.status_code == 200
    assert executor.get_run_status(run.pk).status == "cancelled"
    assert LogEntry.objects.filter(object_id=str(run.pk)).count() == 1
    log = client.get(f"{address('workflowrun_change', run.pk)}?tab=log").content.decode()
    assert "cancelled by boss in the admin" in log


def test_cancelling_what_has_ended_changes_nothing(client: Client, flow: str) -> None:
    run = run_flow()
    response = client.post(address("workflowrun_cancel", run.pk), follow=True)
    assert "had ended already" in response.content.decode()
    assert not LogEntry.objects.exists()


def test_retrying(client: Client, flow: str) -> None:
    run = run_flow(input={"is_broken": True})
    response = client.post(address("workflowrun_retry", run.pk), follow=True)
    assert "goes on where it had stopped" in response.content.decode()
    assert executor.get_run_status(run.pk).status == "started"
    response = client.post(address("workflowrun_retry", run.pk), follow=True)
    assert "goes on already" in response.content.decode()
    assert LogEntry.objects.filter(object_id=str(run.pk)).count() == 1


def test_runs_that_need_their_callers_functions_have_no_retry(client: Client, flow: str) -> None:
    def fail(input: Any) -> Any:
        raise ValueError("no")

    with pytest.raises(RunFailed):
        executor.execute_dynamic(flow, {}, {"fetch": fail})
    run = WorkflowRun.objects.get()
    assert 'action="' + address("workflowrun_retry", run.pk) not in see(client, run)
    response = client.post(address("workflowrun_retry", run.pk), follow=True)
    assert "step_functions" in response.content.decode()


def test_the_list_filters_and_finds(client: Client, flow: str) -> None:
    make_flow("other")
    done, failed = run_flow(), run_flow("other", {"is_broken": True})
    waiting = executor.start_flow("other", key="order-7")
    base = address("workflowrun_changelist")

    def found(query: str) -> set[UUID]:
        page = client.get(base + query).content.decode()
        return {run.pk for run in (done, failed, waiting) if f"/{run.pk}/change/" in page}

    assert found("") == {done.pk, failed.pk, waiting.pk}
    assert found("?state=failed") == {failed.pk}
    assert found("?state=active") == {waiting.pk}
    assert found("?flow=other") == {failed.pk, waiting.pk}
    assert found("?flow=other&state=failed") == {failed.pk}
    assert found("?q=order-7") == {waiting.pk}
    assert found(f"?q={done.pk}") == {done.pk}
    assert found("?q=numbers") == {done.pk}
    assert found(f"?q={str(done.pk).upper()}") == {done.pk}
    assert found("?q=nothing") == set()


def test_the_list_of_runs_needs_as_many_queries_for_many(client: Client, flow: str) -> None:
    base = address("workflowrun_changelist")
    executor.start_flow(flow)
    client.get(base)
    with CaptureQueriesContext(connection) as few:
        client.get(base)
    executor.start_flows(flow, [{}] * 40)
    with CaptureQueriesContext(connection) as many:
        client.get(base)
    assert len(few) == len(many) <= 12
    assert not any('"input"' in query["sql"] for query in many)


@pytest.fixture
def hostile(db: None) -> Iterator[WorkflowRun]:
    """Give a run whose errors, outputs, worker and input are made to break pages."""

    def attack(input: Any) -> Any:
        return {BAD: BAD}

    def explode(input: Any) -> Any:
        raise type("Bad<b>Error", (Exception,), {})(BAD)

    for function in (attack, explode):
        registry.register(function)
    make_flow(
        "hostile",
        description=BAD,
        steps=[{"slug": "attack"}, {"slug": "explode", "depends_on": ["attack"]}],
    )
    run = run_flow("hostile", {BAD: BAD})
    WorkflowStepTask.objects.filter(run_id=run.pk).update(worker=BAD)
    yield run
    for function in (attack, explode):
        registry.unregister(function.__name__)


def test_nothing_of_a_run_becomes_markup(client: Client, hostile: WorkflowRun) -> None:
    assert hostile.status == "failed"
    pages = [
        see(client, hostile),
        client.get(address("workflowrun_live", hostile.pk)).content.decode(),
        client.get(address("workflowrun_details", hostile.pk)).content.decode(),
        client.get(address("workflowrun_changelist")).content.decode(),
        client.get(address("workflow_run", "hostile")).content.decode(),
    ]
    for step in ("attack", "explode"):
        panel = client.get(address("workflowrun_step", hostile.pk), {"step": step})
        pages.append(panel.content.decode())
    for page in pages:
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "Bad<b>" not in page
    assert "&lt;script&gt;alert(1)" in pages[0]


def test_a_failure_is_told_once_and_beside_its_step(client: Client, flow: str) -> None:
    page = see(client, run_flow(input={"is_broken": True}))
    assert page.count("RuntimeError") - page.count("raise RuntimeError") == 3  # with the traceback


def test_the_title_says_how_the_run_stands_and_ends_as_all_titles_do(
    client: Client, flow: str
) -> None:
    run = run_flow()
    title = re.search(r"<title>([^<]*)</title>", see(client, run))
    assert title
    assert title[1] == f"completed | {flow} {str(run.pk)[-8:]} | Django site admin"
