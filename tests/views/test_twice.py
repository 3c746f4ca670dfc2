"""Whoever clicks twice, or at the same moment as somebody else: it is done, and noted, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client

from pgflow_django import executor
from pgflow_django.models import Workflow, WorkflowRun
from tests.engine.database import clean, query
from tests.engine.threads import Background
from tests.views.conftest import LogIn, address, make_flow
from tests.waiting import wait_until

TOKEN = "b" * 32


@pytest.fixture
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let the test commit, since others must see what it does."""
    with django_db_blocker.unblock():
        clean()
        yield
        clean()
        for model in (LogEntry, Session, User):
            model.objects.all().delete()


def count_waiting() -> int:
    query("select pg_stat_clear_snapshot()")  # within a transaction it stays as it was first seen
    [(count,)] = query(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    return int(count)


def click_twice(click: Callable[[], Any], held: str, *params: Any) -> list[Any]:
    """The answers of two clicks that both meet a lock of somebody else, and go on together."""
    with transaction.atomic():
        query(held, *params)
        clicks = [Background(click) for _ in range(2)]
        wait_until(lambda: count_waiting() == 2, "both clicks to wait")
    return [each.result() for each in clicks]


def entries(subject: object) -> int:
    return LogEntry.objects.filter(object_id=str(subject)).count()


def post(client: Client, path: str, **data: Any) -> Callable[[], int]:
    cookie = client.cookies["sessionid"].value

    def click() -> int:
        own = Client()
        own.cookies["sessionid"] = cookie
        return own.post(path, data).status_code

    return click


def test_two_clicks_on_cancel_are_noted_once(log_in: LogIn, flow: str) -> None:
    run = executor.start_flow(flow)
    click = post(log_in("boss"), address("workflowrun_cancel", run.pk))
    lock = "select 1 from workflow_runs where id = %s for update"
    assert click_twice(click, lock, run.pk) == [302, 302]
    assert executor.get_run_status(run.pk).status == "cancelled"
    assert entries(run.pk) == 1


def test_two_clicks_on_start_are_noted_once(log_in: LogIn, flow: str) -> None:
    click = post(
        log_in("boss"), address("workflow_run", flow), mode="json", token=TOKEN, input="{}"
    )
    lock = "lock table workflow_runs in share row exclusive mode"
    assert click_twice(click, lock) == [302, 302]
    assert entries(WorkflowRun.objects.get().pk) == 1


@pytest.mark.parametrize(("action", "before"), [("switch_off", True), ("switch_on", False)])
def test_two_clicks_on_a_switch_are_noted_once(
    log_in: LogIn, flow: str, action: str, before: bool
) -> None:
    Workflow.objects.filter(pk=flow).update(is_active=before)
    data = {"action": action, "_selected_action": flow}
    click = post(log_in("boss"), address("workflow_changelist"), **data)
    lock = "select 1 from workflows where workflow_slug = %s for update"
    assert click_twice(click, lock, flow) == [302, 302]
    assert Workflow.objects.get().is_active is not before
    assert entries(flow) == 1


def test_switching_tells_of_the_flows_that_it_changed(log_in: LogIn, flow: str) -> None:
    Workflow.objects.filter(pk=make_flow("off")).update(is_active=False)
    data = {"action": "switch_off", "_selected_action": [flow, "off"]}
    page = log_in("boss").post(address("workflow_changelist"), data, follow=True)
    assert "Changed 1 flow." in page.content.decode()
    assert (entries(flow), entries("off")) == (1, 0)


@pytest.mark.parametrize("name", ["workflow_new", "workflow_import_new", "workflow_run"])
def test_forms_that_make_something_are_sent_once(log_in: LogIn, flow: str, name: str) -> None:
    arguments = [flow] if name == "workflow_run" else []
    page = log_in("boss").get(address(name, *arguments)).content.decode()
    assert "data-once" in page
    assert "pgflow_django/site.js" in page
