"""A draft of a program is reviewed, returned and published, at two widths and in both themes."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import drafts
from pgflow_django.agents.tokens import create_token
from pgflow_django.models import AgentCall, AgentToken, Workflow
from tests.e2e.conftest import TOUCH, OpenPage
from tests.e2e.editor import GUIDE
from tests.e2e.test_crawl import FIND_FAULTS, find_with_axe

BASE = "/admin/pgflow_django"
REVIEW = f"{BASE}/workflow/numbers/review/"
#: With a word that is read from right to left, and one that can't be broken.
NOTE = "Doubles the numbers.\n\u05d1\u05d3\u05d5\u05e7 " + "w" * 128
MADE = {
    "by": "boss",
    "via": "mcp",
    "token": "etl-bot-" + "w" * 90,
    "client": "some-client/1.0",
    "model": "some-model",
    "prompt_sha256": "0123456789abcdef" * 4,
}
SIZES = pytest.mark.parametrize("options", [{}, TOUCH], ids=["desk", "phone"])
THEMES = pytest.mark.parametrize("theme", ["light", "dark"])


def hand_in() -> None:
    steps = [*GUIDE, {"slug": "score", "uses": "lost.function", "depends_on": ["fetch"]}]
    document = {"description": "What it is for.\n" + NOTE, "steps": steps}
    drafts.create("numbers", document, user="boss", provenance=MADE)
    drafts.hand_in("numbers", 1, user="boss", note=NOTE)


def look(page: Page, name: str) -> None:
    page.wait_for_load_state()
    # A page that has only just come to a phone is laid out for a desk at first.
    page.wait_for_function("innerWidth <= screen.width")
    assert page.evaluate(FIND_FAULTS) == []
    assert find_with_axe(page, None) == []
    if folder := os.environ.get("PGFLOW_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@SIZES
@THEMES
@pytest.mark.usefixtures("functions")
def test_reviewed_returned_and_published(
    open_page: OpenPage, boss: User, options: dict[str, Any], theme: str
) -> None:
    hand_in()
    page = open_page(REVIEW, boss, color_scheme=theme, **options)
    expect(page.get_by_role("heading", name="Review of numbers")).to_be_visible()
    look(page, f"review-{theme}-{len(options)}")
    page.get_by_label("What to do better").fill("Describe it.")
    page.get_by_label("What to do better").press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("has returned this instead of publishing it.")).to_be_visible()
    look(page, f"returned-{theme}-{len(options)}")
    drafts.hand_in("numbers", 1, user="boss")
    page = open_page(REVIEW, boss, color_scheme=theme, java_script_enabled=False, **options)
    page.get_by_role("button", name="Publish").click()
    expect(page).to_have_url(page.url.partition(BASE)[0] + f"{BASE}/workflow/numbers/edit/")
    assert Workflow.objects.get().origin == "agent"


@SIZES
@THEMES
def test_pages_about_programs(
    open_page: OpenPage, boss: User, options: dict[str, Any], theme: str
) -> None:
    create_token(boss, "etl-bot-" + "w" * 80, "author", flows_prefix="etl_")
    AgentCall.objects.create(
        user="boss", token="etl-bot", via="mcp", client="c" * 90, operation="save_flow",
        workflow_slug="w" * 128, code="draft_conflict", milliseconds=12,
    )  # fmt: skip
    names = ("agenttoken/", "agenttoken/add/", "agentcall/", "workflow/connect/")
    for name in names:
        page = open_page(f"{BASE}/{name}", boss, color_scheme=theme, **options)
        look(page, f"{name.strip('/').replace('/', '-')}-{theme}-{len(options)}")
    page = open_page(f"{BASE}/agenttoken/add/", boss, color_scheme=theme, **options)
    page.get_by_label("Name", exact=True).fill("my-agent")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_label("Token", exact=True)).to_have_value(re.compile("^pgf_"))
    look(page, f"made-{theme}-{len(options)}")
    page.get_by_role("link", name="All tokens").click()
    page.get_by_role("link", name="Revoke my-agent").click()
    expect(page.get_by_role("button", name="Revoke this token")).to_be_visible()
    look(page, f"revoke-{theme}-{len(options)}")
    page.get_by_role("button", name="Revoke this token").click()
    expect(page.get_by_text("good for nothing any more")).to_be_visible()
    assert AgentToken.objects.get(name="my-agent").revoked_at is not None
