"""``showrun`` and the page of a run tell the same of it, by the same rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from pgflow_django import executor
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.view import StepView, load
from pgflow_django.views.pieces import NOTHING
from tests.commands.calling import call
from tests.engine.building import build
from tests.engine.database import query
from tests.engine.workers import HandWorker

#: Seconds to a retry that no test waits for.
LONG = 600.0
HOUR = 3600.0


@pytest.fixture
def client() -> Iterator[Client]:
    """Give one who may see everything."""
    user = User.objects.create_superuser("doorkeeper")
    client = Client()
    client.force_login(user)
    yield client
    user.delete()


def see(client: Client, run: WorkflowRun, name: str = "change", **query: str) -> str:
    answer = client.get(f"/admin/pgflow_django/workflowrun/{run.id}/{name}/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def step_of(run: WorkflowRun, slug: str) -> StepView:
    return next(step for step in load(run.id, using="default").steps if step.slug == slug)


def words(client: Client, run: WorkflowRun) -> dict[str, str]:
    """How each step stands: the word of the command, which the page must have too."""
    told = dict(
        re.findall(r"^(\w+) +[^\w\s] (\w+)", call("showrun", str(run.id)).stdout, re.MULTILINE)
    )
    rows = r'id="pgf-row-(\w+)".*?class="pgf-pill[^"]*">\s*(?:<svg.*?</svg>)?\s*(\w+)\s*<'
    assert dict(re.findall(rows, see(client, run), re.DOTALL)) == told
    return told


def failures(client: Client, run: WorkflowRun) -> list[int]:
    """How many attempts of each step failed: as the command counts, and the page must too."""
    steps = call("showrun", str(run.id), json=True).json["steps"]
    told = [step["failed_attempts"] for step in steps]
    cells = re.findall(r'data-label="Failures"[^>]*>\s*(\d+)', see(client, run))
    assert [int(count) for count in cells] == told
    return told


def test_a_map_of_which_some_tasks_wait_for_a_retry_is_running(client: Client) -> None:
    build("many", {"each*": []}, max_attempts=3)
    run = executor.start_flow("many", list(range(100)))
    worker = HandWorker()
    first, *others = worker.claim(100)
    worker.fail(first, delay=LONG)
    assert words(client, run) == {"each": "running"}
    assert worker.complete(*others) == 99
    assert words(client, run) == {"each": "retrying"}
    assert "Next attempt" in see(client, run, "step", step="each")


def test_failures_before_a_retry_count_no_more(client: Client) -> None:
    build("flow", {"a": [], "b": []}, max_attempts=3)
    run = executor.start_flow("flow")
    worker = HandWorker()
    (task,) = (task for task in worker.claim(2) if task.group.step_slug == "a")
    worker.fail(task, delay=LONG)
    assert words(client, run)["a"] == "retrying"
    assert failures(client, run) == [1, 0]
    executor.cancel_run(run.id)
    executor.retry_run(run.id)
    assert words(client, run) == {"a": "running", "b": "running"}
    assert failures(client, run) == [0, 0]
    assert "by hand" in see(client, run, "task/a/0")  # it did fail


def test_a_step_that_nobody_has_begun_is_running_and_the_page_says_that_it_is_queued(
    client: Client,
) -> None:
    build("flow", {"a": [], "b": ["a"]})
    run = executor.start_flow("flow")
    assert words(client, run) == {"a": "running", "b": "waiting"}
    assert "queued" in see(client, run, "step", step="a")
    HandWorker().claim()
    assert words(client, run) == {"a": "running", "b": "waiting"}
    assert "queued" not in see(client, run, "step", step="a")


def age(run: WorkflowRun, seconds: float) -> None:
    """Let all that has happened to the run have happened so much earlier."""
    for table, columns in {
        "workflow_step_states": ("started_at", "ended_at"),
        "workflow_step_tasks": ("queued_at", "started_at", "ended_at"),
        "workflow_task_attempts": ("started_at", "ended_at"),
    }.items():
        moved = ", ".join(f"{name} = {name} - interval '{seconds} s'" for name in columns)
        query(f"update {table} set {moved} where run_id = %s", run.id)


def cell(page: str, slug: str, label: str) -> str:
    row = page.partition(f'id="pgf-row-{slug}"')[2].partition("</tr>")[0]
    found = re.search(rf'<td data-label="{label}"[^>]*>(.*?)</td>', row, re.DOTALL)
    assert found, label
    return " ".join(re.sub(r"<[^>]*>", " ", found[1]).split())


def test_a_step_is_started_when_work_begins_and_what_it_waited_stands_apart(
    client: Client,
) -> None:
    build("flow", {"a": [], "each*": ["a"]})
    run = executor.start_flow("flow")
    age(run, 2 * HOUR)
    page = see(client, run)
    assert (cell(page, "a", "Started"), cell(page, "a", "Took")) == (NOTHING, NOTHING)
    assert step_of(run, "a").started_at is None
    worker = HandWorker()
    (task,) = worker.claim()
    assert re.fullmatch(r"\d\d:\d\d:\d\d", cell(see(client, run), "a", "Started"))
    worker.complete(task, output=[1, 2])
    page, step = see(client, run), step_of(run, "a")
    assert step.seconds is not None
    assert step.seconds < HOUR
    assert re.fullmatch(r"[\d.]+ s after 2 h 0 min of waiting", cell(page, "a", "Took"))
    assert "<dt>Waited</dt><dd>2 h 0 min</dd>" in see(client, run, "step", step="a")
    told = call("showrun", str(run.id)).stdout
    assert re.search(r"^a +. completed +1/1 +[\d:]+ +2 h +[\d.]+ m?s", told, re.MULTILINE)
    age(run, HOUR)
    assert cell(see(client, run), "each", "Started") == NOTHING
    worker.complete(*worker.claim(2))
    assert "after 1 h 0 min of waiting" in cell(see(client, run), "each", "Took")


def test_a_retry_does_not_begin_a_step_anew(client: Client) -> None:
    build("flow", {"a": []}, max_attempts=3)
    run = executor.start_flow("flow")
    worker = HandWorker()
    age(run, HOUR)
    worker.fail(*worker.claim(), delay=0)
    began = step_of(run, "a").started_at
    age(run, 2 * HOUR)
    worker.complete(*worker.claim())
    step = step_of(run, "a")
    assert began is not None
    assert step.started_at == began - timedelta(seconds=2 * HOUR)
    assert step.seconds is not None
    assert 2 * HOUR < step.seconds < 3 * HOUR
    assert "after 1 h 0 min of waiting" in cell(see(client, run), "a", "Took")


def test_a_map_over_nothing_and_a_step_that_never_began_took_nothing(client: Client) -> None:
    build("flow", {"each*": [], "after": ["each"]})
    run = executor.start_flow("flow", [])
    executor.cancel_run(run.id)
    page = see(client, run)
    assert cell(page, "each", "Took") == "0.00 s"
    assert (cell(page, "after", "Started"), cell(page, "after", "Took")) == (NOTHING, NOTHING)


def test_the_clock_of_the_database_counts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    build("flow", {"a": []}, max_attempts=3)
    run = executor.start_flow("flow")
    worker = HandWorker()
    worker.fail(*worker.claim(), delay=LONG)
    here = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: here() + timedelta(seconds=2 * LONG))
    assert words(client, run) == {"a": "retrying"}
    assert re.search(r'id="pgf-elapsed"[^>]*>\s*[\d.]+ s\s*<', see(client, run))
