"""Comparing versions of a flow: from its history, its editor, and the page of a run."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.choices import Origin
from pgflow_django.models import Workflow
from pgflow_django.views.pieces import NOTHING
from tests.views.conftest import LogIn, address, make_flow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

COMPARE = address("workflow_compare", "numbers")


@pytest.fixture
def client(log_in: LogIn) -> Client:
    """Give one who may do everything."""
    return log_in("boss")


@pytest.fixture
def drawn() -> None:
    """Store a flow, publish a second version of it, and go on with the draft."""
    make_flow()
    edit("update_step", step="fetch", description="Ask the shop.")
    drafts.publish("numbers", drafts.load("numbers").version, user="ada")
    edit("add_step", slug="later")


def edit(op: str, **arguments: Any) -> None:
    drafts.edit("numbers", drafts.load("numbers").version, op, arguments, user="ada")


def see(
    client: Client, path: str = COMPARE, query: dict[str, str] | None = None, status: int = 200
) -> str:
    answer = client.get(path, query)
    assert answer.status_code == status
    return str(answer.content.decode())


def rows(page: str) -> list[list[str]]:
    """The table of changes, without its head."""
    table = re.findall(r"<tr>(.*?)</tr>", page.split("<tbody>")[1], re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table]
    return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in row] for row in cells]


def chosen(page: str) -> dict[str, str]:
    """What the form shows as chosen."""
    fields = re.findall(r'<select[^>]* name="(\w+)">(.*?)</select>', page, re.DOTALL)
    return {name: re.findall(r'value="(\w+)" selected', options)[0] for name, options in fields}


def choices(page: str) -> list[str]:
    found = re.search(r'<select[^>]* name="from">(.*?)</select>', page, re.DOTALL)
    return re.findall(r">([^<>]+)</option>", found[1]) if found else []


NOTED = ["changed", "fetch", "description", NOTHING, "Ask the shop."]
ADDED = ["added", "later", NOTHING, NOTHING, NOTHING]


@pytest.mark.parametrize(
    ("query", "title", "changes"),
    [
        ({"from": "1", "to": "2"}, "numbers from version 1 to version 2", [NOTED]),
        ({"from": "1", "to": "draft"}, "numbers from version 1 to the draft", [NOTED, ADDED]),
        ({"from": "2", "to": "draft"}, "numbers from version 2 to the draft", [ADDED]),
        ({"from": "1"}, "numbers from version 1 to the draft", [NOTED, ADDED]),
        ({}, "numbers from version 2 to the draft", [ADDED]),
    ],
)
def test_two_versions_are_drawn_together_with_what_changed(
    client: Client, drawn: None, query: dict[str, str], title: str, changes: list[list[str]]
) -> None:
    page = see(client, query=query)
    assert f"<h1>{title}</h1>" in page
    assert 'id="pgf-step-later"' in page or ADDED not in changes
    assert rows(page) == changes
    assert chosen(page) == {"from": "2", "to": "draft"} | query
    assert choices(page) == ["the draft", "version 2, published now", "version 1"]


def test_nothing_changed_between_a_version_and_itself(client: Client, drawn: None) -> None:
    page = see(client, query={"from": "1", "to": "1"})
    assert "Nothing of the flow itself changed." in page
    assert "<tbody>" not in page


@pytest.mark.parametrize(
    "value",
    ["9", "0", "-1", "1.0", "v1", "Draft", "1" * 300, "9" * 9, "²", "٣", "a\0b", "<b>", " 1"],
)
def test_a_version_that_is_none_is_told_in_a_sentence(
    client: Client, drawn: None, value: str
) -> None:
    for query in ({"from": value, "to": "draft"}, {"from": "1", "to": value}):
        page = html.unescape(see(client, query=query, status=404).split("<main")[-1])
        assert re.search(r'Of flow "numbers", no version .* is kept\. Choose another one\.', page)
        assert chosen(page) == {"from": "2", "to": "draft"} | {
            field: name for field, name in query.items() if name != value
        }
        assert 'id="pgf-stage"' not in page


def test_what_was_only_started_is_compared_as_runs_use_it(client: Client) -> None:
    make_flow()
    run = executor.start_flow("numbers")
    document = flow_builder.export_flow("numbers")
    flow_builder.create_flow_from_spec({**document, "timeout": 77}, replace=True)
    monitor = see(client, address("workflowrun_change", run.pk))
    (link,) = re.findall(rf'href="({COMPARE}[^"]*)"', monitor)
    page = see(client, html.unescape(link))
    assert "numbers from version 1 to version 2" in page
    assert "only what its runs use" in page
    assert rows(page)[0] == ["changed", "fetch", "timeout", "30", "77"]
    assert len(rows(page)) == 3


def test_a_run_of_the_newest_version_has_nothing_to_compare(client: Client, drawn: None) -> None:
    run = executor.start_flow("numbers")
    assert COMPARE not in see(client, address("workflowrun_change", run.pk))


def test_the_history_asks_which_two(client: Client, drawn: None) -> None:
    page = see(client, address("workflow_history", "numbers"))
    assert f'<form class="pgf-versions" action="{COMPARE}">' in page
    assert chosen(page) == {"from": "2", "to": "draft"}


def test_the_editor_leads_to_what_is_not_published_yet(client: Client, drawn: None) -> None:
    link = f'href="{COMPARE}?from=2&amp;to=draft"'
    page = see(client, address("workflow_edit", "numbers"))
    assert link in page
    assert "Changes since version 2" in page
    drafts.publish("numbers", drafts.load("numbers").version, user="ada")
    assert COMPARE not in see(client, address("workflow_edit", "numbers"))
    assert chosen(see(client)) == {"from": "2", "to": "3"}


def test_one_version_alone_is_compared_with_nothing(client: Client) -> None:
    drafts.create("plan", user="ada")
    assert "pgf-versions" not in see(client, address("workflow_history", "plan"))
    page = see(client, address("workflow_compare", "plan"))
    assert "Nothing of the flow itself changed." in page


def test_a_flow_in_code_has_versions_and_no_draft(client: Client) -> None:
    make_flow()
    executor.start_flow("numbers")
    Workflow.objects.update(origin=Origin.CODE, timeout=5)
    page = see(client)
    assert choices(page) == ["version 2, published now", "version 1"]
    assert chosen(page) == {"from": "1", "to": "2"}
    assert "pgf-versions" in see(client, address("workflow_history", "numbers"))


def test_readers_may_compare(log_in: LogIn, drawn: None) -> None:
    assert rows(see(log_in("viewer"))) == [ADDED]
    assert log_in("bare").get(COMPARE).status_code == 404
