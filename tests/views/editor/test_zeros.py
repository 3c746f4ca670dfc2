"""A value of 0 is a value: the editor shows it, and shows readers all options that there are."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from pgflow_django import drafts
from tests.views.editor.conftest import URL, make_user

pytestmark = pytest.mark.django_db

FLOW = {
    "max_attempts": 0,
    "base_delay": 0,
    "queue": "slow_ones",
    "input_schema": {"title": "What it takes"},
}
#: Settings of a step that Python takes for nothing.
STEP = {"slug": "fetch", "max_attempts": 0, "base_delay": 0, "params": 0}


@pytest.fixture
def reader() -> Client:
    """Give a client whose user may only look."""
    client = Client()
    user = make_user("viewer")
    assert user is not None
    client.force_login(user)
    return client


def see(client: Client, slug: str, **query: str) -> str:
    return client.get(URL.replace("numbers", slug) + "panel/", query).content.decode()


def find_control(page: str, name: str) -> dict[str, str]:
    found = re.search(rf'<input[^>]* name="{name}"[^>]*>', page)
    assert found, name
    return dict(re.findall(r'([a-z-]+)="([^"]*)"', found[0]))


def find_fact(page: str, label: str) -> str:
    found = re.search(rf"<dt[^>]*>{label}[^<]*</dt>\s*<dd>([^<]*)</dd>", page)
    assert found, label
    return found[1]


def test_what_a_step_leaves_to_its_flow_is_shown_as_the_flow_has_it(
    client: Client, boss: User, reader: Client
) -> None:
    drafts.create("zeros", {**FLOW, "steps": [{"slug": "fetch"}]}, user=boss)
    client.force_login(boss)
    page = see(client, "zeros", step="fetch")
    for name in ("max_attempts", "base_delay"):
        assert find_control(page, name)["placeholder"] == "0"
    assert find_control(page, "queue")["placeholder"] == "slow_ones"
    drafts.publish("zeros", drafts.load("zeros").version, user=boss)
    page = see(reader, "zeros", step="fetch")
    shown = {name: find_fact(page, name) for name in ("Attempts", "Retry delay", "Queue")}
    assert shown == {"Attempts": "0", "Retry delay": "0", "Queue": "slow_ones"}


def test_a_steps_own_zeros_are_shown_and_not_what_its_flow_has(
    client: Client, boss: User, reader: Client
) -> None:
    flow = {"max_attempts": 7, "base_delay": 7, "steps": [STEP]}
    drafts.create("zeros", flow, user=boss)
    client.force_login(boss)
    page = see(client, "zeros", step="fetch")
    for name in ("max_attempts", "base_delay"):
        assert find_control(page, name)["value"] == "0"
    assert re.search(r'<textarea[^>]* name="params"[^>]*>\s*0</textarea>', page)
    drafts.publish("zeros", drafts.load("zeros").version, user=boss)
    page = see(reader, "zeros", step="fetch")
    assert find_fact(page, "Attempts") == find_fact(page, "Retry delay") == "0"
    assert re.search(r"Constants for the function</h3><pre[^>]*>0</pre>", page)


def test_readers_see_every_option_of_a_flow(boss: User, reader: Client) -> None:
    draft = drafts.create("zeros", {**FLOW, "steps": [STEP]}, user=boss)
    drafts.publish("zeros", draft.version, user=boss)
    page = see(reader, "zeros")
    shown = {
        name: find_fact(page, name) for name in ("Attempts", "Timeout", "Retry delay", "Queue")
    }
    assert shown == {"Attempts": "0", "Timeout": "30", "Retry delay": "0", "Queue": "slow_ones"}
    assert "What it takes" in page
    assert "<input" not in page
