"""A step and a draft are tried from the editor; a failed trial says why; also without a script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import Example, executor, step_function, steps
from pgflow_django.definitions.trials import GIVEN
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.registry import registry
from tests.e2e.conftest import TOUCH, OpenPage
from tests.e2e.editor import make_draft, open_editor
from tests.e2e.test_crawl import FIND_FAULTS, find_with_axe
from tests.e2e.test_review import look

TRY = "/admin/pgflow_django/workflow/numbers/try/"
STEPS: list[dict[str, Any]] = [
    {"slug": "fetch", "max_attempts": 1},
    {"slug": "double", "depends_on": ["fetch"], "type": "map", "max_attempts": 1},
    {"slug": "report", "depends_on": ["double"], "max_attempts": 1},
]


@pytest.fixture(autouse=True)
def contracts(functions: None) -> Iterator[None]:
    """Let the functions of the guide's flow say what they do to the world."""
    before = dict(registry._functions)
    registry._functions.clear()
    registry.register(steps.given, GIVEN)

    @step_function("fetch", effects="reads", examples=[Example(output=[4, 5])])
    def fetch(input: Any) -> list[int]:
        """Get the numbers."""
        return [1, 2, 3]

    @step_function("double", effects="none")
    def double(input: Any) -> int:
        """Double one number."""
        return int(input["item"]) * 2

    @step_function("report", effects="external")
    def report(input: Any) -> dict[str, Any]:
        """Send the sum."""
        if sum(input["double"]) > 15:
            raise ValueError("the sum is too large to send")
        return {"sum": sum(input["double"])}

    yield
    registry._functions.clear()
    registry._functions.update(before)


def open_details(page: Page, step: str) -> None:
    page.locator("summary", has_text=step).click()


def start_trial(page: Page) -> WorkflowRun:
    page.get_by_role("button", name="Start the trial").click()
    page.wait_for_url("**/workflowrun/**/change/")
    return WorkflowRun.objects.latest("id")


