"""The page of workers: who is alive, and what each is doing."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from pgflow_django import engine, executor
from pgflow_django.admin import WorkflowRunAdmin
from pgflow_django.models import WorkflowRun, WorkflowWorker
from tests.engine.building import build
from tests.engine.database import query
from tests.engine.workers import HandWorker
from tests.views.conftest import LogIn, address, make_flow

pytestmark = pytest.mark.django_db


def read(client: Client) -> str:
    """The words of the page."""
    response = client.get(address("workflowworker_changelist"))
    assert response.status_code == 200
    main = response.content.decode().partition('id="pgf-workers"')[2]
    return " ".join(re.sub(r"<[^>]*>", " ", main).split())


def register(host: str = "box", pid: int = 4217, **options: str) -> int:
    return engine.register_worker(
        "celery", host, pid, ["default", "gpu"], ["a", "b"], using="default", **options
    )


def test_without_workers_it_says_how_to_start_one(log_in: LogIn) -> None:
    assert "There are no workers" in read(log_in())
    assert "celery -A tests worker" in read(log_in())


def test_a_row_says_who_it_is_and_what_it_serves(log_in: LogIn) -> None:
    register(node="celery@box")
    page = read(log_in())
    assert "1 worker can work, 0 are busy." in page
    for text in ("celery@box", "box, pid 4217", "Celery", "default, gpu", "a, b", "idle", "s ago"):
        assert text in page


def test_a_row_says_what_a_worker_is_doing_and_leads_there(log_in: LogIn) -> None:
    run = executor.start_flow(build("flow", {"each*": []}), list(range(7)))
    HandWorker().claim(5)
    query("update workflow_step_tasks set started_at = clock_timestamp() - interval '90 s'")
    client = log_in()
    page = read(client)
    assert "busy" in page
    assert f"flow.each run {str(run.id)[-8:]}, 5 tasks, for 1 min 30 s" in page
    link = address("workflowrun_change", run.id)
    assert link in client.get(address("workflowworker_changelist")).content.decode()


def test_a_worker_that_fell_silent_stands_below_those_that_are_alive(log_in: LogIn) -> None:
    register("lost")
    query("update workflow_workers set lease_until = clock_timestamp() - interval '1 min'")
    assert "No worker is alive" in read(log_in())
    register("well")
    page = read(log_in())
    assert "1 has fallen silent: others take over its work." in page
    assert page.index("well") < page.index("lost")


def test_nothing_is_told_of_runs_that_may_not_be_seen(
    log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.start_flow(build("salaries", {"a": []}))
    HandWorker().claim()
    page = read(log_in("clerk", "view_workflowworker"))
    assert "a run that you may not see" in page
    assert "salaries" not in page
    monkeypatch.setattr(
        WorkflowRunAdmin, "get_queryset", lambda self, request: WorkflowRun.objects.none()
    )
    page = read(log_in("boss"))
    assert "a run that you may not see" in page
    assert "salaries" not in page


def test_only_who_may_see_workers_finds_them(log_in: LogIn) -> None:
    path = address("workflowworker_changelist")
    assert log_in("viewer").get(path).status_code == 404
    assert "/login/" in log_in("anonymous").get(path)["Location"]
    clerk = log_in("clerk", "view_workflowworker")
    assert clerk.get(path).status_code == 200
    assert clerk.post(path).status_code == 405
    assert clerk.get(f"{path}1/change/").status_code == 404
    assert ">Workers</a>" in clerk.get("/admin/").content.decode()


def test_htmx_gets_the_part_that_changes(log_in: LogIn) -> None:
    response = log_in().get(address("workflowworker_changelist"), headers={"HX-Request": "true"})
    assert response.status_code == 200
    assert "<html" not in response.content.decode()


def test_pages_lead_to_the_workers_where_one_may_see_them(log_in: LogIn, steps: None) -> None:
    make_flow()
    run = executor.start_flow("numbers", {})
    assert not WorkflowWorker.objects.exists()
    link = f'href="{address("workflowworker_changelist")}"'
    pages = (
        address("workflow_changelist"),
        address("workflow_run", "numbers"),
        address("workflowrun_change", run.pk),
    )
    for page in pages:
        assert link in log_in("boss").get(page).content.decode(), page
        assert link not in log_in("editor").get(page).content.decode(), page


def test_the_number_of_queries_is_that_of_one_worker(
    log_in: LogIn, django_assert_max_num_queries: object
) -> None:
    executor.start_flows(build("flow", {"a": []}), [{}] * 8)
    for _ in range(8):
        HandWorker().claim()
    client = log_in()
    client.get(address("workflowworker_changelist"))
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        client.get(address("workflowworker_changelist"))


def test_a_celery_workers_own_line_is_no_worker_that_can_work(log_in: LogIn) -> None:
    for pid in (1, 2, 3):  # of its parent, and of two children
        register(pid=pid, node="celery@box")
    assert "2 workers can work, 0 are busy." in read(log_in())
