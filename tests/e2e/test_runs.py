"""A run that nobody works at yet, as its readers see it: started, cancelled, removed."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from pgflow_django import executor
from pgflow_django.models import WorkflowRun
from tests.e2e.conftest import OpenPage
from tests.views.conftest import make_flow

pytestmark = pytest.mark.usefixtures("functions")

RUN = "/admin/pgflow_django/workflow/numbers/run/"


@pytest.fixture
def flow(transactional_db: None) -> str:
    """Give the guide's flow, published."""
    return make_flow()


def start_run(page: Page) -> None:
    """Press the button on the page that starts a run."""
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/change/")


def test_a_run_is_cancelled_that_nobody_works_at(
    open_page: OpenPage, boss: User, flow: str
) -> None:
    page = open_page(RUN, boss)
    expect(page.get_by_text("No worker serves the queue")).to_be_visible()
    start_run(page)
    expect(page.get_by_text("It waits:")).to_be_visible()
    expect(page.locator("#pgf-row-report .pgf-pill")).to_have_text("waiting")
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.locator("#pgf-run-status")).to_have_text("cancelled")
    expect(page.locator("#pgf-row-fetch .pgf-pill")).to_have_text("cancelled")
    expect(page.locator("summary", has_text="Cancel")).to_have_count(0)
    assert WorkflowRun.objects.get().status == "cancelled"


def test_a_session_that_ends_leads_to_the_login_and_back_to_the_run(
    open_page: OpenPage, boss: User, flow: str
) -> None:
    boss.set_password("secret")
    boss.save()
    run = executor.start_flow(flow)
    path = f"/admin/pgflow_django/workflowrun/{run.pk}/change/?tab=tasks"
    page = open_page(path, boss)
    Session.objects.all().delete()
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.wait_for_url("**/admin/login/?next=*")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{path}")
    expect(page.locator("#pgf-run-status")).to_have_text("running")


def test_what_is_done_after_the_session_has_ended_is_not_done(
    open_page: OpenPage, boss: User, flow: str
) -> None:
    run = executor.start_flow(flow)
    page = open_page(f"/admin/pgflow_django/workflowrun/{run.pk}/change/", boss)
    page.locator("summary", has_text="Pause").click()
    Session.objects.all().delete()
    page.get_by_role("button", name="Pause this run").click()
    page.wait_for_url("**/admin/login/?next=*")
    assert executor.get_run_status(run.pk).status == "started"


def test_a_run_that_is_removed_while_somebody_looks(
    open_page: OpenPage, boss: User, flow: str
) -> None:
    page = open_page(RUN, boss)
    start_run(page)
    run = WorkflowRun.objects.get()
    executor.cancel_run(run.pk)
    WorkflowRun.objects.filter(pk=run.pk).delete()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.get_by_text("This run was removed.")).to_be_visible()


def test_a_double_click_starts_one_run(open_page: OpenPage, boss: User, flow: str) -> None:
    page = open_page(RUN, boss)
    page.get_by_role("button", name="Start the run").dblclick()
    page.wait_for_url("**/change/")
    assert WorkflowRun.objects.count() == 1


def test_wrong_json_is_told_with_its_place(open_page: OpenPage, boss: User, flow: str) -> None:
    page = open_page(RUN, boss)
    page.get_by_label("Input as JSON").fill('{"a": 1,\n "b" 2}')
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Start the run").click()
    assert answer.value.status == 422
    expect(page.get_by_role("alert")).to_contain_text("line 2")
    expect(page.get_by_label("Input as JSON")).to_have_value('{"a": 1,\n "b" 2}')
    assert not WorkflowRun.objects.exists()
