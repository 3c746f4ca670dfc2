"""A copy of a flow under another name: of one that is published, drawn or in code."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from pgflow_django import Flow, drafts, flow_builder, step
from pgflow_django.choices import Origin
from pgflow_django.flows import definition_of, sync_code_flow
from pgflow_django.models import Workflow, WorkflowDraft
from tests.views.conftest import LogIn, address, make_flow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

NEW = address("workflow_new")
FULL: dict[str, Any] = {
    "description": "Numbers of the day.",
    "queue": "slow",
    "input_schema": {"type": "object", "properties": {"day": {"type": "string"}}},
    "steps": [
        {"slug": "fetch", "params": {"n": 3}, "description": "Ask the shop."},
        {"slug": "double", "depends_on": ["fetch"], "type": "map", "timeout": 5},
    ],
}


@pytest.fixture
def client(log_in: LogIn) -> Client:
    """Give one who may do everything."""
    return log_in("boss")


def ask(client: Client, slug: str) -> dict[str, str]:
    """The fields of the form that asks for the name of a copy."""
    answer = client.get(NEW, {"from": slug})
    assert answer.status_code == 200
    page = answer.content.decode()
    fields = re.findall(r'<input[^>]*?name="(\w+)"\s+value="([^"]*)"', page.split("<main")[-1])
    return {name: value for name, value in fields if name != "csrfmiddlewaretoken"}


def copy(client: Client, slug: str) -> dict[str, Any]:
    """The document of the copy that the form makes as it comes."""
    fields = ask(client, slug)
    answer = client.post(NEW, fields)
    assert answer["Location"] == address("workflow_edit", fields["name"])
    document = drafts.load(fields["name"]).document
    assert document.pop("workflow_slug") == fields["name"]
    return document


def test_a_published_flow_is_copied_whole_and_starts_nothing(client: Client) -> None:
    make_flow(**FULL)
    before = flow_builder.export_flow("numbers")
    assert copy(client, "numbers") == {"max_attempts": 1, "base_delay": 0, **FULL}
    assert flow_builder.export_flow("numbers") == before
    assert not Workflow.objects.filter(pk="numbers_copy").exists()
    assert WorkflowDraft.objects.get(pk="numbers_copy").created_by == "boss"


def test_a_draft_is_copied_as_it_is_drawn(client: Client) -> None:
    drafts.create("plan", FULL, user="ada")
    assert copy(client, "plan") == FULL
    version = drafts.load(make_flow()).version
    assert "not been published" not in client.get(NEW, {"from": "numbers"}).content.decode()
    drafts.edit("numbers", version, "add_step", {"slug": "report_2"}, user="ada")
    assert (
        "not been published yet is copied" in client.get(NEW, {"from": "numbers"}).content.decode()
    )
    assert copy(client, "numbers")["steps"][-1] == {"slug": "report_2"}


def test_a_flow_in_code_becomes_one_that_can_be_drawn(client: Client) -> None:
    class Nightly(Flow):
        @step(description="Ask the shop.")
        def fetch(input: Any) -> Any:  # noqa: N805
            """Get the numbers."""

    sync_code_flow(definition_of(Nightly))
    banner = client.get(address("workflow_edit", "nightly")).content.decode()
    assert banner.split("pgf-quiet-banner")[1].count(f'href="{NEW}?from=nightly"') == 1
    assert copy(client, "nightly") == {
        "steps": [{"slug": "fetch", "uses": "nightly.fetch", "description": "Ask the shop."}]
    }
    assert not drafts.load("nightly_copy").is_read_only
    drafts.publish("nightly_copy", 1, user="ada")
    assert Workflow.objects.get(pk="nightly_copy").origin == Origin.EDITOR


def test_the_name_that_is_offered_is_free(client: Client) -> None:
    make_flow()
    names = [copy(client, "numbers") and "numbers_copy"]
    drafts.publish("numbers_copy", 1, user="ada")
    names += [ask(client, "numbers")["name"]]
    copy(client, "numbers")
    names += [ask(client, "numbers")["name"], ask(client, "numbers_copy")["name"]]
    assert names == ["numbers_copy", "numbers_copy_2", "numbers_copy_3", "numbers_copy_copy"]
    long = make_flow("x" * 128)
    copy(client, long)
    assert len(ask(client, long)["name"]) <= 128
    copy(client, long)


@pytest.mark.parametrize("name", ["", "numbers", "1st", "a\0b", "x" * 129])
def test_a_bad_name_is_refused_and_the_form_still_knows_its_source(
    client: Client, name: str
) -> None:
    make_flow()
    answer = client.post(NEW, {"from": "numbers", "name": name})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'role="alert"' in page
    assert 'name="from" value="numbers"' in page
    assert not WorkflowDraft.objects.exists()


@pytest.mark.parametrize("slug", ["nothing", "run", "a\0b", "1st", "x" * 300, "../numbers"])
def test_what_is_not_there_cannot_be_copied(client: Client, slug: str) -> None:
    assert client.get(NEW, {"from": slug}).status_code == 404
    assert client.post(NEW, {"from": slug, "name": "other"}).status_code == 404
    assert not WorkflowDraft.objects.exists()


def test_who_may_add_and_look_may_copy(log_in: LogIn) -> None:
    make_flow()
    query = {"from": "numbers"}
    assert log_in("viewer").get(NEW, query).status_code == 403
    assert log_in("blind", "add_workflow").get(NEW, query).status_code == 404
    adder = log_in("adder", "view_workflow", "add_workflow")
    assert copy(adder, "numbers")["steps"]
    link = html.escape(f"{NEW}?from=numbers")
    pages = [address("workflow_changelist"), address("workflow_edit", "numbers")]
    for path in pages:
        assert f'href="{link}"' in adder.get(path).content.decode()
        assert "?from=" not in log_in("viewer").get(path).content.decode()


def test_drafts_that_are_not_published_lead_to_their_copies(client: Client) -> None:
    drafts.create("plan", user="ada")
    page = client.get(address("workflow_changelist")).content.decode()
    assert f'href="{NEW}?from=plan"' in page
