"""What people do with a flow as a whole: note what its steps are for, copy it, compare versions."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.editor import GUIDE, make_draft, open_editor, steps_of

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
