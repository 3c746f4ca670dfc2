"""The panel of a step shows what it returned last, to those who may see that."""

from __future__ import annotations

import json
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from pgflow_django import drafts, executor
from pgflow_django.registry import registry
from tests.views.editor.conftest import URL

TITLE = "Its output in the last run"


@pytest.fixture
def returned(page: Client) -> dict[str, Any]:
    """Run the flow; ``fetch`` returns what is in this dict."""
    value: dict[str, Any] = {"fetch": ["<b>1</b>", {"password": "hush"}]}
    registry.unregister("fetch")
    registry.register(lambda input: value["fetch"], "fetch")
    registry.unregister("report")
    registry.register(lambda input: "done", "report")
    return value


def run_once() -> None:
    run = executor.start_flow("numbers", {})
    executor.drain(timeout=30)
    assert executor.get_run_status(run.id).status == "completed"


def look(client: Client, step: str) -> str:
    return unescape(client.get(f"{URL}panel/?step={step}").text)


def test_the_last_output_is_shown_as_text(page: Client, returned: dict[str, Any]) -> None:
    assert TITLE not in look(page, "fetch")
    run_once()
    raw = page.get(f"{URL}panel/?step=fetch").text
    assert "<b>1</b>" not in raw
    shown = look(page, "fetch")
    assert json.dumps(["<b>1</b>", {"password": "[hidden]"}], indent=2) in shown
    assert "hush" not in shown
    assert '"item": "<b>1</b>"' in look(page, "double")
    assert "Open that run" in shown


def test_long_outputs_are_cut(page: Client, returned: dict[str, Any]) -> None:
    returned["fetch"] = ["x" * 500, "y" * 500]
    run_once()
    shown = look(page, "fetch")
    assert "x" * 500 in shown
    assert "y" * 400 not in shown
    returned["fetch"] = [hex(7**n) for n in range(600)]
    run_once()
    assert "Too large to show here" in look(page, "fetch")


def test_who_may_not_see_payloads_does_not(client: Client, page: Client, returned: Any) -> None:
    run_once()
    for rights, is_shown in (
        (["view_workflow", "view_workflowrun"], False),
        (["view_payload"], True),
    ):
        user, _made = User.objects.get_or_create(username="reader", is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename__in=rights))
        client.force_login(user)
        assert (TITLE in look(client, "fetch")) is is_shown
    assert drafts.load("numbers").published_version == 1
