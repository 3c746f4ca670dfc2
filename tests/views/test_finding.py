"""Finding a step: by what words, which one comes next, and what a page without scripts shows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from pgflow_django import drafts
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

HTMX = {"HX-Request": "true"}
STEPS: list[dict[str, Any]] = [
    {"slug": "load_orders", "uses": "shop.load"},
    {"slug": "load_stock", "uses": "shop.load"},
    {"slug": "report", "depends_on": ["load_orders", "load_stock"]},
]


@pytest.fixture
def client(log_in: LogIn) -> Client:
    drafts.create("orders", {"steps": STEPS}, user="ada")
    return log_in("viewer")


def find(client: Client, text: str, **more: str) -> tuple[str, str]:
    """The step that the page goes to, and what it says."""
    path = address("workflow_find", "orders")
    response = client.get(path, {"find": text, **more}, headers=HTMX)
    assert response.status_code == 200
    step = json.loads(response.get("HX-Trigger", '{"pgflow:found": {"step": ""}}'))
    said = " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())
    return step["pgflow:found"]["step"], said


@pytest.mark.parametrize(
    ("text", "step", "said"),
    [
        ("report", "report", "report: 1 of 1"),
        ("STOCK load", "load_stock", "load_stock: 1 of 1"),
        ("shop.load", "load_orders", "load_orders: 1 of 2"),
        ("nobody", "", "No step matches."),
        ("load nobody", "", "No step matches."),
        ("<b>\0", "", "No step matches."),
        ("  ", "", "No step matches."),
        ("", "", ""),
    ],
)
def test_every_word_counts_and_none_in_particular_comes_first(
    client: Client, text: str, step: str, said: str
) -> None:
    assert find(client, text) == (step, said)


def test_what_was_found_stays_while_it_fits_and_keys_go_on_from_there(client: Client) -> None:
    stock, orders = ("load_stock", "load_stock: 2 of 2"), ("load_orders", "load_orders: 1 of 2")
    assert find(client, "load", found="load_stock") == stock
    assert find(client, "load", found="load_orders", to="ArrowDown") == stock
    assert find(client, "load", found="load_stock", to="ArrowDown") == orders
    assert find(client, "load", found="load_orders", to="ArrowUp") == stock
    assert find(client, "load", found="report", to="ArrowDown") == orders
    assert find(client, "load", found="nobody", to="sideways") == orders


def test_without_scripts_the_page_comes_with_the_step_chosen(client: Client) -> None:
    query = {"find": "load", "found": "load_orders", "to": "ArrowDown", "view": "list"}
    page = client.get(address("workflow_find", "orders"), query).content.decode()
    assert re.search(r'<tr id="pgf-row-load_stock"[^>]* aria-current="true"', page)
    assert 'name="find"\n      value="load"' in page
    assert '<input type="hidden" name="found" value="load_stock">' in page


def test_a_run_is_searched_for_how_its_steps_stand_too(client: Client) -> None:
    make_flow()
    path = address("workflowrun_find", run_flow(input={"is_broken": True}).pk)
    for text, step in (("failed", "fetch"), ("doub", "double"), ("nobody", None)):
        response = client.get(path, {"find": text}, headers=HTMX)
        event = json.loads(response.get("HX-Trigger", "{}"))
        assert event.get("pgflow:found", {}).get("step") == step
    page = client.get(path, {"find": "failed"}).content.decode()
    assert "<h2>fetch</h2>" in page
