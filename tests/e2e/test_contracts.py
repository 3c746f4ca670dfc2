"""Flows of functions that declare what they read: sources are picked, params are filled in."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pydantic import BaseModel, Field

from pgflow_django import drafts, executor, step_function
from pgflow_django.registry import registry
from tests.e2e.conftest import TOUCH, OpenPage
from tests.e2e.editor import Editor, make_draft, open_editor, steps_of
from tests.e2e.test_crawl import FIND_FAULTS, find_with_axe


class Found(TypedDict):
    """What was found."""

    numbers: list[int]
    source: str


class OneNumber(TypedDict):
    """A task of the map."""

    item: int


class ToAdd(TypedDict):
    """What is added up."""

    doubled: list[int]
    day: str
    params: Any


class Params(BaseModel):
    """How it is told."""

    unit: str = Field("pieces", max_length=10, description="What is counted.")
    is_long: bool = False


@pytest.fixture(autouse=True)
def contracts(functions: None) -> None:
    """Let the functions of the guide's flow declare what they read, and where from is left open."""
    registry._functions.clear()

    @step_function(effects="reads", tags=["numbers"])
    def fetch(input: Any) -> Found:
        """Get the numbers."""
        return {"numbers": [1, 2, 3], "source": "here"}

    @step_function
    def numbers(input: Any) -> list[int]:
        """Take out the numbers."""
        return list(input["found"]["numbers"])

    @step_function(map_only=True, effects="none")
    def double(input: OneNumber) -> int:
        """Double one number."""
        return input["item"] * 2

    @step_function(params=Params, effects="none")
    def report(input: ToAdd) -> str:
        """Add them up.

        The `day` stands in front.
        """
        return f"{input['day']}: {sum(input['doubled'])} {input['params']['unit']}"


STEPS: list[dict[str, Any]] = [
    {"slug": "fetch"},
    {"slug": "numbers", "depends_on": ["fetch"], "inputs": {"found": "fetch"}},
    {"slug": "double", "depends_on": ["numbers"], "type": "map"},
    {"slug": "report", "depends_on": ["double"]},
]


def step_of(slug: str) -> dict[str, Any]:
    return next(row for row in steps_of() if row["slug"] == slug)


def expect_saved(page: Page, before: str | None) -> None:
    """Wait until the page shows another version than ``before``."""
    expect(page.locator("#pgf-bar")).not_to_have_attribute("data-version", before or "")


def version_of(page: Page) -> str | None:
    """The version that the page shows."""
    return page.locator("#pgf-bar").get_attribute("data-version")


def pick_with_keys(editor: Editor, name: str, word: str) -> None:
    """Choose a source in the list of a key, by the letter that it begins with."""
    before = version_of(editor.page)
    field = editor.page.get_by_label(name, exact=True)
    field.focus()
    editor.page.keyboard.type(word)
    expect_saved(editor.page, before)
    expect(field).to_be_focused()


def test_the_guides_flow_is_built_by_picking_sources_with_the_keyboard(
    open_page: OpenPage, boss: User
) -> None:
    make_draft(boss)
    editor = open_editor(open_page, boss)
    page, keyboard = editor.page, editor.page.keyboard
    for name in ("fetch", "numbers", "double", "report"):
        keyboard.press("f")
        keyboard.type(name)
        keyboard.press("Enter")
        expect(editor.step(name)).to_be_focused()
    is_wide = page.locator("#pgf-dag").get_attribute("data-direction") == "LR"
    back, on = ("ArrowLeft", "ArrowRight") if is_wide else ("ArrowUp", "ArrowDown")
    keyboard.press(back)
    expect(editor.step("double")).to_be_focused()
    keyboard.press("m")
    expect(editor.step("double")).to_have_class("pgf-node pgf-map pgf-selected")
    keyboard.press(on)
    keyboard.press("Enter")
    expect(page.get_by_role("heading", name="report", exact=True)).to_be_visible()
    pick_with_keys(editor, "doubled", "d")
    pick_with_keys(editor, "day", "f")
    assert step_of("report")["inputs"] == {"doubled": "double", "day": "fetch/source"}
    assert step_of("report")["depends_on"] == ["fetch", "double"]
    editor.expect_edge("fetch", "report")
    editor.open_step("numbers")
    page.get_by_text("Add an input of your own").click()
    page.get_by_label("Key", exact=True).fill("found")
    page.get_by_label("Comes from", exact=True).select_option("fetch")
    before = version_of(page)
    page.get_by_label("Key", exact=True).press("Enter")
    expect_saved(page, before)
    keyboard.press("Control+s")
    editor.expect_toast("Published version 1.")
    assert step_of("numbers")["inputs"] == {"found": "fetch"}
    run = executor.start_flow("numbers", {})
    executor.drain(timeout=30)
    assert executor.get_run_status(run.id).output == {"report": "here: 12 pieces"}


