"""Handing a draft in and returning it, and who sees that it waits."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from pgflow_django import drafts
from tests.views.conftest import SEES, LogIn, address, make_flow

pytestmark = pytest.mark.django_db

WRITES = (*SEES, "add_workflow", "change_workflow")
PUBLISHES = (*SEES, "change_workflow", "publish_workflow")


@pytest.fixture(autouse=True)
def draft(steps: None) -> str:
    drafts.create("plan", {"steps": [{"slug": "fetch"}]}, user="writer")
    return "plan"


@pytest.fixture
def writer(log_in: LogIn) -> Client:
    return log_in("writer", *WRITES)


@pytest.fixture
def boss(log_in: LogIn) -> Client:
    return log_in("publisher", *PUBLISHES)


def see(client: Client, slug: str = "plan", query: str = "") -> str:
    return client.get(address("workflow_edit", slug) + query).content.decode()


def send(client: Client, act: str, slug: str = "plan", **data: Any) -> Any:
    data = {"version": drafts.load(slug).version, "note": "", **data}
    return client.post(address(f"workflow_{act}", slug), data)


def test_who_may_not_publish_hands_in_and_who_may_returns(writer: Client, boss: Client) -> None:
    assert 'hand-in/"' in see(writer)
    assert 'id="pgf-publish"' not in see(writer)
    assert 'hand-in/"' not in see(boss)
    answer = send(writer, "hand_in", note="<b>first</b>\r\ntry")
    assert answer["Location"] == address("workflow_edit", "plan")
    told = drafts.load("plan").handed_in
    assert told is not None
    assert (told.by, told.note) == ("writer", "<b>first</b>\ntry")
    page = see(boss)
    assert "writer has handed this in to be published." in page
    assert "&lt;b&gt;first&lt;/b&gt;" in page
    assert 'return/"' in page
    waits = see(writer)
    assert "writer has handed this in" in waits
    assert 'return/"' not in waits
    assert 'hand-in/"' not in waits
    send(boss, "return", note="Describe it")
    page = see(writer)
    assert "publisher has returned this instead of publishing it." in page
    assert "Describe it" in page
    assert 'hand-in/"' in page


def test_the_list_tells_what_waits_for_whom(writer: Client, boss: Client, log_in: LogIn) -> None:
    make_flow("numbers")
    drafts.edit("numbers", 0, "set_flow", {"description": "x"}, user="writer")
    url = address("workflow_changelist")
    assert "Waiting for approval" not in boss.get(url).content.decode()
    for slug in ("plan", "numbers"):
        send(writer, "hand_in", slug)
    listed = boss.get(url).content.decode()
    assert "Waiting for approval (2)" in " ".join(listed.split())
    waiting = listed[listed.index('id="pgf-waiting"') :].partition("</ul>")[0]
    assert re.findall(r"workflow/(\w+)/review/", waiting) == ["plan", "numbers"]
    assert "Waiting for approval" not in writer.get(url).content.decode()
    assert "Waiting for approval" not in log_in("viewer").get(url).content.decode()
    assert "What it changes" in see(boss, "numbers")


def test_what_is_refused_says_why_and_keeps_the_note(writer: Client, boss: Client) -> None:
    late = send(writer, "hand_in", version=7, note="my words")
    assert late.status_code == 422
    assert "my words" in late.content.decode()
    none = send(boss, "return", note="not yet")
    assert none.status_code == 422
    assert "waits for nobody" in none.content.decode()
    send(writer, "hand_in")
    long = send(boss, "return", note="z" * 2001)
    assert long.status_code == 422
    assert "2,001 characters" in long.content.decode()
    assert "z" * 2001 in long.content.decode()
    assert drafts.load("plan").handed_in is not None
    assert send(writer, "return", note="x").status_code == 403
    assert send(boss, "hand_in").status_code == 302


def test_an_edit_takes_it_back_on_the_page_too(writer: Client) -> None:
    send(writer, "hand_in")
    data = {"op": "update_step", "step": "fetch", "max_attempts": "2", "view": "diagram"}
    data |= {"version": str(drafts.load("plan").version)}
    answer = writer.post(
        address("workflow_op", "plan"), data, headers={"HX-Request": "true"}
    ).content.decode()
    part = answer[answer.index('id="pgf-handed-in"') :]
    assert part.startswith('id="pgf-handed-in" hx-swap-oob="true">')
    assert "has handed this in" not in answer
    assert drafts.load("plan").handed_in is None
