"""The editor in both themes, on a phone, enlarged, and for those who want no motion."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import drafts
from tests.e2e.conftest import PHONE, TOUCH, OpenPage
from tests.e2e.editor import GUIDE, make_draft, open_editor

pytestmark = pytest.mark.usefixtures("functions")

WRONG = [*GUIDE, {"slug": "nowhere", "uses": "fetsh", "depends_on": ["fetch"]}]


def find_faults(page: Page) -> list[str]:
    """What axe finds in our part of the page."""
    found = Axe().run(page, context="#pgf-editor").response
    return [
        f"{rule['id']}: {node['html'][:120]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def find_overflow(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    width: int = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    return width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["diagram", "list"])
def test_axe_finds_nothing(open_page: OpenPage, boss: User, theme: Any, view: str) -> None:
    make_draft(boss, WRONG)
    editor = open_editor(open_page, boss, query=f"?view={view}&step=nowhere", color_scheme=theme)
    assert find_faults(editor.page) == []
    editor.page.get_by_text("1 warning").click()
    assert find_faults(editor.page) == []
    editor.page.keyboard.press("Escape")
    editor.page.locator("#pgf-more summary").click()
    editor.page.get_by_role("button", name="Keys").click()
    assert find_faults(editor.page) == []


@pytest.mark.parametrize("view", ["diagram", "list"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    open_page: OpenPage, boss: User, view: str
) -> None:
    make_draft(boss, WRONG)
    editor = open_editor(open_page, boss, query=f"?view={view}", **TOUCH)
    assert find_overflow(editor.page) <= 0
    small = editor.page.locator(".pgf-bar .pgf-button:visible, .pgf-function:visible")
    sizes = [box for one in small.all() if (box := one.bounding_box())]
    assert sizes
    assert min(box["height"] for box in sizes) >= 44
    assert find_faults(editor.page) == []


def test_a_phone_has_run_and_publish_side_by_side(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    drafts.publish("numbers", drafts.load("numbers").version, user=boss)
    editor = open_editor(open_page, boss, query="?view=diagram", **TOUCH)
    run = editor.page.locator("#pgf-run").bounding_box()
    publish = editor.page.locator("#pgf-publish").bounding_box()
    assert run
    assert publish
    assert abs(run["y"] - publish["y"]) < 2
    assert run["width"] > 150 < publish["width"]


def test_a_phone_begins_with_the_list(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    page = open_page("/admin/pgflow_django/workflow/numbers/edit/", boss, viewport=PHONE)
    page.wait_for_url("**/?view=list")
    expect(page.get_by_role("rowheader", name="double")).to_be_visible()


def test_the_page_works_at_twice_its_size(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    half = {"width": 720, "height": 430}  # what 200 % leave of a common screen
    editor = open_editor(open_page, boss, viewport=half, device_scale_factor=2)
    assert find_overflow(editor.page) <= 0
    editor.open_step("double")


def test_steps_glide_unless_motion_is_unwanted(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    duration = "(node) => getComputedStyle(node).transitionDuration"
    moving = open_editor(open_page, boss, reduced_motion="no-preference")
    assert moving.step("fetch").evaluate(duration) == "0.25s"
    still = open_editor(open_page, boss, reduced_motion="reduce")
    assert still.step("fetch").evaluate(duration) == "0s"


def test_no_two_cards_overlap_on_the_screen(open_page: OpenPage, boss: User) -> None:
    steps = [{"slug": f"s{n}", "depends_on": [f"s{n // 2}"] if n > 1 else []} for n in range(1, 40)]
    make_draft(boss, steps)
    editor = open_editor(open_page, boss)
    cards = editor.page.locator(".pgf-node .pgf-card").evaluate_all(
        "all => all.map((card) => card.getBoundingClientRect().toJSON())"
    )
    assert len(cards) == 39
    for index, one in enumerate(cards):
        for other in cards[:index]:
            apart = one["right"] <= other["left"] or other["right"] <= one["left"]
            assert apart or one["bottom"] <= other["top"] or other["bottom"] <= one["top"]
