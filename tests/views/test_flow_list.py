"""The list of flows: what it shows, finds, filters and does, and how few queries it needs."""

from __future__ import annotations

import io
import json
import re
import zipfile

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.exceptions import WorkflowConflict
from pgflow_django.models import Workflow
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def see(client: Client, query: str = "") -> str:
    response = client.get(address("workflow_changelist") + query)
    assert response.status_code == 200
    return response.content.decode()


def act(client: Client, action: str, *slugs: str) -> str:
    data = {"action": action, "_selected_action": slugs}
    response = client.post(address("workflow_changelist"), data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_it_shows_each_flow_with_its_picture_and_its_runs(client: Client, flow: str) -> None:
    run_flow()
    run_flow(input={"is_broken": True})
    page = see(client)
    assert page.count('<rect class="pgf-thumb-') == 3
    assert page.count("pgf-dot-link pgf-s-completed") == 1
    assert page.count("pgf-dot-link pgf-s-failed") == 1
    assert "50 %" in page
    assert "3 steps · v1" in page
    assert 'class="pgf-pill pgf-failed"' in page


def test_the_number_of_queries_does_not_grow(client: Client, flow: str) -> None:
    run_flow()
    see(client)
    with CaptureQueriesContext(
        connection,
    ) as few:
        see(client)
    for number in range(15):
        make_flow(f"more_{number}")
        executor.start_flow(f"more_{number}")
    with CaptureQueriesContext(connection) as many:
        see(client)
    assert len(many) == len(few) <= 20


def test_it_finds_flows_by_name_description_step_and_function(client: Client, flow: str) -> None:
    make_flow(
        "invoices",
        description="Bills of the month",
        steps=[{"slug": "send", "uses": "fetch", "description": "By post."}],
    )
    for word, found in {
        "invo": "invoices",
        "Bills": "invoices",
        "double": "numbers",
        "fetch": "invoices",
        "post": "invoices",
    }.items():
        page = see(client, f"?q={word}")
        assert f"/workflow/{found}/edit/" in page, word
    assert "/workflow/numbers/edit/" not in see(client, "?q=invo")


def test_it_filters_by_the_last_run(client: Client, flow: str) -> None:
    make_flow("quiet")
    run_flow()
    run_flow(input={"is_broken": True})
    assert "/workflow/numbers/edit/" in see(client, "?last=failed")
    assert "/workflow/numbers/edit/" not in see(client, "?last=completed")
    assert "/workflow/quiet/edit/" in see(client, "?last=none")
    assert "/workflow/quiet/edit/" not in see(client, "?last=failed")


def test_switching_off_and_on(client: Client, flow: str) -> None:
    act(client, "switch_off", flow)
    assert Workflow.objects.get(pk=flow).is_active is False
    page = see(client, "?on=0")
    assert "switched off" in page
    assert f"/workflow/{flow}/run/" not in page
    act(client, "switch_on", flow)
    assert Workflow.objects.get(pk=flow).is_active is True
    assert LogEntry.objects.filter(object_id=flow).count() == 2


def test_viewers_get_no_actions_that_change(log_in: LogIn, flow: str) -> None:
    client = log_in("viewer")
    page = see(client)
    assert 'value="export"' in page
    assert 'value="switch_off"' not in page
    assert 'value="delete_selected"' not in page
    act(client, "switch_off", flow)
    assert Workflow.objects.get(pk=flow).is_active is True


def test_exporting_one_flow_and_several(client: Client, flow: str) -> None:
    data = {"action": "export", "_selected_action": [flow]}
    one = client.post(address("workflow_changelist"), data)
    assert json.loads(one.content)["workflow_slug"] == flow
    make_flow("second")
    data = {"action": "export", "_selected_action": [flow, "second"]}
    both = client.post(address("workflow_changelist"), data)
    assert sorted(zipfile.ZipFile(io.BytesIO(both.content)).namelist()) == [
        "numbers.json",
        "second.json",
    ]


def test_deleting_asks_and_keeps_the_runs(client: Client, flow: str) -> None:
    run = run_flow()
    page = act(client, "delete_selected", flow)
    assert "steps: 3" in page.lower() or "Steps: 3" in page
    data = {"action": "delete_selected", "_selected_action": [flow], "post": "yes"}
    client.post(address("workflow_changelist"), data)
    assert not Workflow.objects.filter(pk=flow).exists()
    response = client.get(address("workflowrun_change", run.pk))
    assert response.status_code == 200
    assert "Run again" not in response.content.decode()


def test_flows_with_active_runs_are_not_deleted(client: Client, flow: str) -> None:
    executor.start_flow(flow)
    for _ in range(2):
        page = act(client, "delete_selected", flow)
        assert "1 active run of numbers" in page
    data = {"action": "delete_selected", "_selected_action": [flow], "post": "yes"}
    client.post(address("workflow_changelist"), data)
    assert Workflow.objects.filter(pk=flow).exists()
    page = client.get(f"{address('workflow_changelist')}{flow}/delete/").content.decode()
    assert "Nothing is deleted while runs go on" in page
    assert "1 active run of numbers" in page
    assert 'name="post"' not in page


def test_flows_with_active_trials_are_not_deleted_and_trials_are_named(
    client: Client, flow: str
) -> None:
    executor.start_trial(flow, allow_effects=True)
    executor.start_trial(flow, allow_effects=True)
    page = client.get(f"{address('workflow_changelist')}{flow}/delete/").content.decode()
    assert "2 active trials of numbers" in page
    assert "active runs of numbers" not in page
    assert 'name="post"' not in page
    assert "2 active trials of numbers" in act(client, "delete_selected", flow)
    with pytest.raises(WorkflowConflict, match=r"2 active runs \(trials of its draft: 2\)"):
        flow_builder.delete_flow(flow)


def test_a_list_without_matches_says_what_was_looked_for(client: Client, flow: str) -> None:
    page = see(client, "?q=%3Cb%3Ezzz")
    assert "No published flow has “&lt;b&gt;zzz”" in page
    assert "Show all flows" in page
    assert "No flow is like that." in see(client, "?last=failed")
    runs = address("workflowrun_changelist")
    assert "No runs yet" in client.get(runs).content.decode()
    assert "No run is like that." in client.get(f"{runs}?state=failed").content.decode()
    assert "No run has “zzz”" in client.get(f"{runs}?q=zzz").content.decode()


def test_an_empty_list_says_how_to_begin(client: Client, steps: None) -> None:
    page = see(client)
    assert "No flows yet" in page
    for words in ("Draw one", "Import JSON", "Install the example", "runflow"):
        assert words in page


def test_viewers_of_an_empty_list_are_not_asked_to_begin(log_in: LogIn) -> None:
    page = see(log_in("viewer"))
    assert "No flows yet" in page
    assert "Draw one" not in page


def test_drafts_of_new_flows_are_listed(client: Client, flow: str) -> None:
    drafts.create("coming", user="ada")
    page = see(client)
    assert "Not published yet" in page
    assert "/workflow/coming/edit/" in page


def test_a_new_flow_begins_with_its_name(client: Client) -> None:
    response = client.post(address("workflow_new"), {"name": " invoices "})
    assert response["Location"] == address("workflow_edit", "invoices")
    assert drafts.load("invoices").document["steps"] == []


@pytest.mark.parametrize("name", ["", "1st", "no spaces", "numbers", "<script>", "x" * 129])
def test_a_bad_name_is_refused_with_a_reason(client: Client, flow: str, name: str) -> None:
    response = client.post(address("workflow_new"), {"name": name})
    page = response.content.decode()
    assert response.status_code == 422
    assert 'id="pgf-name-error"' in page
    assert "<script>" not in page.split("<main")[-1]


def test_the_example_becomes_a_draft(client: Client) -> None:
    assert "fetch" in client.get(address("workflow_new") + "?begin=example").content.decode()
    response = client.post(address("workflow_new"), {"begin": "example", "name": "example"})
    assert response["Location"] == address("workflow_edit", "example")
    assert [step["slug"] for step in drafts.load("example").document["steps"]] == [
        "fetch",
        "double",
        "report",
    ]


def test_djangos_own_addresses_lead_to_our_pages(client: Client, flow: str) -> None:
    base = address("workflow_changelist")
    assert client.get(f"{base}add/")["Location"] == address("workflow_new")
    assert client.get(f"{base}{flow}/change/")["Location"] == address("workflow_edit", flow)


def test_export_links(client: Client, flow: str) -> None:
    as_json = client.get(address("workflow_export_json", flow))
    assert json.loads(as_json.content)["steps"][1]["type"] == "map"
    assert as_json["Content-Disposition"] == 'attachment; filename="numbers.json"'
    assert as_json["X-Content-Type-Options"] == "nosniff"
    as_python = client.get(address("workflow_export_py", flow)).content.decode()
    compile(as_python, "numbers.py", "exec")
    svg = client.get(address("workflow_diagram", flow))
    assert svg.content.startswith(b"<svg")
    again = client.get(address("workflow_diagram", flow), headers={"If-None-Match": svg["ETag"]})
    assert again.status_code == 304


def test_what_people_write_is_escaped(client: Client, flow: str) -> None:
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    Workflow.objects.filter(pk=flow).update(description=bad)
    pages = [
        see(client),
        see(client, "?q=%3Cscript%3Ealert(1)%3C/script%3E"),
        client.get(address("workflow_run", flow)).content.decode(),
        client.get(address("workflow_diagram", flow)).content.decode(),
    ]
    for page in pages:
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_people_read_of_flows_runs_and_workers_only(client: Client, flow: str) -> None:
    index = client.get("/admin/").content.decode()
    for word in ("Flows", "Runs", "Workers"):
        assert f">{word}</a>" in index
    assert "Delete selected flows" in see(client)
    assert "1 flow\n" in see(client)
    question = client.get(address("workflow_delete", flow)).content.decode()
    for page in (index, see(client), question):
        words = re.sub(r"<[^>]*>", " ", page).lower()
        assert not re.search(r"\bworkflows?\b", words)
