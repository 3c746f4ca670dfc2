"""A flow is described in words, drawn, refined and applied, at two widths and in both themes."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from playwright.sync_api import Page, expect

from pgflow_django import drafts
from tests.agents.scripted import REFUSE, serve, strict_answer, strict_step
from tests.e2e.conftest import TOUCH, OpenPage
from tests.e2e.test_review import BASE, SIZES, THEMES, look

EDITOR = f"{BASE}/workflow/numbers/edit/"
FETCH = strict_step("fetch", "fetch")
DOUBLE = strict_step("double", "double", "fetch", type="map")
REPORT = strict_step("report", "report", "double")
FIRST = strict_answer(FETCH, DOUBLE, REPORT, slug="numbers", unmet=["send a fax " + "w" * 128])
SECOND = strict_answer(FETCH, DOUBLE, slug="numbers", why="Nothing is reported any more.")


def describe(page: Page, label: str, words: str) -> None:
    page.get_by_label(label).fill(words)
    page.get_by_label(label).press("Tab")
    page.keyboard.press("Enter")


@SIZES
@THEMES
@pytest.mark.usefixtures("functions")
def test_described_refined_and_applied(
    open_page: OpenPage, boss: User, options: dict[str, Any], theme: str
) -> None:
    steps = [{"slug": "fetch"}, {"slug": "enrich", "uses": "report", "depends_on": ["fetch"]}]
    drafts.create("numbers", {"description": "Numbers.", "steps": steps}, user="boss")
    with serve(FIRST, SECOND) as script:
        site = {"AI_MODEL": "gpt-5", "AI_BASE_URL": script.url}
        with override_settings(PGFLOW=site):
            page = open_page(EDITOR, boss, color_scheme=theme, **options)
            page.get_by_role("link", name="Describe it").click()
            expect(page.get_by_role("heading", name="Describe numbers")).to_be_visible()
            look(page, f"describe-{theme}-{len(options)}")
            describe(page, "What should change?", "Double each number, and report them.")
            drawing = page.locator("#pgf-stage")
            expect(drawing.locator('[data-slug="double"].pgf-completed')).to_be_visible()
            expect(drawing.locator('[data-slug="enrich"].pgf-failed')).to_be_visible()
            look(page, f"proposal-{theme}-{len(options)}")
            describe(page, "What should be different?", "Without the report.")
            expect(page.get_by_text("Nothing is reported any more.")).to_be_visible()
            expect(drawing.locator('[data-slug="report"]')).to_have_count(0)
            page.get_by_role("button", name="Apply").click()
            expect(page.locator('#pgf-stage [data-slug="double"]')).to_be_visible()
            page.get_by_role("button", name="Undo").click()
            expect(page.locator('#pgf-stage [data-slug="double"]')).to_have_count(0)
            expect(page.locator('#pgf-stage [data-slug="enrich"]')).to_be_visible()


@pytest.mark.parametrize("options", [{}, TOUCH], ids=["desk", "phone"])
@pytest.mark.usefixtures("functions")
def test_a_new_flow_and_a_model_that_refuses(
    open_page: OpenPage, boss: User, options: dict[str, Any]
) -> None:
    with serve(REFUSE, FIRST) as script:
        site = {"AI_MODEL": "gpt-5", "AI_BASE_URL": script.url}
        with override_settings(PGFLOW=site):
            page = open_page(f"{BASE}/workflow/", boss, **options)
            page.get_by_role("link", name="Describe one").first.click()
            describe(page, "What should it do?", "Double each number, and report them.")
            expect(page.get_by_role("alert")).to_contain_text("The model refuses")
            look(page, f"refused-{len(options)}")
            page.get_by_role("button", name="Propose").click()
            page.get_by_label("Name").fill("mine")
            look(page, f"new-proposal-{len(options)}")
            page.get_by_label("Name").press("Enter")
            expect(page.locator('#pgf-stage [data-slug="report"]')).to_be_visible()
    assert drafts.load("mine").document["workflow_slug"] == "mine"


@pytest.mark.parametrize("options", [{}, TOUCH], ids=["desk", "phone"])
def test_without_a_model(open_page: OpenPage, boss: User, options: dict[str, Any]) -> None:
    page = open_page(f"{BASE}/workflow/describe/", boss, **options)
    expect(page.get_by_role("heading", name="No language model can be asked yet")).to_be_visible()
    look(page, f"no-model-{len(options)}")
