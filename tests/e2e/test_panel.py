"""The settings beside the drawing: keys in their fields, what stays as it was, and phones."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Request, expect

from pgflow_django import drafts
from tests.e2e.conftest import TOUCH, OpenPage
from tests.e2e.editor import GUIDE, Editor, in_order, make_draft, open_editor, steps_of

pytestmark = pytest.mark.usefixtures("functions")


@pytest.fixture
def editor(open_page: OpenPage, boss: User) -> Editor:
    make_draft(boss, GUIDE)
    return open_editor(open_page, boss)


def collect_edits(page: Page) -> list[str]:
    """The operations that the page sends from now on."""
    sent: list[str] = []

    def hear(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/op/"):
            sent.extend(parse_qs(request.post_data or "")["op"])

    page.on("request", hear)
    return sent


def expect_saved(editor: Editor, before: str | None) -> None:
    """Wait until the page shows another version than ``before``."""
    expect(editor.page.locator("#pgf-bar")).not_to_have_attribute("data-version", before or "")


def version_of(editor: Editor) -> str | None:
    """The version that the page shows."""
    return editor.page.locator("#pgf-bar").get_attribute("data-version")


@pytest.mark.parametrize(
    ("step", "label", "text"),
    [("fetch", "Name", "first"), ("fetch", "Timeout, s", "77"), ("", "Attempts", "5")],
)
def test_enter_in_a_field_saves_it_once(editor: Editor, step: str, label: str, text: str) -> None:
    editor.open_step("fetch")
    if not step:
        editor.page.get_by_role("link", name="Close").click()
        expect(editor.page.get_by_role("heading", name="The flow", exact=True)).to_be_visible()
    sent = collect_edits(editor.page)
    before = version_of(editor)
    field = editor.page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Enter")
    expect_saved(editor, before)
    editor.page.get_by_role("button", name="Undo").click()  # comes behind all that was sent before
    expect(editor.page.get_by_role("button", name="Undo")).to_be_disabled()
    assert sent == ["save_step" if step else "save_flow", "undo"]
    expect(editor.page.locator(".pgf-toast")).to_have_count(0)


def test_what_is_unfolded_and_enlarged_stays_so_and_keeps_the_focus(editor: Editor) -> None:
    page = editor.page
    editor.open_step("fetch")
    page.get_by_text("Delays, queue, constants").click()
    constants = page.get_by_label("Constants for the function (JSON)")
    constants.evaluate("(field) => (field.style.height = '200px')")  # as its corner does
    before = version_of(editor)
    page.get_by_label("Start delay, s").fill("5")
    constants.focus()
    expect_saved(editor, before)
    expect(constants).to_be_visible()
    expect(constants).to_be_focused()
    assert constants.evaluate("(field) => field.style.height") == "200px"


@pytest.mark.parametrize("view", ["diagram", "list"])
def test_escape_leads_from_a_field_back_to_its_step(
    open_page: OpenPage, boss: User, view: str
) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss, query=f"?view={view}&step=double")
    link = editor.page.get_by_role("rowheader", name="double").get_by_role("link")
    place = editor.step("double") if view == "diagram" else link
    panel = editor.page.get_by_role("complementary", name="Settings")
    for role, name in (("textbox", "Name"), ("combobox", "Function"), ("button", "Duplicate")):
        panel.get_by_role(role, name=name, exact=True).focus()  # type: ignore[arg-type]
        editor.page.keyboard.press("Escape")
        expect(place).to_be_focused()
    expect(editor.page.get_by_role("heading", name="double", exact=True)).to_be_visible()


def test_escape_closes_a_menu_and_no_more_than_that(editor: Editor) -> None:
    page = editor.page
    editor.open_step("double")
    menu = page.locator("#pgf-more")
    menu.locator("summary").click()
    menu.get_by_role("link", name="History").focus()
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", re.compile(""))
    expect(menu.locator("summary")).to_be_focused()
    expect(editor.step("double")).to_have_attribute("aria-current", "true")


def test_keys_in_a_field_that_offers_values_are_no_commands(editor: Editor) -> None:
    sent = collect_edits(editor.page)
    editor.open_step("fetch")
    choice = editor.page.get_by_role("combobox", name="Function", exact=True)
    for key in ("Delete", "x", "c", "Escape"):
        choice.press(key)
    expect(editor.step("fetch")).to_be_focused()
    expect(editor.page.locator("#pgf-mode")).to_be_hidden()
    assert sent == []
    assert steps_of() == in_order(GUIDE)


def test_the_row_of_the_selected_step_is_the_current_one(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss, query="?view=list&step=fetch")
    rows = editor.page.locator("#pgf-list tr[aria-current]")
    expect(rows).to_have_id("pgf-row-fetch")
    editor.page.get_by_role("link", name="Edit double").click()
    expect(rows).to_have_id("pgf-row-double")
    expect(rows).to_have_attribute("aria-current", "true")


def test_the_direction_that_was_chosen_is_the_one_that_is_pressed(editor: Editor) -> None:
    editor.page.locator("#pgf-more summary").click()
    button = editor.page.get_by_role("button", name="Top to bottom")
    button.click()
    expect(editor.page.locator("#pgf-dag")).to_have_attribute("data-direction", "TB")
    pressed = editor.page.locator("[data-act=direction][aria-pressed=true]")
    expect(pressed).to_have_attribute("data-value", "TB")
    expect(editor.page.locator("[data-act=direction][aria-pressed=false]")).to_have_count(2)


@pytest.mark.parametrize("query", ["s", "o", "ore", "fetch"])
def test_enter_adds_the_function_that_is_on_top(editor: Editor, query: str) -> None:
    page = editor.page
    editor.step("report").click()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog", name="Add a step after report")
    search = dialog.get_by_role("searchbox")
    search.type(query)
    shown = dialog.locator(".pgf-function:visible")
    top = shown.first.get_attribute("data-function")
    best = search.get_attribute("aria-activedescendant")
    expect(shown.first).to_have_id(best or "none")
    plain = shown.nth(1).evaluate(STYLE) if shown.count() > 1 else ""
    assert shown.first.evaluate(STYLE) != plain
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(parse_qs(request.post_data or "").get("uses")))
    page.keyboard.press("Enter")
    expect(page.locator(".pgf-node")).to_have_count(4)
    assert [top] in sent


#: How an item of a list stands out.
STYLE = "(item) => getComputedStyle(item).boxShadow"


def test_the_palette_has_what_fits_best_on_top_and_its_order_back_afterwards(
    editor: Editor,
) -> None:
    names = editor.page.locator("#pgf-palette .pgf-function:visible")
    order = "all => all.map((item) => item.dataset.function)"
    before = names.evaluate_all(order)
    search = editor.page.get_by_label("Search functions").first
    search.fill("score")
    assert names.evaluate_all(order) == ["score"]
    search.fill("re")
    assert names.evaluate_all(order)[0] == "report"
    search.fill("")
    assert names.evaluate_all(order) == before


def test_a_phone_keeps_the_selection_from_one_view_to_the_other(
    open_page: OpenPage, boss: User
) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss, query="?view=list&step=fetch", **TOUCH)
    page = editor.page
    page.get_by_role("link", name="Edit report").tap()
    page.get_by_role("dialog", name="Settings").get_by_role("link", name="Close").focus()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Diagram", exact=True).tap()
    page.wait_for_url("**view=diagram**")
    editor = Editor(page)
    expect(editor.step("report")).to_have_attribute("aria-current", "true")
    editor.tap(editor.function("score"))
    editor.expect_edge("report", "score")


def test_a_phone_opens_the_settings_as_a_dialog(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    editor = open_editor(open_page, boss, query="?view=diagram", **TOUCH)
    page = editor.page
    editor.tap(editor.step("double"))
    sheet = page.get_by_role("dialog", name="Settings")
    expect(sheet).to_be_focused()
    before = version_of(editor)
    page.get_by_label("Timeout, s").fill("77")
    page.get_by_label("Timeout, s").press("Enter")
    expect_saved(editor, before)
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(page.get_by_role("complementary", name="Settings")).to_be_attached()
    expect(editor.step("double")).to_be_focused()


def test_a_finger_finds_the_ports(open_page: OpenPage, boss: User) -> None:
    make_draft(
        boss, [{"slug": f"s{n}", "depends_on": [f"s{n - 1}"] * (n > 1)} for n in range(1, 9)]
    )
    editor = open_editor(open_page, boss, query="?view=diagram", **TOUCH)
    x, y = editor.find_middle(editor.step("s1").locator(".pgf-out"))
    reach = "([x, y]) => document.elementFromPoint(x, y).matches('#pgf-step-s1 .pgf-out')"
    for dx, dy in ((-11.5, 0), (11.5, 0), (0, -11.5), (0, 11.5)):
        assert editor.page.evaluate(reach, [x + dx, y + dy]), (dx, dy)


def test_without_javascript_nothing_is_dead_and_the_drawing_is_whole(
    open_page: OpenPage, boss: User
) -> None:
    chain = [{"slug": f"s{n}", "depends_on": [f"s{n - 1}"] if n > 1 else []} for n in range(1, 12)]
    make_draft(boss, chain)
    url = "/admin/pgflow_django/workflow/numbers/edit/"
    page = open_page(f"{url}?view=diagram&step=s2", boss, java_script_enabled=False)
    for place in ("[data-act]", "#pgf-palette", ".pgf-hint", "#pgf-zoom"):
        for dead in page.locator(place).all():
            expect(dead).to_be_hidden()
    for slug in ("s1", "s11"):
        card = page.locator(f"#pgf-step-{slug}")
        card.scroll_into_view_if_needed()
        expect(card).to_be_in_viewport(ratio=0.8)
    expect(page.get_by_role("heading", name="s2", exact=True)).to_be_visible()
    page.get_by_role("link", name="the list", exact=True).click()
    expect(page.get_by_role("rowheader", name="s11")).to_be_visible()


def test_a_step_that_another_tab_renamed_is_told(editor: Editor, boss: User) -> None:
    version = drafts.load("numbers").version
    drafts.edit("numbers", version, "rename_step", {"step": "fetch", "to": "get"}, user=boss)
    page = editor.page
    editor.step("fetch").click()
    told = page.get_by_role("alert").filter(has_text="There is no step fetch any more")
    expect(told).to_be_visible()
    editor.step("report").click()
    page.keyboard.press("d")
    banner = page.get_by_role("alert").filter(has_text="You have changed this flow elsewhere")
    expect(banner.get_by_role("button", name="Apply mine on top")).to_be_visible()
    editor.step("fetch").click()
    expect(told).to_be_visible()
    told.get_by_role("link", name="Show the flow as it is now").click()
    editor.expect_steps("get", "double", "report")
