"""The page that tells how a draft would run: by whom it is seen, what it says, what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from pgflow_django import Example, drafts, step_function
from pgflow_django.models import WorkflowRun, WorkflowVersion
from pgflow_django.registry import registry
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

STEPS = [
    {"slug": "fetch", "uses": "sim.fetch"},
    {"slug": "double", "uses": "sim.double", "type": "map", "depends_on": ["fetch"]},
    {"slug": "report", "uses": "sim.report", "depends_on": ["double"], "timeout": 90},
]


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    before = dict(registry._functions)

    @step_function("sim.fetch", effects="reads", examples=[Example(output=[8, 9])])
    def fetch(input: dict[str, Any]) -> list[int]:
        raise AssertionError("called")

    @step_function("sim.double", effects="none")
    def double(input: dict[str, Any]) -> int:
        raise AssertionError("called")

    @step_function("sim.report", effects="external")
    def report(input: dict[str, Any]) -> Any:
        raise AssertionError("called")

    yield
    registry._functions.clear()
    registry._functions.update(before)


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def draft(db: None) -> str:
    drafts.create("sums", {"steps": STEPS}, user="boss")
    return "sums"


def rows_of(page: str) -> list[list[str]]:
    """The cells of the table, as text."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [
            " ".join(re.sub("<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)
    ]


def test_waves_tasks_effects_times_and_where_outputs_come_from(client: Client, draft: str) -> None:
    page = client.get(address("workflow_simulate", draft)).content.decode()
    assert rows_of(page) == [
        ["fetch", "1", "1", "sim.fetch reads data, changes nothing", "at most 30 s",
         "[8, 9] an example of its function"],
        ["double", "2", "2", "sim.double changes nothing", "at most 30 s",
         "[0, 0] made up from what its function declares"],
        ["report", "3", "1", "sim.report acts outside: mail, payments", "at most 1 min 30 s",
         "unknown"],
    ]  # fmt: skip
    assert (
        "4 tasks, 12 with all attempts, 2 at once. From start to end: at most 2 min 30 s." in page
    )
    assert not WorkflowRun.objects.exists()
    assert not WorkflowVersion.objects.exists()


def test_an_input_and_outputs_are_given(client: Client, draft: str) -> None:
    data = {"mode": "json", "input": '{"a": 1}', "given-fetch": "[1, 2, 3]"}
    page = client.post(address("workflow_simulate", draft), data).content.decode()
    assert rows_of(page)[0][-1] == "[1, 2, 3] given"
    assert rows_of(page)[1][2] == "3"
    assert "{&quot;a&quot;: 1}" in page


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"given-fetch": "[1,"}, "JSON"),
        ({"given-double": "7"}, "list"),
        ({"input": "{"}, "JSON"),
    ],
)
def test_what_is_wrong_is_said(
    client: Client, draft: str, data: dict[str, str], words: str
) -> None:
    form = {"mode": "json", "input": "{}", **data}
    response = client.post(address("workflow_simulate", draft), form)
    assert response.status_code == 422
    assert words in response.content.decode()


def test_what_only_values_show(client: Client) -> None:
    each = {"slug": "each", "uses": "sim.double", "type": "map"}
    drafts.create("maps", {"steps": [each]}, user="boss")
    page = client.post(
        address("workflow_simulate", "maps"), {"mode": "json", "input": '{"a": 1}'}
    ).content.decode()
    assert "pgf-error" in page
    assert "each" in page.partition("<table>")[0]


def test_a_draft_without_steps_or_with_errors_says_so(client: Client) -> None:
    drafts.create("empty", user="boss")
    page = client.get(address("workflow_simulate", "empty")).content.decode()
    assert "no steps yet" in page
    assert "<table>" not in page


def test_who_sees_a_flow_sees_how_it_would_run_but_no_payload(log_in: LogIn, steps: None) -> None:
    make_flow("numbers")
    run_flow("numbers", {"note": "xyzzy"})
    viewer = log_in("viewer")
    page = viewer.get(address("workflow_simulate", "numbers")).content.decode()
    assert "xyzzy" not in page
    assert len(rows_of(page)) == 3
    assert address("workflow_simulate", "numbers") in (
        viewer.get(address("workflow_edit", "numbers")).content.decode()
    )
    assert "xyzzy" in log_in("boss").get(address("workflow_simulate", "numbers")).content.decode()
    assert log_in("bare").get(address("workflow_simulate", "numbers")).status_code == 404
