"""What a site hides of errors with ``redact_error`` is on no page, and told to no program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.http import HttpRequest
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.safestring import mark_safe

from pgflow_django import drafts, engine, executor, explain_run
from pgflow_django.admin import WorkflowRunAdmin
from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.agents.performing import perform
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from pgflow_django.views.runs.tabs import TABS
from pgflow_django.views.urls import RUN_PAGES
from pgflow_django.worker.claimed import ClaimedTask
from tests.agents.test_access import principal
from tests.engine.database import query
from tests.engine.workers import HandWorker
from tests.views.conftest import LogIn, address, make_flow
from tests.views.test_tabs import ALONE

pytestmark = pytest.mark.django_db

SECRET, TOLD = "swordfish", "ask <b>the vault</b>"
ERROR = {
    "code": "step_failed",
    "error_type": f"Wrong_{SECRET}",
    "error_message": f"the door said: {SECRET}",
    "traceback": f"Traceback (most recent call last):\n  in door\nWrong: {SECRET}",
}
Hook = Callable[[dict[str, Any]], Any]


@dataclass
class Runs:
    """A run that failed at an item, one that waits to try an item again, a trial that failed."""

    failed: UUID
    retrying: UUID
    trial: UUID

    @property
    def all(self) -> tuple[UUID, ...]:
        return self.failed, self.retrying, self.trial


def fail(task: ClaimedTask, *, delay: float | None = None) -> None:
    """End an attempt with the error: for good, or until so many seconds have gone by."""
    failure = {**task.ref, **ERROR, "permanent": delay is None, "delay": delay}
    assert engine.fail_tasks([failure], using="default") == 1


def begin(worker: HandWorker) -> ClaimedTask:
    """Do the step before the map of the run that was started; the first item of it."""
    worker.complete(*worker.claim(), output=[1, 2, 3])
    return next(task for task in worker.claim(3) if task.index == 0)


@pytest.fixture
def runs(steps: None) -> Runs:
    slug, worker = make_flow(max_attempts=2), HandWorker()
    failed = executor.start_flow(slug).id
    fail(worker.claim()[0], delay=0)
    fail(begin(worker))
    retrying = executor.start_flow(slug).id
    fail(begin(worker), delay=1000)
    document = drafts.load(slug).document
    trial = executor.start_trial(document, {}, allow_effects=True).id
    fail(worker.claim()[0])
    return Runs(failed, retrying, trial)


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def redact(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hook], None]:
    """Let the site have this hook."""

    def redact(hook: Hook) -> None:
        def redact_error(self: Any, request: HttpRequest, run: Any, error: dict[str, Any]) -> Any:
            assert isinstance(request, HttpRequest)
            assert isinstance(run, WorkflowRun)
            return hook(error)

        monkeypatch.setattr(WorkflowRunAdmin, "redact_error", redact_error)

    return redact


def hide(error: dict[str, Any]) -> dict[str, Any]:
    """Let nothing through; as sites do, write into what was given."""
    error.update({"error_type": "Hidden", "error_message": TOLD, "traceback": TOLD})
    return error


def list_addresses(runs: Runs) -> Iterable[str]:
    """Every page, tab and part that is looked at and could tell of an error."""
    yield address("workflowrun_changelist") + "?trials=with"
    yield address("workflow_changelist")
    yield address("workflow_edit", "numbers") + "?step=fetch"
    yield address("workflow_panel", "numbers") + "?step=fetch"
    yield address("workflow_trial", "numbers")
    yield address("workflowrun_change", runs.trial)
    for run in (runs.failed, runs.retrying):
        yield from list_pages_of(run)


def list_pages_of(run: UUID) -> Iterable[str]:
    values = {"run_id": run, "step": "double", "index": 0, "which": "input"}
    for page in RUN_PAGES:
        if "GET" in page.methods:
            names = re.findall(r"<\w+:(\w+)>", page.route)
            name = f"admin:pgflow_django_workflowrun_{page.name}"
            path = reverse(name, kwargs={name: values[name] for name in names})
            yield path
            if page.name in {"step", "why"}:
                yield from (f"{path}?step={step}" for step in ("fetch", "double", "report"))
    change = address("workflowrun_change", run)
    yield from (f"{change}?tab={tab}" for tab in TABS)
    yield f"{change}?tab=tasks&status=failed"
    attempt = WorkflowTaskAttempt.objects.filter(run_id=run, step_slug="double").first()
    if attempt:
        yield f"{change}?tab=tasks&step=double&like={attempt.pk}"


def read(client: Client, path: str) -> str:
    answer: Any = client.get(path, headers=ALONE if "?tab=" in path else {})
    assert answer.status_code in {200, 204, 404}, path
    content = b"".join(answer) if answer.streaming else answer.content
    return str(content.decode())


def test_what_the_hook_hides_is_on_no_page_and_its_own_text_is_instead(
    client: Client, runs: Runs, redact: Callable[[Hook], None]
) -> None:
    paths = list(list_addresses(runs))
    shows = {path for path in paths if SECRET in read(client, path)}
    names = ("change", "details", "step", "why", "task")
    for name in names:  # or else this test would look at the wrong pages
        assert any(f"/{runs.failed}/{name}/" in path for path in shows), name
    for path in paths[:5]:
        assert path in shows or path in {paths[1], paths[4]}, path
    for tab in ("?tab=list", "?tab=tasks", "&like="):
        assert any(f"/{runs.retrying}/change/" in path and tab in path for path in shows), tab
    redact(hide)
    for path in paths:
        text = read(client, path)
        assert SECRET not in text, path
        assert TOLD not in text, path
        assert ("ask &lt;b&gt;the vault&lt;/b&gt;" in text) is (path in shows), path
    # Code gets it as it is, also after pages were shown.
    assert SECRET in str(executor.get_run_status(runs.failed).error)
    assert SECRET in str(explain_run(runs.failed).to_dict())


def test_what_failed_in_the_same_way_is_still_found_where_nobody_sees_in_what(
    client: Client, runs: Runs, redact: Callable[[Hook], None]
) -> None:
    redact(hide)
    page = read(client, address("workflowrun_change", runs.failed) + "?tab=tasks")
    links = re.findall(r'href="([^"]*like=\d+)"', page)
    assert len(links) == 2
    found = [read(client, link.replace("&amp;", "&")) for link in links]
    rows = [re.findall(r'id="pgf-task-(\w+-\d+)"', text) for text in found]
    assert sorted(rows) == [["double-0"], ["fetch-0"]]


@pytest.mark.parametrize("operation", [op for op in OPERATIONS.values() if "{run_id}" in op.path])
def test_what_the_hook_hides_is_told_to_no_program(
    runs: Runs, redact: Callable[[Hook], None], operation: Any
) -> None:
    who = principal("boss")
    more = {"control_run": {"action": "retry_now"}}.get(operation.name, {})
    with override_settings(PGFLOW={"AGENTS": "write"}):
        if operation.is_read_only:
            for run in runs.all:
                assert SECRET in str(perform(who, operation.name, {"run_id": str(run)}).value)
        redact(hide)
        for run in runs.all:
            value = str(perform(who, operation.name, {"run_id": str(run), **more}).value)
            assert SECRET not in value
            assert (TOLD in value) is operation.is_read_only


def test_a_site_without_the_hook_shows_errors_as_they_are(
    client: Client, runs: Runs, redact: Callable[[Hook], None]
) -> None:
    query("update workflow_runs set error = error - 'traceback' where id = %s", runs.trial)
    who = principal("editor")
    for run in runs.all:
        raw = explain_run(run).to_dict()
        told = perform(who, "explain_run", {"run_id": str(run)}).value
        for part in ("headline", "attempts"):
            assert told[part] == raw[part]
        if raw["cause"]:
            assert raw["cause"]["message"] == told["cause"]["message"] == ERROR["error_message"]
            assert raw["cause"]["traceback"] == told["cause"]["traceback"]
    failure = perform(who, "get_run", {"run_id": str(runs.trial)}).value["failure"]
    assert failure == {
        "step_slug": "fetch",
        "error_type": ERROR["error_type"],
        "error_message": ERROR["error_message"],
        "traceback": None,
    }
    # A hook costs no query.
    paths = [address(f"workflowrun_{name}", runs.failed) for name in ("change", "why")]
    paths.append(address("workflowrun_changelist"))
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            for path in paths:
                read(client, path)
        counts.append(len(queries))
        redact(hide)
    assert counts[0] == counts[1]


def test_the_hook_gets_texts_and_the_step(
    client: Client, runs: Runs, redact: Callable[[Hook], None]
) -> None:
    asked: list[dict[str, Any]] = []

    def look(error: dict[str, Any]) -> dict[str, Any]:
        asked.append(dict(error))
        return error

    redact(look)
    for path in list_pages_of(runs.failed):
        read(client, path)
    for error in asked:
        assert {*error} == {"error_type", "error_message", "traceback", "step_slug"}
        assert error["step_slug"] in {"fetch", "double"}
        texts = [value for name, value in error.items() if name != "step_slug"]
        assert all(isinstance(text, str) for text in texts), error
    assert ERROR["traceback"] in {error["traceback"] for error in asked}
    asked.clear()
    lost = '{"code": "caller_lost", "error_type": "CallerLost", "error_message": "gone"}'
    query("update workflow_runs set error = %s where id = %s", lost, runs.failed)
    read(client, address("workflowrun_details", runs.failed))
    whole = {"error_type": "CallerLost", "error_message": "gone", "traceback": ""}
    assert {**whole, "step_slug": None} in asked


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "Error"),
        ({}, "Error"),
        ("(gone)", "(gone)"),
        (7, "7"),
        (["(gone)"], "(gone)"),
        ({"error_message": None, "error_type": "Kind"}, "Kind"),
        ({"error_message": 5, "traceback": ["(gone)"]}, "(gone)"),
        ({"error_message": "half \ud800 \0 of it"}, "of it"),
        ({"error_message": mark_safe("<i>gone</i>")}, "&lt;i&gt;gone"),
    ],
)
def test_whatever_a_hook_returns_can_be_shown_and_is_no_markup(
    client: Client, runs: Runs, redact: Callable[[Hook], None], given: Any, shown: str
) -> None:
    redact(lambda error: given)
    who = principal("editor")
    for run in (runs.failed, runs.retrying):
        parts = [read(client, address(f"workflowrun_{name}", run)) for name in ("change", "why")]
        parts.append(read(client, address("workflowrun_step", run) + "?step=double"))
        parts.append(read(client, address("workflowrun_change", run) + "?tab=tasks"))
        parts.append(read(client, address("workflowrun_task", run, "double", 0)))
        text = "".join(parts)
        assert shown in text
        assert SECRET not in text
        assert "<i>gone" not in text
        told = perform(who, "explain_run", {"run_id": str(run)})
        assert SECRET not in str(told.value)