def test_a_wrong_source_is_refused_with_both_types(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    editor = open_editor(open_page, boss)
    page = editor.page
    editor.open_step("report")
    pick_with_keys(editor, "doubled", "d")
    part = page.get_by_label("Which part of it is doubled")
    part.fill("0")
    part.press("Tab")
    error = page.locator("#pgf-e-input-doubled")
    expect(error).to_contain_text("whole number")
    expect(error).to_contain_text("list of whole number")
    expect(part).to_have_attribute("aria-invalid", "true")
    expect(part).to_have_value("0")
    assert step_of("report")["inputs"] == {"doubled": "double"}


def test_a_rename_carries_the_sources(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    editor = open_editor(open_page, boss)
    page = editor.page
    editor.open_step("fetch")
    name = page.get_by_label("Name", exact=True)
    before = version_of(page)
    name.fill("get")
    name.press("Enter")
    expect_saved(page, before)
    editor.open_step("numbers")
    expect(page.get_by_label("found", exact=True)).to_have_value("get")
    assert step_of("numbers")["inputs"] == {"found": "get"}


def test_params_are_a_form(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    editor = open_editor(open_page, boss)
    page = editor.page
    editor.open_step("report")
    before = version_of(page)
    unit = page.get_by_label("Unit")
    expect(unit).to_have_attribute("placeholder", "pieces")
    unit.fill("apples")
    unit.press("Tab")
    expect_saved(page, before)
    assert step_of("report")["params"] == {"unit": "apples"}
    page.get_by_text("Delays, queue, constants").click()
    expect(page.get_by_label("Constants for the function (JSON)")).to_have_value(
        '{\n  "unit": "apples"\n}'
    )


def test_what_was_refused_stays_while_other_fields_are_saved(
    open_page: OpenPage, boss: User
) -> None:
    make_draft(boss, STEPS)
    editor = open_editor(open_page, boss)
    page = editor.page
    editor.open_step("report")
    page.get_by_text("Delays, queue, constants").click()
    written = page.get_by_label("Constants for the function (JSON)")
    written.fill('{"unit": "pears",')
    written.press("Tab")
    expect(page.locator("#pgf-e-params")).to_contain_text("This is not JSON")
    before = version_of(page)
    page.get_by_label("Unit").fill("apples")
    page.get_by_label("Unit").press("Tab")
    expect_saved(page, before)
    expect(written).to_have_value('{"unit": "pears",')
    expect(page.locator("#pgf-e-params")).to_be_visible()
    assert step_of("report")["params"] == {"unit": "apples"}
    written.fill('{"unit": "pears"}')
    before = version_of(page)
    written.press("Tab")
    expect_saved(page, before)
    expect(page.locator("#pgf-e-params")).to_be_hidden()
    expect(page.get_by_label("Unit")).to_have_value("pears")
    # Another step has fields of the same names, and nothing of this.
    page.get_by_label("Unit").fill("a unit of many letters")
    page.get_by_label("Unit").press("Tab")
    expect(page.locator("#pgf-e-param-unit")).to_be_visible()
    editor.step("fetch").click()
    expect(page.get_by_role("heading", name="fetch", exact=True)).to_be_visible()
    editor.open_step("report")
    expect(page.get_by_label("Unit")).to_have_value("pears")


def test_what_is_not_sent_yet_stays_while_a_field_is_saved(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    editor = open_editor(open_page, boss)
    page = editor.page
    editor.open_step("report")
    page.get_by_text("Add an input of your own").click()
    key = page.get_by_label("Key", exact=True)
    source = page.get_by_label("Comes from", exact=True)
    key.fill("note")
    source.select_option("run")
    before = version_of(page)
    page.get_by_label("Unit").fill("apples")
    page.get_by_label("Unit").press("Tab")
    expect_saved(page, before)
    expect(key).to_have_value("note")
    expect(source).to_have_value("run")
    before = version_of(page)
    key.press("Enter")
    expect_saved(page, before)
    assert step_of("report")["inputs"] == {"note": "run"}
    expect(key).to_have_value("")
    expect(source).to_have_value("")
    expect(page.get_by_label("note", exact=True)).to_have_value("run")


def test_a_part_of_the_last_output_is_picked(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    drafts.publish("numbers", drafts.load("numbers").version, user=boss)
    executor.start_flow("numbers", {"doubled": [], "day": "today"})
    executor.drain(timeout=30)
    editor = open_editor(open_page, boss)
    page = editor.page
    editor.open_step("numbers")
    page.get_by_text("Pick from what fetch returned last").click()
    before = version_of(page)
    page.get_by_role("button", name='source "here"').click()
    expect_saved(page, before)
    assert step_of("numbers")["inputs"] == {"found": "fetch/source"}
    expect(page.get_by_label("Which part of it is found")).to_have_value("source")
    expect(page.get_by_text("Pick from what fetch returned last")).to_be_visible()


def test_functions_are_found_by_what_they_do(open_page: OpenPage, boss: User) -> None:
    make_draft(boss)
    page = open_editor(open_page, boss).page
    shown = page.locator("#pgf-palette .pgf-function:visible")
    search = page.get_by_label("Search functions").first
    for words in ("reads data", "source: text", "numbers reads"):
        search.fill(words)
        expect(shown).to_have_count(1)
        expect(shown).to_have_attribute("data-function", "fetch")
    page.get_by_label("About fetch").press("Enter")
    expect(page.get_by_text("{numbers: list of whole number, source: text}")).to_be_visible()
    expect(page.locator(".pgf-node")).to_have_count(0)


def test_sources_are_chosen_without_javascript(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    url = "/admin/pgflow_django/workflow/numbers/edit/?view=list&step="
    page = open_page(f"{url}report", boss, java_script_enabled=False)
    expect(page.get_by_role("rowheader", name="report").get_by_text("report reads")).to_be_visible()
    page.get_by_label("doubled", exact=True).select_option("double")
    page.get_by_label("Unit").fill("apples")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Which part of it is doubled")).to_be_visible()
    assert step_of("report")["inputs"] == {"doubled": "double"}
    assert step_of("report")["params"] == {"unit": "apples"}
    page.get_by_text("Add an input of your own").click()
    page.get_by_label("Key", exact=True).fill("note")
    page.get_by_label("Comes from", exact=True).select_option("run")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Remove note").click()
    expect(page.get_by_role("button", name="Remove note")).to_have_count(0)
    assert step_of("report")["inputs"] == {"doubled": "double"}


@pytest.mark.parametrize("look", ["desk", "phone"])
def test_it_is_whole_and_axe_finds_nothing(open_page: OpenPage, boss: User, look: str) -> None:
    make_draft(boss, STEPS)
    options = TOUCH if look == "phone" else {}
    for view, step in (("diagram", "report"), ("list", "numbers")):
        query = f"?view={view}&step={step}"
        editor = open_editor(open_page, boss, query=query, **options)
        page = editor.page
        for unfold in page.locator("#pgf-new-input summary, .pgf-item summary").all():
            unfold.click()
        if look == "desk":  # the parts scroll, the page does not
            assert page.evaluate("document.documentElement.scrollHeight - innerHeight") <= 0
        assert page.evaluate(FIND_FAULTS) == []
        assert find_with_axe(page, None) == []
