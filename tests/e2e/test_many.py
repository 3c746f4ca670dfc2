"""Several steps at once: chosen with keys, mouse and boxes; changed, copied and pasted."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from pgflow_django import drafts
from tests.e2e.conftest import OpenPage
from tests.e2e.editor import GUIDE, Editor, in_order, make_draft, open_editor, steps_of

pytestmark = pytest.mark.usefixtures("functions")

CLIPBOARD: dict[str, Any] = {"permissions": ["clipboard-read", "clipboard-write"]}


@pytest.fixture
def editor(open_page: OpenPage, boss: User) -> Editor:
    make_draft(boss, GUIDE)
    return open_editor(open_page, boss, **CLIPBOARD)


def expect_chosen(editor: Editor, *slugs: str) -> None:
    """Wait until these steps are selected, in the drawing and in the panel."""
    expect(editor.page.locator(".pgf-node.pgf-selected")).to_have_count(len(slugs))
    for slug in slugs:
        expect(editor.step(slug)).to_have_class(re.compile("pgf-selected"))
    if len(slugs) > 1:
        panel = editor.page.get_by_role("complementary", name="Settings")
        expect(panel.get_by_role("heading", name=f"{len(slugs)} steps")).to_be_visible()
        expect(editor.page.locator(".pgf-node[aria-pressed=true]")).to_have_count(len(slugs))
    expect(editor.page.locator(".pgf-node[aria-current]")).to_have_count(min(len(slugs), 1))
    expect(editor.page.locator(".pgf-node[tabindex='0']")).to_have_count(1)


def read_clipboard(editor: Editor) -> Any:
    """What has been copied, as soon as it is there."""
    script = """async () => {
        let text = "";
        while (!text) text = await navigator.clipboard.readText();
        return text;
    }"""
    return json.loads(editor.page.evaluate(script))


def test_steps_are_chosen_with_the_keyboard(editor: Editor) -> None:
    keyboard = editor.page.keyboard
    editor.step("fetch").click()
    keyboard.press("Shift+ArrowRight")
    expect_chosen(editor, "fetch", "double")
    expect(editor.page.locator("#pgf-live")).to_contain_text("2 steps selected")
    expect(editor.step("double")).to_be_focused()
    keyboard.press("Shift+ArrowRight")
    expect_chosen(editor, "fetch", "double", "report")
    keyboard.press("Shift+ArrowLeft")
    expect_chosen(editor, "fetch", "double")
    keyboard.press("Escape")
    expect_chosen(editor)
    keyboard.press("Control+a")
    expect_chosen(editor, "fetch", "double", "report")
    keyboard.press("ArrowLeft")
    expect_chosen(editor, "double")
    keyboard.press("Control+a")
    keyboard.press("Delete")
    expect(editor.page.locator(".pgf-node")).to_have_count(0)
    keyboard.press("Control+z")
    editor.expect_steps("fetch", "double", "report")
    assert steps_of() == in_order(GUIDE)


def test_steps_are_chosen_with_the_mouse(editor: Editor) -> None:
    page = editor.page
    editor.step("fetch").click()
    editor.step("report").click(modifiers=["Shift"])
    expect_chosen(editor, "fetch", "report")
    editor.step("fetch").click(modifiers=["Shift"])
    expect_chosen(editor, "report")
    first, second = (editor.step(slug).bounding_box() for slug in ("fetch", "double"))
    assert first
    assert second
    page.keyboard.down("Shift")
    page.mouse.move(first["x"] - 12, first["y"] - 12)
    page.mouse.down()
    page.mouse.move(second["x"] + second["width"] - 4, second["y"] + second["height"] + 9, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect_chosen(editor, "fetch", "double")
    expect(page.locator("#pgf-rubber")).not_to_have_attribute("d", re.compile("M"))
    assert steps_of() == in_order(GUIDE)


def test_several_steps_get_a_queue_at_once(editor: Editor) -> None:
    page = editor.page
    editor.step("fetch").click()
    editor.step("report").click(modifiers=["Shift"])
    queue = page.get_by_label("Queue", exact=True)
    queue.fill("not a queue")
    queue.press("Enter")
    expect(page.locator("#pgf-e-queue")).to_contain_text("must be 1 to 40 characters")
    queue.fill("slow")
    queue.press("Enter")
    expect(page.locator("#pgf-live")).to_contain_text("Changed queue of 2 steps")
    expect(page.get_by_role("heading", name="2 steps")).to_be_visible()
    assert {row["slug"]: row.get("queue") for row in steps_of()} == {
        "fetch": "slow",
        "double": None,
        "report": "slow",
    }
    attempts = page.get_by_label("Attempts", exact=True)
    attempts.fill("7")
    page.get_by_role("button", name="Set Attempts of all").click()
    expect(page.locator("#pgf-live")).to_contain_text("Changed max_attempts of 2 steps")
    attempts.fill("")
    attempts.press("Enter")
    expect(page.locator(".pgf-node[aria-pressed=true]")).to_have_count(2)
    expect(attempts).to_have_attribute("placeholder", "3")
    for _ in range(3):
        page.get_by_role("button", name="Undo").click()
    expect(page.locator("#pgf-undo")).to_be_disabled()
    assert steps_of() == in_order(GUIDE)


def test_steps_are_copied_and_pasted_within_a_flow(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, [*GUIDE, {"slug": "score"}])
    editor = open_editor(open_page, boss, **CLIPBOARD)
    keyboard = editor.page.keyboard
    editor.step("double").click()
    editor.step("report").click(modifiers=["Shift"])
    expect_chosen(editor, "double", "report")
    keyboard.press("Control+c")
    assert read_clipboard(editor) == {"steps": GUIDE[1:]}
    keyboard.press("Control+v")
    editor.expect_edge("fetch", "double_2")
    editor.expect_edge("double_2", "report_2")
    expect_chosen(editor, "double_2", "report_2")
    expect(editor.step("report_2")).to_be_focused()
    editor.step("score").click()
    keyboard.press("Control+v")
    editor.expect_edge("score", "double_3")
    keyboard.press("Control+z")
    keyboard.press("Control+z")
    editor.expect_steps("fetch", "double", "report", "score")
    assert steps_of() == in_order([*GUIDE, {"slug": "score"}])


def test_steps_are_copied_before_the_panel_has_come(editor: Editor) -> None:
    keyboard = editor.page.keyboard
    editor.page.evaluate("navigator.clipboard.writeText('')")
    editor.step("fetch").click()
    keyboard.press("ArrowRight")
    keyboard.press("Control+c")
    assert read_clipboard(editor) == {"steps": [GUIDE[1]]}


def test_steps_are_cut_and_pasted_into_another_flow(editor: Editor, boss: User) -> None:
    make_draft(boss, [{"slug": "double", "uses": "score"}], slug="others")
    page, keyboard = editor.page, editor.page.keyboard
    keyboard.press("Control+a")
    expect_chosen(editor, "fetch", "double", "report")
    keyboard.press("Control+x")
    expect(page.locator(".pgf-node")).to_have_count(0)
    page.goto("/admin/pgflow_django/workflow/others/edit/")
    other = Editor(page)
    keyboard.press("Control+v")
    other.expect_steps("double", "fetch", "double_2", "report")
    assert steps_of("others") == in_order(
        [
            {"slug": "double", "uses": "score"},
            {"slug": "fetch"},
            {"slug": "double_2", "uses": "double", "depends_on": ["fetch"], "type": "map"},
            {"slug": "report", "depends_on": ["double_2"]},
        ]
    )
    keyboard.press("Control+z")
    other.expect_steps("double")
    assert steps_of() == []


def test_what_is_no_step_is_not_pasted_and_fields_keep_their_own_keys(editor: Editor) -> None:
    page, keyboard = editor.page, editor.page.keyboard
    editor.open_step("fetch")
    page.evaluate("navigator.clipboard.writeText('Dear Ann,')")
    keyboard.press("Control+v")
    alert = page.get_by_role("alert").filter(has_text="This is not JSON: line 1, column 1")
    expect(alert).to_be_visible()
    editor.expect_steps("fetch", "double", "report")
    field = page.get_by_label("Name")
    field.click()
    keyboard.press("Control+a")
    keyboard.press("Control+c")
    assert page.evaluate("navigator.clipboard.readText()") == "fetch"
    keyboard.press("Control+v")
    expect(field).to_have_value("fetch")
    assert steps_of() == in_order(GUIDE)


def test_steps_are_pasted_from_the_panel(editor: Editor) -> None:
    page = editor.page
    page.get_by_text("Paste steps", exact=True).click()
    text = page.get_by_label("Steps to paste")
    text.fill('{"steps": [{"slug": "1st"}]}')
    page.get_by_role("button", name="Paste", exact=True).click()
    expect(page.locator("#pgf-e-text")).to_contain_text("must be letters")
    expect(text).to_have_value('{"steps": [{"slug": "1st"}]}')
    text.fill('{"steps": [{"slug": "score"}]}')
    page.get_by_role("button", name="Paste", exact=True).click()
    editor.expect_steps("fetch", "double", "report", "score")
    expect_chosen(editor, "score")


def test_the_list_has_boxes_for_several_steps(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    page = open_editor(open_page, boss, query="?view=list", **CLIPBOARD).page
    page.get_by_role("checkbox", name="Select fetch").check()
    expect(page.get_by_role("heading", name="fetch", exact=True)).to_be_visible()
    page.get_by_role("checkbox", name="Select double").check()
    expect(page.get_by_role("heading", name="2 steps")).to_be_visible()
    expect(page.get_by_role("button", name="Go on with the ticked steps")).to_be_hidden()
    page.keyboard.press("Control+c")
    assert page.evaluate("navigator.clipboard.readText()").count('"slug"') == 2
    panel = page.get_by_role("complementary", name="Settings")
    panel.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_role("checkbox", name="Select double_2")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Select double", exact=True)).not_to_be_checked()
    panel.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("checkbox", name="Select double_2")).to_have_count(0)
    assert steps_of() == in_order(GUIDE)


def test_without_javascript_several_steps_are_changed_and_pasted(
    open_page: OpenPage, boss: User
) -> None:
    make_draft(boss, GUIDE)
    url = "/admin/pgflow_django/workflow/numbers/edit/?view=list"
    page = open_page(url, boss, java_script_enabled=False)
    for name in ("fetch", "report"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("button", name="Go on with the ticked steps").click()
    page.get_by_label("Queue", exact=True).fill("slow")
    page.get_by_role("button", name="Set Queue of all").click()
    assert {row.get("queue") for row in steps_of()} == {"slow", None}
    page.get_by_text("As JSON, to copy and paste").click()
    text = page.get_by_label("The selected steps as JSON").input_value()
    panel = page.get_by_role("complementary", name="Settings")
    panel.get_by_role("button", name="Delete").click()
    assert [row["slug"] for row in steps_of()] == ["double"]
    page.get_by_text("Paste steps", exact=True).click()
    page.get_by_label("Steps to paste").fill("no steps")
    page.get_by_role("button", name="Paste", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="This is not JSON")).to_be_visible()
    expect(page.get_by_label("Steps to paste")).to_have_value("no steps")
    page.get_by_label("Steps to paste").fill(text)
    page.get_by_role("button", name="Paste", exact=True).click()
    expect(page.get_by_role("heading", name="2 steps")).to_be_visible()
    assert [row["slug"] for row in steps_of()] == ["double", "fetch", "report"]


def test_who_may_only_look_copies_but_does_not_cut(open_page: OpenPage, boss: User) -> None:
    from django.contrib.auth.models import Permission

    make_draft(boss, GUIDE)
    drafts.publish("numbers", drafts.load("numbers").version, user=boss)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_workflow"))
    editor = open_editor(open_page, viewer, **CLIPBOARD)
    editor.page.keyboard.press("Control+a")
    expect_chosen(editor, "fetch", "double", "report")
    editor.page.keyboard.press("Control+x")
    assert read_clipboard(editor) == {"steps": GUIDE}
    editor.page.keyboard.press("Control+v")
    editor.page.keyboard.press("Delete")
    editor.expect_steps("fetch", "double", "report")
