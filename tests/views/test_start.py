"""The page that starts runs: its form, its JSON, its warnings; and one run for each page."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from pgflow_django.definitions.samples import make_sample
from pgflow_django.models import Workflow, WorkflowRun, WorkflowWorker
from pgflow_django.views.schema_fields import make_fields, read_fields
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

TOKEN = "a" * 32
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["count"],
    "properties": {
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "title": "How many"},
        "ratio": {"type": "number", "default": 0.5},
        "name": {"type": "string", "description": "of the <b>customer</b>"},
        "is_urgent": {"type": "boolean"},
        "colour": {"enum": ["red", "green", 3]},
        "day": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "extra": {"type": "object"},
    },
}
GOOD = {
    "f-count": "3",
    "f-ratio": "0.25",
    "f-name": "Ada",
    "f-is_urgent": "true",
    "f-colour": '"green"',
    "f-day": "2026-01-31",
    "f-tags": "one\ntwo\n",
    "f-numbers": "1\r\n2",
    "f-extra": '{"a": [1]}',
}


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def form(steps: None, db: None) -> str:
    """Give the address of the page of a flow with a schema."""
    return address("workflow_run", make_flow(input_schema=SCHEMA))


def post(client: Client, path: str, data: dict[str, str]) -> Any:
    return client.post(path, {"mode": "form", "token": TOKEN, **data})


def test_a_form_asks_for_what_the_schema_says(client: Client, form: str) -> None:
    page = client.get(form).content.decode()
    assert "How many" in page
    assert 'type="date"' in page
    assert "of the &lt;b&gt;customer&lt;/b&gt;" in page
    assert "<option" in page


def test_what_the_form_says_becomes_the_input(client: Client, form: str) -> None:
    response = post(client, form, GOOD)
    run = WorkflowRun.objects.get()
    assert response["Location"] == address("workflowrun_change", run.pk)
    assert run.input == {
        "count": 3,
        "ratio": 0.25,
        "name": "Ada",
        "is_urgent": True,
        "colour": "green",
        "day": "2026-01-31",
        "tags": ["one", "two"],
        "numbers": [1, 2],
        "extra": {"a": [1]},
    }
    assert run.status == "started"


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("f-count", "", "needed"),
        ("f-count", "many", "a whole number"),
        ("f-count", "0", "At least 1"),
        ("f-count", "10", "At most 9"),
        ("f-count", "1" * 5000, "a whole number"),
        ("f-ratio", "nan", "no such number"),
        ("f-ratio", "1e999", "no such number"),
        ("f-colour", '"blue"', "Choose one"),
        ("f-day", "tomorrow", "2026-01-31"),
        ("f-day", "2026-02-31", "2026-01-31"),
        ("f-numbers", "1\nx", "a whole number"),
        ("f-extra", "{", "line 1, column 2"),
        ("f-extra", '{"a": NaN}', "NaN"),
        ("f-extra", '{"a": "\\u0000"}', "can&#x27;t store"),
        ("f-extra", '{"a": 1,\n "a": 2}', "Line 2, column 2: this object has the key"),
    ],
)
def test_a_wrong_value_is_refused_beside_its_field(
    client: Client, form: str, field: str, text: str, complaint: str
) -> None:
    response = post(client, form, {**GOOD, field: text})
    assert response.status_code == 422
    page = response.content.decode()
    assert complaint in page
    assert 'value="Ada"' in page, "what was written is still there"
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1,\n  b: 2}', "line 2, column 3"),
        ("[1, 2", "line 1"),
        ("NaN", "NaN"),
        ("[-1E+999]", "Line 1, column 2: this number is too large"),
        ('"\\ud800"', "Line 1, column 1: this holds the lone surrogate"),
        ('{"a": 1,\n  "b": {"a": 2}, "\\u0061": 3}', "Line 2, column 18: this object has the key"),
        ("[" * 5000 + "]" * 5000, "nested"),
        ('"' + "x" * (1024 * 1024 + 20_000) + '"', "1024 KiB"),
    ],
)
def test_bad_json_is_refused_with_its_place(
    client: Client, flow: str, text: str, complaint: str
) -> None:
    path = address("workflow_run", flow)
    response = client.post(path, {"mode": "json", "input": text, "token": TOKEN})
    assert response.status_code == 422
    assert complaint in response.content.decode()
    assert not WorkflowRun.objects.exists()


def test_a_page_that_is_sent_twice_starts_one_run(client: Client, flow: str) -> None:
    path = address("workflow_run", flow)
    answers = [
        client.post(path, {"mode": "json", "input": "{}", "token": TOKEN})["Location"]
        for _ in range(3)
    ]
    assert len(set(answers)) == 1
    assert WorkflowRun.objects.count() == 1
    assert LogEntry.objects.count() == 1
    other = client.get(path).content.decode().split('name="token" value="')[1][:32]
    client.post(path, {"mode": "json", "input": "{}", "token": other})
    assert WorkflowRun.objects.count() == 2


def test_a_made_up_token_is_not_used_as_a_key(client: Client, flow: str) -> None:
    path = address("workflow_run", flow)
    client.post(path, {"mode": "json", "input": "{}", "token": "../" * 200})
    assert len(WorkflowRun.objects.get().key or "") == len("admin-") + 32


def test_it_warns_while_nobody_would_do_the_work(client: Client, flow: str) -> None:
    path = address("workflow_run", flow)
    assert "No worker serves the queue default" in client.get(path).content.decode()
    worker = WorkflowWorker.objects.create(
        kind="celery",
        hostname="somewhere",
        pid=1,
        queues=["default"],
        functions=["fetch", "double"],
        lease_until=timezone.now() + timedelta(minutes=5),
    )
    page = client.get(path).content.decode()
    assert "No worker serves" not in page
    assert "No worker has the function report" in page
    WorkflowWorker.objects.filter(pk=worker.pk).update(functions=None)
    assert "No worker" not in client.get(path).content.decode()
    WorkflowWorker.objects.filter(pk=worker.pk).update(lease_until=timezone.now())
    assert "No worker serves" in client.get(path).content.decode()


def test_it_begins_with_the_last_input_but_without_its_secrets(client: Client, form: str) -> None:
    run_flow(input={"count": 7, "name": "Ada", "api_key": "k-123"})
    assert 'value="Ada"' in client.get(form).content.decode()
    as_json = client.get(f"{form}?mode=json").content.decode()
    assert "&quot;count&quot;: 7" in as_json
    assert "k-123" not in as_json
    assert "hidden]" not in as_json
    sample = client.get(f"{form}?from=sample").content.decode()
    assert 'value="Ada"' not in sample
    assert 'value="0.5"' in sample


def test_those_who_may_not_see_inputs_do_not_see_the_last_one(log_in: LogIn, form: str) -> None:
    run = run_flow(input={"count": 7, "name": "Ada-Lovelace"})
    client = log_in("runner", "view_workflow", "view_workflowrun", "run_workflow")
    for query in ("", f"?from={run.pk}", "?from=last"):
        assert "Ada-Lovelace" not in client.get(form + query).content.decode()


def test_the_input_of_another_flows_run_is_not_taken(client: Client, form: str) -> None:
    make_flow("other")
    run = run_flow("other", {"name": "Ada-Lovelace"})
    assert "Ada-Lovelace" not in client.get(f"{form}?from={run.pk}").content.decode()
    assert client.get(f"{form}?from=%27;drop").status_code == 200


def test_a_flow_that_is_switched_off_says_so(client: Client, flow: str) -> None:
    Workflow.objects.filter(pk=flow).update(is_active=False)
    path = address("workflow_run", flow)
    page = client.get(path).content.decode()
    assert "This flow is switched off" in page
    assert re.search(r'<button class="pgf-button pgf-primary"\s+disabled>.*?Start the run', page)
    response = client.post(path, {"mode": "json", "input": "{}", "token": TOKEN})
    assert response.status_code == 422
    page = response.content.decode()
    assert 'role="alert"' in page
    assert page.count("This flow is switched off") == 1


def test_starting_is_logged_with_its_user(client: Client, flow: str) -> None:
    client.post(address("workflow_run", flow), {"mode": "json", "input": "{}", "token": TOKEN})
    entry = LogEntry.objects.get()
    assert entry.user.get_username() == "boss"
    assert entry.object_id == str(WorkflowRun.objects.get().pk)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "array"},
        {"properties": "what"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {f"p{n}": {} for n in range(41)}},
    ],
)
def test_schemas_that_no_form_can_show_are_asked_for_as_json(schema: Any) -> None:
    assert make_fields(schema) == []
    json.dumps(make_sample(schema))


@pytest.mark.parametrize(
    "rules",
    [None, 3, {"type": ["string", "null"]}, {"enum": []}, {"enum": "red"}, {"items": 3}],
)
def test_strange_rules_are_asked_for_as_json(rules: Any) -> None:
    [field] = make_fields({"properties": {"a": rules}})
    assert field.kind == "json"
    assert read_fields([field], {"f-a": "[1]"}) == {"a": [1]}


def test_the_sample_has_the_shape_of_the_schema() -> None:
    assert make_sample(SCHEMA) == {
        "count": 1,
        "ratio": 0.5,
        "name": "",
        "is_urgent": False,
        "colour": "red",
        "day": "2026-01-01",
        "tags": [""],
        "numbers": [0],
        "extra": {},
    }


def test_one_of_several_values_that_only_python_takes_for_the_same_is_chosen(
    steps: None, db: None
) -> None:
    schema = {"properties": {"flag": {"enum": [1, True, 1.0, 0, False]}}}
    (field,) = make_fields(schema, {"flag": True})
    assert [choice.value for choice in field.choices if choice.is_chosen] == ["true"]
