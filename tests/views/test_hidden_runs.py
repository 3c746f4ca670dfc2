"""A site hides runs by overriding the queryset of their admin: then they are nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.http import HttpRequest
from django.test import Client

from pgflow_django import drafts, engine, executor
from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin
from pgflow_django.models import WorkflowRun, WorkflowStepTask
from tests.engine.workers import HandWorker
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

Hide = Callable[[WorkflowRun], None]


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Hide:
    """Hide a run from everybody."""

    def hide(run: WorkflowRun) -> None:
        before = WorkflowRunAdmin.get_queryset

        def get_queryset(self: WorkflowRunAdmin, request: HttpRequest) -> object:
            return before(self, request).exclude(pk=run.pk)

        monkeypatch.setattr(WorkflowRunAdmin, "get_queryset", get_queryset)

    return hide


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def see(client: Client, name: str, *args: object, query: str = "") -> str:
    answer = client.get(address(name, *args) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_of_flows_counts_and_shows_what_is_left(
    client: Client, flow: str, hide: Hide
) -> None:
    shown, hidden = run_flow(), run_flow(input={"is_broken": True})
    active = executor.start_flow(flow)
    hide(hidden)
    hide(active)
    page = see(client, "workflow_changelist")
    assert page.count("pgf-dot-link pgf-s-") == 1
    assert f"/{shown.pk}/change/" in page
    assert "100 %" in page
    assert str(hidden.pk) not in page
    assert str(active.pk) not in page
    assert "active runs of" not in page


def test_flows_are_not_found_by_runs_that_are_hidden(client: Client, flow: str, hide: Hide) -> None:
    run_flow()
    hide(run_flow(input={"is_broken": True}))
    link = f"/workflow/{flow}/edit/"
    assert link not in see(client, "workflow_changelist", query="?last=failed")
    assert link in see(client, "workflow_changelist", query="?last=completed")
    assert link not in see(client, "workflow_changelist", query="?last=completed&_facets=1&on=0")


def test_a_site_hides_all_runs(client: Client, flow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_flow()
    monkeypatch.setattr(
        WorkflowRunAdmin, "get_queryset", lambda self, request: WorkflowRun.objects.none()
    )
    assert "pgf-dot-link" not in see(client, "workflow_changelist")
    assert "/workflow/numbers/edit/" in see(client, "workflow_changelist", query="?last=none")


def test_deleting_a_flow_says_that_something_runs_and_not_how_much(
    client: Client, flow: str, hide: Hide
) -> None:
    for _ in range(2):
        hide(executor.start_flow(flow))
    page = see(client, "workflow_delete", flow)
    assert "active runs of numbers that are not shown to you" in page
    assert "2 active" not in page
    executor.start_flow(flow)
    assert "1 active run of numbers" in see(client, "workflow_delete", flow)


def test_publishing_counts_no_hidden_runs(client: Client, flow: str, hide: Hide) -> None:
    hide(executor.start_flow(flow))
    version = drafts.load(flow).version
    drafts.edit(flow, version, "set_flow", {"description": "new"}, user="ada")
    data = {"version": drafts.load(flow).version}
    answer = client.post(address("workflow_publish", flow), data, follow=True)
    page = answer.content.decode()
    assert "Published version 2." in page
    assert "go on with the version" not in page
    assert "goes on with the version" not in page


def test_the_editor_shows_the_output_of_the_last_run_that_is_shown(
    client: Client, flow: str, hide: Hide
) -> None:
    first, last = run_flow(), run_flow()
    for run, text in ((first, '"of the first"'), (last, '"of the last"')):
        WorkflowStepTask.objects.filter(run_id=run.pk, step_slug="report").update(output=text)
    assert "of the last" in see(client, "workflow_panel", flow, query="?step=report")
    hide(last)
    page = see(client, "workflow_panel", flow, query="?step=report")
    assert "of the first" in page
    assert str(last.pk) not in page


def test_a_run_does_not_name_a_parent_that_is_hidden(client: Client, flow: str, hide: Hide) -> None:
    parent = executor.start_flow(flow)
    child_id = engine.start_flow(flow, "[{}]", parent=parent.pk, using="default")[0]
    assert str(parent.pk) in see(client, "workflowrun_change", child_id)
    hide(parent)
    for name in ("change", "live", "step"):
        assert str(parent.pk) not in see(client, f"workflowrun_{name}", child_id)


def test_workers_do_not_say_for_what_hidden_run_they_work(
    client: Client, flow: str, hide: Hide
) -> None:
    run = executor.start_flow(flow)
    HandWorker().claim()
    assert flow in see(client, "workflowworker_changelist")
    hide(run)
    page = see(client, "workflowworker_changelist")
    assert "a run that you may not see" in page
    assert str(run.pk) not in page


def test_the_form_of_a_run_begins_with_no_hidden_input(
    client: Client, flow: str, hide: Hide
) -> None:
    run_flow(input={"of": "the first"})
    hidden = run_flow(input={"of": "the last"})
    hide(hidden)
    assert "the first" in see(client, "workflow_run", flow)
    assert "the last" not in see(client, "workflow_run", flow, query=f"?from={hidden.pk}")


def test_whoever_starts_a_run_that_is_hidden_is_led_to_the_list(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        WorkflowRunAdmin, "get_queryset", lambda self, request: WorkflowRun.objects.none()
    )
    answer = client.post(address("workflow_run", flow), {"mode": "json", "input": "{}"})
    assert answer["Location"] == address("workflow_changelist")
    assert WorkflowRun.objects.count() == 1


def test_a_site_joins_other_tables_to_find_runs(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_flow()
    active = executor.start_flow(flow)
    joined = WorkflowRun.objects.filter(step_states__step_index__gte=0)
    monkeypatch.setattr(WorkflowRunAdmin, "get_queryset", lambda self, request: joined.distinct())
    page = see(client, "workflow_changelist")
    assert "1 active runs of numbers" in page
    assert page.count("pgf-dot-link pgf-s-") == 2
    assert "/workflow/numbers/edit/" in see(client, "workflow_changelist", query="?last=started")
    for each in (run, active):
        assert see(client, "workflowrun_change", each.pk)


def test_lists_leave_out_what_a_hook_refuses(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_flow("other")
    shown, hidden = run_flow(), run_flow("other")

    def may_see(self: object, request: HttpRequest, obj: object = None) -> bool:
        return getattr(obj, "workflow_slug", "") != "other"

    monkeypatch.setattr(WorkflowRunAdmin, "has_view_permission", may_see)
    page = see(client, "workflowrun_changelist")
    assert f"/{shown.pk}/change/" in page
    assert f"/{hidden.pk}/change/" not in page
    assert "/workflow/other/edit/" in see(client, "workflow_changelist")
    monkeypatch.setattr(WorkflowAdmin, "has_view_permission", may_see)
    page = see(client, "workflow_changelist")
    assert "/workflow/numbers/edit/" in page
    assert "/workflow/other/" not in page
    assert client.get(address("workflow_edit", "other")).status_code == 404
