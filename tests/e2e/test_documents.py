"""What people do with a flow as a whole: note what its steps are for, copy it, compare versions."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from pgflow_django import drafts, flow_builder
from tests.e2e.conftest import OpenPage
from tests.e2e.editor import GUIDE, Editor, in_order, make_draft, open_editor, steps_of

pytestmark = pytest.mark.usefixtures("functions")


def test_what_is_noted_of_a_step_is_kept_and_stands_on_its_card(
    open_page: OpenPage, boss: User
) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss)
    page = editor.page
    page.locator("#pgf-dag").press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    field = page.locator("#pgf-step-form").get_by_label("Description")
    field.fill("Ask the shop.\nTwice, if need be.")
    field.press("Tab")
    title = editor.step("fetch").locator("title")
    expect(title).to_have_text("fetch\ntests.e2e.conftest\nAsk the shop.\nTwice, if need be.")
    assert {"slug": "fetch", "description": "Ask the shop.\nTwice, if need be."} in steps_of()
    page.reload()
    editor.open_step("fetch")
    expect(field).to_have_value("Ask the shop.\nTwice, if need be.")


def test_a_flow_is_copied_from_the_list_and_from_its_page(open_page: OpenPage, boss: User) -> None:
    flow_builder.create_flow_from_spec({"workflow_slug": "numbers", "steps": GUIDE})
    page = open_page("/admin/pgflow_django/workflow/", boss)
    page.get_by_role("link", name="Duplicate numbers").press("Enter")
    name = page.get_by_label("Name")
    expect(name).to_be_focused()
    expect(name).to_have_value("numbers_copy")
    name.press("Enter")
    editor = Editor(page)
    editor.expect_steps("fetch", "double", "report")
    editor.expect_edge("double", "report")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Duplicate the flow").click()
    name.fill("numbers")
    page.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_role("alert")).to_contain_text("already")
    name.fill("others")
    name.press("Enter")
    Editor(page).expect_steps("fetch", "double", "report")
    assert steps_of("others") == steps_of("numbers_copy") == in_order(GUIDE)


def test_versions_are_compared_with_the_keyboard(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    for label in ("First.", "Second."):
        drafts.publish("numbers", drafts.load("numbers").version, user=boss)
        version = drafts.load("numbers").version
        drafts.edit("numbers", version, "set_flow", {"description": label}, user=boss)
    page = open_editor(open_page, boss).page
    page.locator("#pgf-more summary").press("Enter")
    page.get_by_role("link", name="Changes since version 2").press("Enter")
    expect(page.get_by_role("heading", name="numbers from version 2 to the draft")).to_be_visible()
    expect(page.get_by_role("row", name="description")).to_contain_text("First.")
    expect(page.locator("#pgf-step-fetch")).to_be_visible()
    page.get_by_role("link", name="Back to the history").press("Enter")
    page.get_by_label("What changed from").select_option("version 1")
    page.get_by_role("button", name="Compare").press("Enter")
    expect(page.get_by_role("heading", name="numbers from version 1 to the draft")).to_be_visible()
    expect(page.get_by_role("row", name="description")).to_contain_text("Second.")
    expect(page.get_by_label("What changed from")).to_have_value("1")