def test_a_step_is_tried_with_what_an_example_gives(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    editor = open_editor(open_page, boss)
    page = editor.page
    editor.open_step("double")
    page.get_by_role("link", name="Try this step").click()
    expect(page.get_by_label("End with")).to_have_value("double")
    expect(page.get_by_text("From an example of its function.")).to_be_visible()
    run = start_trial(page)
    expect(page.locator("#pgf-run-head")).to_contain_text("Trial")
    executor.drain()
    expect(page.locator("#pgf-run-status")).to_have_text("completed")
    assert executor.get_run_status(run.pk).result() == {"double": [8, 10]}
    page.locator("#pgf-dag [data-slug=fetch]").click()
    expect(page.get_by_role("complementary", name="Details")).to_contain_text("given")
    page.get_by_role("link", name="Back to the draft").click()
    expect(page.locator("#pgf-step-double.pgf-completed")).to_be_visible()
    editor.open_step("double")
    expect(page.locator("#pgf-panel")).to_contain_text("Its output in the last trial")
    assert not Workflow.objects.exists()


def test_the_draft_is_tried_with_one_output_given_and_a_failure_is_explained(
    open_page: OpenPage, boss: User
) -> None:
    make_draft(boss, STEPS)
    editor = open_editor(open_page, boss)
    page = editor.page
    page.get_by_role("link", name="Try it", exact=True).click()
    open_details(page, "fetch")
    page.get_by_label("Output, instead of calling fetch").fill("[8]")
    page.get_by_role("button", name="Start the trial").click()
    expect(page.get_by_role("alert").first).to_contain_text("report (report)")
    expect(page.get_by_label("Output, instead of calling fetch")).to_have_value("[8]")
    page.get_by_label("Call them, if the trial has them").check()
    start_trial(page)
    executor.drain()
    expect(page.get_by_role("heading", name="The step report failed")).to_be_visible()
    expect(page.locator("#pgf-details")).to_contain_text("the sum is too large to send")
    page.get_by_role("link", name="Back to the draft").click()
    expect(page.locator("#pgf-step-report.pgf-failed")).to_be_visible()
    editor.open_step("report")
    expect(page.locator("#pgf-panel")).to_contain_text("ValueError: the sum is too large to send")
    page.locator("#pgf-trial").click()
    page.get_by_role("link", name="Try again").click()
    page.wait_for_url("**/try/?from=**")


def test_the_editor_follows_a_trial_while_something_is_typed(
    open_page: OpenPage, boss: User
) -> None:
    make_draft(boss, STEPS)
    executor.start_trial("numbers", allow_effects=True)
    editor = open_editor(open_page, boss)
    page = editor.page
    expect(page.locator("#pgf-trial")).to_have_text("Trial: running")
    editor.open_step("report")
    name = page.get_by_label("Name", exact=True)
    name.fill("summary")
    executor.drain()
    expect(page.locator("#pgf-trial")).to_have_text("Trial: completed")
    expect(page.locator("#pgf-step-report.pgf-completed.pgf-selected")).to_be_visible()
    expect(page.locator("#pgf-panel")).to_contain_text("Its output in the last trial")
    expect(page.locator("#pgf-live")).to_have_text("The trial has ended: completed")
    expect(name).to_have_value("summary")
    expect(page.locator("[data-follow]")).to_have_count(0)
    name.press("Enter")
    expect(page.locator("#pgf-step-summary")).to_be_visible()


@pytest.mark.parametrize("options", [{}, TOUCH], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_whole(
    open_page: OpenPage, boss: User, options: dict[str, Any], theme: str
) -> None:
    long = "a" * 128
    make_draft(boss, [*STEPS, {"slug": long, "uses": "report", "depends_on": ["double"]}])
    page = open_page(f"{TRY}?step={long}", boss, color_scheme=theme, **options)
    expect(page.get_by_label("End with")).to_have_value(long)
    assert page.evaluate(FIND_FAULTS) == []
    assert find_with_axe(page, None) == []


def test_without_javascript(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS)
    edit = "/admin/pgflow_django/workflow/numbers/edit/?view=list&step=double"
    page = open_page(edit, boss, java_script_enabled=False)
    page.get_by_role("link", name="Try this step").click()
    page.get_by_role("button", name="Start the trial").click()
    executor.drain()
    page.goto(f"http://localhost:{page.url.split(':')[2].split('/')[0]}{edit}")
    expect(page.locator("#pgf-row-double")).to_contain_text("completed")
    expect(page.locator("#pgf-panel")).to_contain_text("Its output in the last trial")


def go(page: Page, what: Any) -> None:
    """Go on with the Tab key until the focus is there, and press it."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if what.evaluate("(one) => one === document.activeElement"):
            return page.keyboard.press("Enter")
    raise AssertionError(f"Tab does not lead to {what}")


def test_the_draft_is_tried_with_the_keyboard_only(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, STEPS[:2])
    page = open_editor(open_page, boss).page
    go(page, page.get_by_role("link", name="Try it", exact=True))
    expect(page.get_by_role("heading", name="Try numbers")).to_be_visible()
    go(page, page.get_by_role("button", name="Start the trial"))
    page.wait_for_url("**/workflowrun/**/change/")
    executor.drain()
    expect(page.locator("#pgf-run-status")).to_have_text("completed")


@pytest.mark.parametrize("options", [{}, TOUCH], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_draft_is_simulated(
    open_page: OpenPage, boss: User, options: dict[str, Any], theme: str
) -> None:
    make_draft(boss, STEPS)
    page = open_editor(open_page, boss, color_scheme=theme, **options).page
    page.locator("#pgf-more summary").click()
    page.get_by_role("link", name="Simulate").click()
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="double"))
    expect(row).to_contain_text("made up from what its function declares")
    look(page, f"simulate-{theme}-{len(options)}")
    assert not WorkflowRun.objects.exists()
