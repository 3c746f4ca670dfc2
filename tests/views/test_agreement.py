"""The two modes of the page that starts runs agree; and beside a draft it says what runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from pgflow_django import drafts
from pgflow_django.models import Workflow, WorkflowRun
from tests.views.conftest import LogIn, address, make_flow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

SCHEMA: dict[str, Any] = {
    "required": ["orders", "who"],
    "properties": {
        "orders": {"type": "integer", "minimum": 0, "maximum": 9},
        "pace": {"enum": ["slow", "steady", 1]},
        "who": {"type": "string"},
        "ratio": {"type": "number", "minimum": -1},
        "is_urgent": {"type": "boolean"},
        "day": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "counts": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "extra": {"type": "object"},
        "any": True,
    },
}
GOOD: dict[str, Any] = {"orders": 3, "who": "Ada"}


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def send(client: Client, text: Any, **more: Any) -> tuple[int, str]:
    """Start a run with this input as JSON; the status and the page that answers."""
    text = text if isinstance(text, str) else json.dumps(text)
    data = {"mode": "json", "input": text, **more}
    answer = client.post(address("workflow_run", "numbers"), data)
    return answer.status_code, answer.content.decode()


def send_form(client: Client, **fields: str) -> str:
    usual = {"f-orders": "3", "f-who": "Ada"}
    data = {"mode": "form", **usual, **{f"f-{name}": text for name, text in fields.items()}}
    return client.post(address("workflow_run", "numbers"), data).content.decode()


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        {**GOOD, "pace": "slow", "ratio": 0.5, "is_urgent": False, "day": "2026-01-31"},
        {**GOOD, "pace": 1, "ratio": -1, "tags": [], "counts": [1, 2], "extra": {"a": [1]}},
        {**GOOD, "tags": ["a\nb", " ", ""], "any": None, "unknown": 1},
        {**GOOD, "orders": 0, "ratio": 7, "day": "", "who": "\r\n x"},
    ],
)
def test_what_the_form_can_say_is_taken_as_json(client: Client, value: Any) -> None:
    make_flow(input_schema=SCHEMA)
    status, page = send(client, value)
    assert status == 302, page
    assert WorkflowRun.objects.get().input == value


@pytest.mark.parametrize(
    ("name", "value", "words", "text"),
    [
        ("orders", -1, "At least 0.", "-1"),
        ("orders", 10, "At most 9.", "10"),
        ("orders", 5.0, "a whole number, not “5.0”", "5.0"),
        ("orders", 10**30, "At most 9.", "1" + "0" * 30),
        ("pace", "fast", "Choose one of the list.", '"fast"'),
        ("pace", True, "Choose one of the list.", "true"),
        ("who", "", "This is needed.", ""),
        ("who", " ", "This is needed.", " "),
        ("ratio", -1.5, "At least -1.", "-1.5"),
        ("day", "tomorrow", "Write a date like 2026-01-31.", "tomorrow"),
        ("counts", [1, 0], "At least 1.", "1\n0"),
        ("counts", [1, 1.5], "a whole number, not “1.5”", "1\n1.5"),
    ],
)
def test_what_the_form_refuses_is_refused_as_json_in_the_same_words(
    client: Client, name: str, value: Any, words: str, text: str
) -> None:
    make_flow(input_schema=SCHEMA)
    status, page = send(client, {**GOOD, name: value})
    assert status == 422
    assert f"{name}: " in page
    assert words in page
    assert words in send_form(client, **{name: text})
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "Write a JSON object, not “[1, 2]”."),
        ("null", "Write a JSON object, not “null”."),
        ('"x"', "Write a JSON object"),
        ("{}", "who: This is needed.\norders: This is needed."),
        ('{"pace": "fast"}', "pace: Choose one of the list."),
        ('{"orders": null, "who": 5}', "orders: Write a whole number, not “null”."),
        ('{"orders": null, "who": 5}', "who: Write text, not “5”."),
        ('{"orders": "3", "who": "x"}', "orders: Write a whole number"),
        ('{"orders": true, "who": "x"}', "orders: Write a whole number, not “true”."),
        ('{"orders": 1, "who": "x", "is_urgent": "true"}', "is_urgent: Write true or false"),
        ('{"orders": 1, "who": "x", "tags": "a"}', "tags: Write a list"),
        ('{"orders": 1, "who": "x", "tags": [1]}', "tags: Write text, not “1”."),
        ('{"orders": 1, "who": "x", "day": 5}', "day: Write a date like"),
        ('{"orders": 1, "who": "x", "pace": {}}', "pace: Choose one"),
        ('{"orders": 1, "who": "x", "extra": null}', "/extra: should be an object, is null"),
    ],
)
def test_what_no_form_can_say_is_refused(client: Client, text: str, words: str) -> None:
    make_flow(input_schema=SCHEMA)
    status, page = send(client, text)
    assert status == 422
    assert words.replace('"', "&quot;") in page
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize("schema", [None, {}, {"type": "array"}, {"properties": {}}])
def test_where_there_is_no_form_any_json_is_taken(client: Client, schema: Any) -> None:
    make_flow(input_schema=schema)
    assert send(client, "[1, 2]")[0] == 302


# ---- beside a draft ----


@pytest.fixture
def draft() -> drafts.Draft:
    """Give a draft that waits for an input which the published flow does not know."""
    version = drafts.load(make_flow()).version
    change = {"input_schema": {"required": ["who"], "properties": {"who": {"type": "string"}}}}
    return drafts.edit("numbers", version, "set_flow", change, user="ada").draft


def test_the_page_says_which_version_runs(client: Client, draft: drafts.Draft) -> None:
    page = client.get(address("workflow_run", "numbers")).content.decode()
    assert "Version 1 runs. The draft has changes that are not published" in page
    assert "Publish and run" in page
    assert send(client, {})[0] == 302
    assert WorkflowRun.objects.get().version == 1
    drafts.publish("numbers", draft.version, user="ada")
    page = client.get(address("workflow_run", "numbers")).content.decode()
    assert "The draft has changes" not in page
    assert "Publish and run" not in page


def test_publish_and_run_starts_what_was_drawn(client: Client, draft: drafts.Draft) -> None:
    status, _ = send(client, {"who": "Ada"}, publish=draft.version)
    assert status == 302
    run = WorkflowRun.objects.get()
    assert run.version == Workflow.objects.get().version == 2
    assert not drafts.load("numbers").has_changes
    page = client.get(address("workflowrun_change", run.pk)).content.decode()
    assert "Published version 2." in page
    assert {entry.object_id for entry in LogEntry.objects.all()} == {"numbers", str(run.pk)}


def test_an_input_that_the_draft_refuses_publishes_nothing(
    client: Client, draft: drafts.Draft
) -> None:
    status, page = send(client, {}, publish=draft.version)
    assert status == 422
    assert "who: This is needed." in page
    assert "Publish and run" in page
    assert Workflow.objects.get().version == 1
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize("version", ["0", "999", "-1", "", "x", "\0"])
def test_a_draft_that_is_another_one_by_now_is_not_published(
    client: Client, draft: drafts.Draft, version: str
) -> None:
    status, page = send(client, {"who": "Ada"}, publish=version)
    assert status == 422
    assert "was changed by ada meanwhile" in page
    assert Workflow.objects.get().version == 1
    assert not WorkflowRun.objects.exists()


def test_publish_and_run_is_for_those_who_may_publish(log_in: LogIn, draft: drafts.Draft) -> None:
    client = log_in("runner", "view_workflow", "run_workflow")
    page = client.get(address("workflow_run", "numbers")).content.decode()
    assert "The draft has changes" in page
    assert "Publish and run" not in page
    assert send(client, {"who": "Ada"}, publish=draft.version)[0] == 403
    assert Workflow.objects.get().version == 1
