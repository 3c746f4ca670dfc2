"""People draw the guide's flow: by mouse, by keyboard, by touch, and without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.e2e.conftest import TOUCH, OpenPage
from tests.e2e.editor import GUIDE, in_order, make_draft, open_editor, steps_of

pytestmark = pytest.mark.usefixtures("functions")


def test_the_guides_flow_is_drawn_with_the_mouse_only(open_page: OpenPage, boss: User) -> None:
    make_draft(boss)
    editor = open_editor(open_page, boss)
    stage = editor.find_middle(editor.page.locator("#pgf-dag"))
    for count, name in enumerate(("fetch", "double", "report"), start=1):
        editor.drag(editor.function(name), (stage[0], stage[1] + 250))
        editor.page.mouse.up()
        expect(editor.page.locator(".pgf-node")).to_have_count(count)
    editor.connect("fetch", "double")
    editor.connect("double", "report")
    editor.open_step("double")
    editor.page.get_by_role("radio", name="once per item").click()
    expect(editor.step("double")).to_have_class("pgf-node pgf-map pgf-selected")
    editor.page.get_by_role("button", name="Publish").click()
    editor.expect_toast("Published version 1.")
    assert steps_of() == in_order(GUIDE)


def test_the_guides_flow_is_drawn_with_the_keyboard_only(open_page: OpenPage, boss: User) -> None:
    make_draft(boss)
    editor = open_editor(open_page, boss)
    keyboard = editor.page.keyboard
    for count, name in enumerate(("fetch", "double", "report"), start=1):
        keyboard.press("f")
        keyboard.type(name)
        keyboard.press("Enter")
        expect(editor.page.locator(".pgf-node")).to_have_count(count)
        expect(editor.step(name)).to_be_focused()
    keyboard.press("ArrowLeft")
    expect(editor.step("double")).to_be_focused()
    keyboard.press("m")
    expect(editor.step("double")).to_have_class("pgf-node pgf-map pgf-selected")
    keyboard.press("Control+s")
    editor.expect_toast("Published version 1.")
    assert steps_of() == in_order(GUIDE)


def test_steps_are_connected_and_cut_with_the_keyboard(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, [{"slug": "fetch"}, {"slug": "score"}, {"slug": "report"}])
    editor = open_editor(open_page, boss)
    keyboard = editor.page.keyboard
    editor.step("fetch").click()
    keyboard.press("c")
    expect(editor.page.get_by_role("status").filter(has_text="waits for fetch")).to_be_visible()
    aimed = editor.page.locator(".pgf-target")
    while aimed.get_attribute("data-slug") != "report":
        keyboard.press("ArrowRight")
    keyboard.press("Enter")
    editor.expect_edge("fetch", "report")
    expect(editor.step("fetch")).to_be_focused()
    keyboard.press("x")
    keyboard.press("Enter")
    expect(editor.edge("fetch", "report")).to_have_count(0)


def test_the_guides_flow_is_drawn_by_touch(open_page: OpenPage, boss: User) -> None:
    make_draft(boss)
    editor = open_editor(open_page, boss, query="?view=diagram", **TOUCH)
    editor.tap(editor.function("fetch"))
    editor.expect_steps("fetch")
    finger = editor.page.context.new_cdp_session(editor.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": x, "y": y} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    start = editor.find_middle(editor.step("fetch").locator(".pgf-out"))
    touch("touchStart", start)
    for distance in (20, 60, 100):
        touch("touchMove", (start[0], start[1] + distance))
    touch("touchEnd")
    dialog = editor.page.get_by_role("dialog", name="Add a step after fetch")
    dialog.get_by_role("heading").tap()  # Chromium takes the first tap after a drag for its end
    editor.tap(dialog.get_by_role("button", name="double", exact=True))
    editor.expect_steps("fetch", "double")
    editor.tap(editor.function("report"))
    editor.expect_steps("fetch", "double", "report")
    editor.tap(editor.step("double"))
    expect(editor.page.get_by_role("heading", name="double", exact=True)).to_be_visible()
    editor.tap(editor.page.get_by_role("radio", name="once per item"))
    expect(editor.step("double")).to_have_class("pgf-node pgf-map pgf-selected")
    assert steps_of() == in_order(GUIDE)


def test_two_fingers_zoom(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss, query="?view=diagram", **TOUCH)
    before = editor.step("fetch").bounding_box()
    finger = editor.page.context.new_cdp_session(editor.page)
    x, y = editor.find_middle(editor.page.locator("#pgf-dag"))
    moves: list[tuple[str, list[int]]] = [
        ("touchStart", [-20, 20]),
        ("touchMove", [-40, 40]),
        ("touchMove", [-60, 60]),
        ("touchEnd", []),
    ]
    for kind, places in moves:
        points: list[dict[str, Any]] = [{"x": x + dx, "y": y, "id": int(dx < 0)} for dx in places]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(editor.page.locator("#pgf-world[transform*='scale(2']")).to_be_attached()
    after = editor.step("fetch").bounding_box()
    assert before
    assert after
    assert after["width"] > 1.5 * before["width"]


def test_the_guides_flow_is_drawn_without_javascript(open_page: OpenPage, boss: User) -> None:
    make_draft(boss)
    url = "/admin/pgflow_django/workflow/numbers/edit/?view=list"
    page = open_page(url, boss, java_script_enabled=False)
    for after, name, kind in (("", "fetch", "single"), ("fetch", "double", "map")):
        page.get_by_label("New step").fill(name)
        page.locator("#pgf-f-add-type").select_option(kind)
        page.locator("#pgf-f-add-depends_on").select_option(after)
        page.get_by_role("button", name="Add a step").click()
        expect(page.get_by_role("rowheader", name=name)).to_be_visible()
    page.get_by_label("New step").fill("reprot")
    page.get_by_role("button", name="Add a step").click()
    page.get_by_role("link", name="Edit reprot").click()
    page.get_by_label("Name").fill("report")
    page.get_by_role("checkbox", name="double", exact=True).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("rowheader", name="report")).to_be_visible()
    assert steps_of() == in_order(GUIDE)
    page.get_by_role("button", name="Undo").click()  # one form is one change
    assert {row["slug"]: row.get("depends_on") for row in steps_of()}["reprot"] is None
    page.get_by_role("button", name="Undo").click()
    assert len(steps_of()) == 2
    page.get_by_role("button", name="Redo").click()
    page.get_by_role("button", name="Redo").click()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Published version 1.")).to_be_visible()
    assert steps_of() == in_order(GUIDE)
