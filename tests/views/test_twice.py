"""Whoever clicks twice, or at the same moment as somebody else: it is done, and noted, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client

from pgflow_django import executor
from pgflow_django.models import Workflow, WorkflowRun, WorkflowRunEvent
from tests.engine.database import clean, query
from tests.engine.threads import Background
from tests.engine.workers import HandWorker
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


def begin(**options: Any) -> WorkflowRun:
    """A run that nobody has worked at."""
    return executor.start_flow(make_flow(**options), {"n": 1})


def pause() -> WorkflowRun:
    """One that is paused."""
    run = begin()
    executor.pause_run(run.pk)
    return run


def begin_map() -> WorkflowRun:
    """One whose map has three tasks that nobody has worked at."""
    run = begin()
    executor.complete_step(run.pk, "fetch", [1, 2, 3])
    return run


def fail(delay: float | None = None) -> WorkflowRun:
    """One that failed at its first step, or waits so many seconds for the next attempt."""
    run = begin(max_attempts=1 if delay is None else 2)
    worker = HandWorker()
    worker.fail(*worker.claim(), delay=delay)
    return run


class Act(NamedTuple):
    """Something that a click does to a run which stands as ``make`` leaves it."""

    page: str
    make: Callable[[], WorkflowRun]
    kind: str
    """That of the event that it leaves."""
    data: Mapping[str, str] = {}
    """What the form sends."""
    rest: str = ""
    """What the address has behind its page."""


TASK, ITEM = {"step": "fetch", "index": "0"}, "double/?index=1"
SKIP, GIVE = {"verdict": "skip", "downstream": "on"}, {"verdict": "complete", "output": "[]"}
ACTS = {
    "cancel": Act("cancel", begin, "cancelled"),
    "pause": Act("pause", begin, "paused"),
    "resume": Act("resume", pause, "resumed"),
    "retry": Act("retry", fail, "retried"),
    "try one first": Act("retry", fail, "retried", TASK),
    "retry now": Act("hurry", lambda: fail(600), "retried_now", TASK),
    "skip a step": Act("decide", fail, "skipped", SKIP, "fetch/"),
    "skip an item": Act("decide", begin_map, "skipped", {"verdict": "skip"}, ITEM),
    "complete a step": Act("decide", fail, "completed_by_hand", GIVE, "fetch/"),
    "complete an item": Act("decide", begin_map, "completed_by_hand", GIVE, ITEM),
}
#: What makes a run out of another one, or out of nothing.
STARTS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "start": ("workflow_run", "", {"mode": "json", "input": "{}"}),
    "rerun with another input": ("workflow_run", "?from=", {"mode": "json", "input": "{}"}),
    "rerun": ("workflowrun_rerun", "", {}),
    "rerun from a step": ("workflowrun_rerun", "", {"step": "double"}),
}
#: Nobody changes a run, starts one or locks its row.
LOCK = "lock table workflow_runs in exclusive mode"


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_two_clicks_do_it_once_with_one_event_and_one_note(
    log_in: LogIn, steps: None, act: Act
) -> None:
    run = act.make()
    WorkflowRunEvent.objects.all().delete()
    path = f"{address('workflowrun_changelist')}{run.pk}/{act.page}/{act.rest}"
    click_twice(post(log_in("boss"), path, **act.data), LOCK)
    events = WorkflowRunEvent.objects.filter(run_id=run.pk, kind=act.kind)
    assert [(event.data or {}).get("by") for event in events] == ["admin:boss"]
    assert entries(run.pk) == LogEntry.objects.count() == 1


@pytest.mark.parametrize("name", STARTS)
def test_two_clicks_on_a_form_start_one_run(log_in: LogIn, steps: None, name: str) -> None:
    page, query, data = STARTS[name]
    old = begin_map()
    path = address(page, "numbers" if page == "workflow_run" else old.pk)
    path += query and f"{query}{old.pk}"
    assert click_twice(post(log_in("boss"), path, token=TOKEN, **data), LOCK) == [302, 302]
    new = WorkflowRun.objects.exclude(pk=old.pk).get()
    assert new.rerun_of == (None if name == "start" else old.pk)
    told = WorkflowRunEvent.objects.filter(run_id=new.pk, kind="rerun").count()
    assert told == (0 if name == "start" else 1)
    assert entries(new.pk) == LogEntry.objects.count() == 1


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
