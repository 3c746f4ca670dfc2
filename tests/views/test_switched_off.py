"""A flow that is switched off says so wherever it is worked with; and what deleting one leaves."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from pgflow_django import drafts
from pgflow_django.models import Workflow
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def find_button(page: str, word: str) -> str:
    """The button or link of this word, which an icon stands before."""
    found = re.search(
        rf'<(?:a|button) class="pgf-button[^>]*>\s*<svg[^>]*>[^/]*/></svg>\s*{word}<', page
    )
    assert found, word
    return found[0]


def test_the_editor_says_so_and_starts_nothing(client: Client, flow: str) -> None:
    path = address("workflow_edit", flow)
    page = client.get(path).content.decode()
    assert "switched off" not in page
    assert "href=" in find_button(page, "Run")
    Workflow.objects.filter(pk=flow).update(is_active=False)
    page = client.get(path).content.decode()
    assert "switched off" in page
    assert " disabled" in find_button(page, "Run")
    values = {"op": "duplicate", "step": "fetch", "version": drafts.load(flow).version}
    part = client.post(address("workflow_op", flow), values, headers={"HX-Request": "true"})
    assert "switched off" in part.content.decode()


def test_the_page_of_a_run_does_not_offer_another_one(client: Client, flow: str) -> None:
    path = address("workflowrun_change", run_flow().pk)
    assert "With another input" in client.get(path).content.decode()
    Workflow.objects.filter(pk=flow).update(is_active=False)
    assert " disabled" in find_button(client.get(path).content.decode(), "Run again")


def test_deleting_says_what_goes_and_what_stays(client: Client, flow: str) -> None:
    make_flow("other")
    page = client.get(address("workflow_delete", flow)).content.decode()
    assert "Its runs stay" in page
    data = {"action": "delete_selected", "_selected_action": [flow, "other"]}
    page = client.post(address("workflow_changelist"), data).content.decode()
    assert "Its runs stay" in page
