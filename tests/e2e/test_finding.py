"""Steps are found by what is known of them: in the drawing, in the list, on a run's page."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from pgflow_django import drafts, executor
from tests.e2e.conftest import OpenPage
from tests.e2e.editor import GUIDE, make_draft, open_editor, steps_of

pytestmark = pytest.mark.usefixtures("functions")

#: A flow of which a window shows nothing that can be read.
MANY = [{"slug": f"s{n}", **({"depends_on": [f"s{n - 1}"]} if n else {})} for n in range(60)]
MANY[40]["uses"] = MANY[50]["uses"] = "score"


def is_in_sight(page: Page, step: Locator) -> bool:
    """Whether a step is on the stage, large enough to be read."""
    stage, card = page.locator("#pgf-dag").bounding_box(), step.bounding_box()
    assert stage
    assert card
    return (
        card["width"] > 80
        and stage["x"] <= card["x"] <= stage["x"] + stage["width"] - card["width"]
        and stage["y"] <= card["y"] <= stage["y"] + stage["height"] - card["height"]
    )


def test_a_step_is_found_with_the_keyboard(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, MANY)
    editor = open_editor(open_page, boss)
    page, keyboard = editor.page, editor.page.keyboard
    found = page.locator("#pgf-found")
    keyboard.press("0")
    keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Find a step")).to_be_focused()
    keyboard.type("SCORE")
    expect(found).to_have_text("s40: 1 of 2")
    expect(editor.step("s40")).to_have_class("pgf-node pgf-single pgf-selected")
    expect(page.get_by_role("heading", name="s40", exact=True)).to_be_visible()
    page.wait_for_function("() => !document.querySelector('.pgf-far')")
    assert is_in_sight(page, editor.step("s40"))
    for key, told in (("Enter", "s50: 2"), ("ArrowDown", "s40: 1"), ("ArrowUp", "s50: 2")):
        keyboard.press(key)
        expect(found).to_have_text(f"{told} of 2")
    keyboard.press("Escape")
    expect(editor.step("s50")).to_be_focused()
    assert is_in_sight(page, editor.step("s50"))
    keyboard.press("ArrowUp")
    expect(editor.step("s49")).to_be_focused()
    assert len(steps_of()) == 60


def test_what_no_step_has_is_told_and_nothing_moves(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss)
    editor.open_step("double")
    field = editor.page.get_by_role("searchbox", name="Find a step")
    field.fill("nobody")
    expect(editor.page.locator("#pgf-found")).to_have_text("No step matches.")
    field.press("Enter")
    expect(editor.step("double")).to_have_class("pgf-node pgf-map pgf-selected")
    field.fill("")
    expect(editor.page.locator("#pgf-found")).to_be_empty()
    editor.expect_steps("fetch", "double", "report")


def test_functions_are_searched_with_a_key_of_their_own(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss)
    keyboard = editor.page.keyboard
    editor.step("report").click()
    keyboard.press("f")
    expect(editor.page.get_by_role("searchbox", name="Search functions")).to_be_focused()
    keyboard.type("sco")
    keyboard.press("Enter")
    editor.expect_edge("report", "score")


def test_the_list_is_searched_too(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, MANY)
    editor = open_editor(open_page, boss, query="?view=list")
    page, keyboard = editor.page, editor.page.keyboard
    keyboard.press("/")
    keyboard.type("score")
    expect(page.locator("#pgf-row-s40")).to_have_attribute("aria-current", "true")
    expect(page.locator("#pgf-row-s40")).to_be_in_viewport()
    keyboard.press("Enter")
    expect(page.locator("#pgf-row-s50")).to_be_in_viewport()
    keyboard.press("Escape")
    expect(page.get_by_role("link", name="s50", exact=True)).to_be_focused()


def test_the_steps_of_a_run_are_found(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    drafts.publish("numbers", drafts.load("numbers").version, user=boss)
    run = executor.start_flow("numbers", {})
    page = open_page(f"/admin/pgflow_django/workflowrun/{run.id}/change/", boss)
    page.locator("#pgf-run[data-ready]").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("doub")
    expect(page.locator("#pgf-found")).to_have_text("double: 1 of 1")
    expect(page.get_by_role("heading", name="double", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#pgf-step-double")).to_be_focused()
