"""What the editor does with mistakes, colleagues, lost connections and its own history."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from pgflow_django import drafts, executor
from tests.e2e.conftest import OpenPage
from tests.e2e.editor import GUIDE, Editor, in_order, make_draft, open_editor, steps_of

pytestmark = pytest.mark.usefixtures("functions")


@pytest.fixture
def editor(open_page: OpenPage, boss: User) -> Editor:
    make_draft(boss, GUIDE)
    return open_editor(open_page, boss)


def test_what_would_close_a_loop_is_faded_and_refused(editor: Editor) -> None:
    page, port = editor.page, editor.step("report").locator(".pgf-out")
    editor.drag(port, editor.find_middle(editor.step("fetch")))
    expect(page.locator(".pgf-node.pgf-no")).to_have_count(2)
    page.mouse.up()
    expect(page.locator(".pgf-node.pgf-no")).to_have_count(0)
    told = page.get_by_role("alert").filter(has_text="cycle")
    expect(told).to_be_visible()
    told.get_by_role("button", name="Close").click()
    # The server says no as well, to a page that does not know better.
    editor.step("report").evaluate("(node) => (node.dataset.deps = '')")
    editor.step("double").evaluate("(node) => (node.dataset.deps = '')")
    editor.drag(port, editor.find_middle(editor.step("fetch")))
    page.mouse.up()
    expect(told).to_be_visible()
    editor.expect_steps("fetch", "double", "report")
    assert steps_of() == in_order(GUIDE)


def test_a_refused_value_is_told_beside_its_field(editor: Editor) -> None:
    editor.open_step("fetch")
    field = editor.page.get_by_label("Name")
    field.fill("1st step")
    field.press("Tab")
    error = editor.page.locator("#pgf-e-slug")
    expect(error).to_contain_text("must be letters")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("first_step")
    field.press("Tab")
    editor.expect_steps("first_step", "double", "report")
    expect(error).to_be_hidden()
    assert {"slug": "first_step", "uses": "fetch"} in steps_of()


def test_undo_and_redo_survive_a_reload(editor: Editor) -> None:
    page = editor.page
    editor.step("report").click()
    page.keyboard.press("Delete")
    editor.expect_steps("fetch", "double")
    expect(editor.step("double")).to_be_focused()
    page.reload()
    page.get_by_role("button", name="Undo").click()
    editor.expect_steps("fetch", "double", "report")
    editor.expect_edge("double", "report")
    page.reload()
    page.keyboard.press("Control+Shift+z")
    editor.expect_steps("fetch", "double")
    page.keyboard.press("Control+z")
    editor.expect_steps("fetch", "double", "report")
    assert steps_of() == in_order(GUIDE)


def test_who_comes_second_may_apply_the_change_on_top(
    editor: Editor, open_page: OpenPage, boss: User
) -> None:
    ann = User.objects.create_superuser("ann")
    other = open_editor(open_page, ann)
    other.step("report").click()
    other.page.keyboard.press("d")
    other.expect_steps("fetch", "double", "report", "report_2")
    editor.step("fetch").click()
    editor.function("score").click()
    banner = editor.page.get_by_role("alert").filter(has_text="ann has changed this flow")
    expect(banner).to_be_visible()
    editor.expect_steps("fetch", "double", "report")
    banner.get_by_text("Show changes").click()
    expect(banner.get_by_text("Duplicated step")).to_be_visible()
    banner.get_by_role("button", name="Apply mine on top").click()
    editor.expect_steps("fetch", "double", "report", "report_2", "score")
    expect(banner).to_have_count(0)
    editor.expect_edge("fetch", "score")


def test_others_on_the_page_are_counted(editor: Editor, open_page: OpenPage) -> None:
    open_editor(open_page, User.objects.create_superuser("ann"))
    editor.page.reload()
    expect(editor.page.get_by_text("1 other person is here")).to_be_visible()


def test_a_run_in_flight_keeps_its_version(editor: Editor) -> None:
    page = editor.page
    page.get_by_role("button", name="Publish").click()
    editor.expect_toast("Published version 1.")
    run = executor.start_flow("numbers", {})
    editor.step("report").click()
    page.keyboard.press("Delete")
    editor.expect_steps("fetch", "double")
    page.get_by_role("button", name="Publish").click()
    editor.expect_toast("Published version 2. 1 run goes on with the version that it started with.")
    executor.drain(timeout=30)
    assert executor.wait(run.id, timeout=30) == {"report": {"sum": 12}}


def test_a_lost_connection_loses_no_edit(editor: Editor) -> None:
    context = editor.page.context
    context.set_offline(True)
    editor.function("score").click()
    banner = editor.page.get_by_role("alert").filter(has_text="not saved")
    expect(banner).to_be_visible()
    context.set_offline(False)
    editor.expect_steps("fetch", "double", "report", "score")
    expect(banner).to_be_hidden()


def test_an_edit_that_did_not_arrive_can_be_tried_again(editor: Editor) -> None:
    editor.page.route("**/op/", lambda route: route.abort("internetdisconnected"))
    editor.function("score").click()
    banner = editor.page.get_by_role("alert").filter(has_text="not saved")
    expect(banner).to_be_visible()
    editor.page.unroute("**/op/")
    banner.get_by_role("button", name="Try again").click()
    editor.expect_steps("fetch", "double", "report", "score")
    expect(banner).to_be_hidden()


def test_an_ended_session_loses_no_edit(editor: Editor, boss: User) -> None:
    editor.page.route("**/presence/", lambda route: route.fulfill(status=204))
    editor.page.reload()  # so that only the edit can notice
    Session.objects.all().delete()
    editor.function("score").click()
    banner = editor.page.get_by_role("alert").filter(has_text="you were logged out")
    expect(banner).to_be_visible()
    editor.function("report").click()  # another edit, that is not saved either
    link = banner.get_by_role("link", name="Log in in a new tab")
    assert "/admin/login/?next=/admin/pgflow_django/workflow/numbers/edit/" in str(
        link.get_attribute("href")
    )
    banner.get_by_role("button", name="Try again").click()  # too soon
    expect(banner).to_be_visible()
    assert len(steps_of()) == 3
    boss.set_password("secret")
    boss.save()
    with editor.page.expect_popup() as opened:
        link.click()
    login = opened.value
    login.get_by_label("Username").fill("boss")
    login.get_by_label("Password").fill("secret")
    login.get_by_role("button", name="Log in").click()
    login.wait_for_url("**/numbers/edit/")
    banner.get_by_role("button", name="Try again").click()
    expect(banner).to_be_hidden()
    editor.expect_steps("fetch", "double", "report", "score", "report_2")
    assert [step["slug"] for step in drafts.load("numbers").document["steps"]][3:] == [
        "score",
        "report_2",
    ]


def test_whoever_only_looks_around_is_told_that_the_session_has_ended(editor: Editor) -> None:
    editor.page.route("**/presence/", lambda route: route.fulfill(status=204))
    editor.page.reload()
    Session.objects.all().delete()
    editor.step("double").click()
    banner = editor.page.get_by_role("alert").filter(has_text="you were logged out")
    expect(banner).to_be_visible()


def test_the_focus_stays_on_the_step_after_an_edit(editor: Editor) -> None:
    editor.step("fetch").click()
    editor.page.keyboard.press("ArrowRight")
    editor.page.keyboard.press("m")
    expect(editor.step("double")).to_have_class("pgf-node pgf-single pgf-selected")
    expect(editor.step("double")).to_be_focused()
    expect(editor.step("double")).to_have_attribute("tabindex", "0")
    expect(editor.page.locator(".pgf-node[tabindex='0']")).to_have_count(1)


def test_a_step_is_inserted_on_a_connection(editor: Editor) -> None:
    x, y = editor.page.evaluate(
        """() => {
            const line = document.querySelector("#pgf-edge-double-report .pgf-line");
            const middle = line.getPointAtLength(line.getTotalLength() / 2);
            const at = middle.matrixTransform(line.getScreenCTM());
            return [at.x, at.y];
        }"""
    )
    editor.page.mouse.move(x, y)
    editor.page.locator("#pgf-edge-tools [data-act=insert]").click()
    dialog = editor.page.get_by_role("dialog", name="Insert between double and report")
    dialog.get_by_role("searchbox").fill("score")
    editor.page.keyboard.press("Enter")
    editor.expect_edge("double", "score")
    editor.expect_edge("score", "report")
    expect(editor.edge("double", "report")).to_have_count(0)
    expect(editor.step("score")).to_be_focused()


def test_a_problem_is_shown_and_mended_with_one_click(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, [{"slug": "get", "uses": "fetsh"}])
    editor = open_editor(open_page, boss)
    expect(editor.page.locator(".pgf-node.pgf-bad")).to_have_count(1)
    editor.page.get_by_text("1 warning").click()
    editor.page.get_by_role("link", name="Show get").click()
    panel = editor.page.get_by_role("complementary", name="Settings")
    panel.get_by_role("button", name="Use fetch").click()
    expect(editor.page.get_by_text("valid", exact=True)).to_be_visible()
    expect(editor.page.locator(".pgf-node.pgf-bad")).to_have_count(0)
    assert steps_of() == [{"slug": "get", "uses": "fetch"}]


def test_who_may_only_look_gets_nothing_to_change_with(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    drafts.publish("numbers", drafts.load("numbers").version, user=boss)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_workflow"))
    editor = open_editor(open_page, viewer)
    page = editor.page
    expect(page.get_by_text("You may look at this flow, not change it.")).to_be_visible()
    for selector in (
        "#pgf-palette",
        ".pgf-port",
        "#pgf-undo",
        "#pgf-publish",
        "form[data-op-form]",
    ):
        expect(page.locator(selector)).to_have_count(0)
    editor.open_step("double")
    page.keyboard.press("Delete")
    page.keyboard.press("a")
    editor.expect_steps("fetch", "double", "report")


def test_the_keys_are_explained_and_single_letters_can_be_turned_off(editor: Editor) -> None:
    page = editor.page
    editor.step("fetch").click()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    dialog.get_by_role("checkbox", name="Single letters are keys").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    editor.step("fetch").focus()
    page.keyboard.press("d")
    page.keyboard.press("ArrowRight")
    expect(editor.step("double")).to_be_focused()
    editor.expect_steps("fetch", "double", "report")


def test_a_step_may_be_drawn_before_its_function_is_chosen(open_page: OpenPage, boss: User) -> None:
    make_draft(boss)
    editor = open_editor(open_page, boss)
    editor.page.get_by_role("button", name="Empty step").click()
    editor.expect_steps("step")
    editor.open_step("step")
    editor.page.get_by_label("Function", exact=True).select_option("fetch")
    expect(editor.page.get_by_text("valid", exact=True)).to_be_visible()
    assert steps_of() == [{"slug": "step", "uses": "fetch"}]
