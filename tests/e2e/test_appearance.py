"""The editor on a phone, enlarged, and for those who want no motion."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from pgflow_django import drafts
from tests.e2e.conftest import PHONE, TOUCH, OpenPage
from tests.e2e.editor import GUIDE, make_draft, open_editor

pytestmark = pytest.mark.usefixtures("functions")


@pytest.mark.parametrize("view", ["diagram", "list"])
def test_a_phone_has_buttons_for_fingers(open_page: OpenPage, boss: User, view: str) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss, query=f"?view={view}", **TOUCH)
    small = editor.page.locator(".pgf-bar .pgf-button:visible, .pgf-function:visible")
    sizes = [box for one in small.all() if (box := one.bounding_box())]
    assert sizes
    assert min(box["height"] for box in sizes) >= 44


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
    page.wait_for_url("**/?view=list*")
    expect(page.get_by_role("rowheader", name="double")).to_be_visible()


def test_the_page_works_at_twice_its_size(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    half = {"width": 720, "height": 430}  # what 200 % leave of a common screen
    editor = open_editor(open_page, boss, viewport=half, device_scale_factor=2)
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


def test_drawings_and_code_read_from_left_to_right_in_every_language(
    open_page: OpenPage, boss: User, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "ar"
    make_draft(boss, [{**GUIDE[0], "params": {"a": 1}}, *GUIDE[1:]])
    page = open_editor(open_page, boss, query=f"?step={GUIDE[0]['slug']}").page
    assert page.evaluate("() => document.documentElement.dir") == "rtl"
    strays = page.evaluate(
        """() => [...document.querySelectorAll(".pgf-node")].flatMap(node => {
            const card = node.querySelector("rect").getBoundingClientRect();
            return [...node.querySelectorAll(".pgf-name, .pgf-note")]
                .map(text => text.getBoundingClientRect())
                .filter(text => text.left < card.left || text.right > card.right)
        }).length"""
    )
    assert strays == 0
    field = page.locator("textarea.pgf-code").first
    assert field.evaluate("field => getComputedStyle(field).direction") == "ltr"
