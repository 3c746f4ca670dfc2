"""The page of a run while the run goes on: what it shows, asks and keeps."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import executor
from pgflow_django.models import WorkflowRun
from tests.e2e.conftest import OpenPage
from tests.views.watching import Stage
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("functions")

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
HIDE = """(isHidden) => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def stage(transactional_db: None) -> Stage:
    """Give a run of three steps in a row, and a map."""
    return Stage(3)


def path_of(stage: Stage) -> str:
    return f"/admin/pgflow_django/workflowrun/{stage.run}/change/"


def expect_card(page: Page, slug: str, status: str, text: str | re.Pattern[str] = "") -> None:
    """Wait until a card shows this."""
    card = page.locator(f"#pgf-step-{slug}.pgf-{status}")
    expect(card).to_be_visible()
    if text:
        expect(card.locator(".pgf-note")).to_have_text(text)


def test_cards_change_one_by_one_and_edges_as_their_targets(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    page = open_page(path_of(stage), boss)
    page.evaluate("document.querySelector('#pgf-step-step_0').isKept = true")
    stage.begin("step_0")
    expect_card(page, "step_0", "running", re.compile(r"^running · \d+ s$"))
    stage.complete("step_0")
    stage.begin("step_1")
    stage.advance(5)
    expect_card(page, "step_0", "completed")
    expect_card(page, "items", "running", re.compile("5 of 20"))
    edge = page.locator("#pgf-edge-step_0-step_1")
    expect(edge).to_have_class("pgf-edge pgf-active")
    stage.complete("step_1")
    expect(edge).to_have_class("pgf-edge")
    expect(page.locator("#pgf-run-head")).to_contain_text("2 of 4 steps")
    assert page.evaluate("document.querySelector('#pgf-step-step_0').isKept")


def test_more_changes_than_an_answer_has_room_for_are_all_shown(
    open_page: OpenPage, boss: User, transactional_db: None
) -> None:
    stage = Stage(60)
    page = open_page(path_of(stage), boss)
    answers: list[int] = []
    page.on(
        "response",
        lambda answer: answers.append(answer.status) if "/live/" in answer.url else None,
    )
    stage.begin(*stage.slugs)
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator("#pgf-dag .pgf-node.pgf-running")).to_have_count(61)
    assert answers.count(200) > 1


def test_a_retry_is_counted_down_on_the_clock_of_the_server(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    page = open_page(path_of(stage), boss)
    page.clock.install(time=datetime.now(UTC) + timedelta(hours=1))  # that of the browser is wrong
    page.reload()
    stage.begin("step_0")
    stage.fail("step_0", again_in=50)
    expect_card(page, "step_0", "retrying", re.compile(r"^retrying · in [2345]\d s$"))
    page.locator("#pgf-step-step_0").click()
    expect(page.locator("#pgf-panel [data-until]")).to_have_text(re.compile(r"^in [2345]\d s$"))
    expect(page.locator("#pgf-elapsed")).to_have_text(re.compile(r"^\d+ s$"))
    stage.call_again()
    expect_card(page, "step_0", "running")


def test_the_focus_and_what_is_open_in_the_panel_survive_updates(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    page = open_page(path_of(stage), boss)
    stage.begin("step_0")
    expect_card(page, "step_0", "running")
    page.locator("#pgf-step-step_0").focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.locator("[data-step=step_0]")).to_be_visible()
    stage.fail("step_0", again_in=50, trace="where it happened")
    expect(panel).to_contain_text("retrying")
    panel.locator("summary", has_text="Traceback").click()
    page.locator("#pgf-step-step_0").focus()
    stage.begin("step_0", worker="another@host")
    expect(panel).to_contain_text("another@host")
    expect(panel.locator("details[open] pre")).to_contain_text("where it happened")
    assert page.evaluate("document.activeElement.id") == "pgf-step-step_0"
    stage.advance(3)
    expect_card(page, "items", "running", re.compile("3 of 20"))
    assert page.evaluate("document.activeElement.id") == "pgf-step-step_0"
    expect(page.locator("#pgf-step-step_0")).to_have_class(re.compile("pgf-selected"))


def test_only_the_step_that_is_open_has_the_panel_read_again(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    page = open_page(path_of(stage), boss)
    page.locator("#pgf-step-step_0").click()
    expect(page.locator("#pgf-panel [data-step=step_0]")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda asks: asked.append(asks.url) if "/step/?" in asks.url else None)
    stage.advance(3)
    expect_card(page, "items", "running", re.compile("3 of 20"))
    assert asked == []
    stage.begin("step_0", worker="w-7@host")
    expect(page.locator("#pgf-panel")).to_contain_text("w-7@host")
    assert len(asked) == 1


def test_a_page_in_the_background_asks_nothing(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    page = open_page(path_of(stage), boss)
    page.clock.install()
    page.reload()
    page.wait_for_load_state("networkidle")
    page.evaluate(HIDE, True)
    asked: list[str] = []
    page.on("request", lambda asks: asked.append(asks.url))
    stage.begin("step_0")
    page.clock.run_for(120_000)
    assert asked == []
    with page.expect_request("**/live/**"):
        page.evaluate(HIDE, False)
    expect_card(page, "step_0", "running")


def test_looks_become_rarer_while_nothing_changes(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    stage.begin("step_0")  # else the page looks anew why nothing moves
    page = open_page(path_of(stage), boss)
    page.clock.install(time=0)
    page.reload()
    page.clock.pause_at(100)
    wait_until(lambda: page.evaluate("!document.querySelector('#pgf-run.htmx-request')"))
    page.evaluate("answers = 0")
    page.evaluate("document.addEventListener('htmx:afterRequest', () => answers++)")
    page.evaluate("dispatchEvent(new Event('focus'))")
    for number, pause in enumerate([1500, 2250, 3375, 5000, 5000], start=1):
        wait_until(partial(page.evaluate, f"answers === {number}"))
        page.clock.run_for(pause - 100)
        assert page.evaluate("answers") == number
        with page.expect_request("**/live/**"):
            page.clock.run_for(200)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_what_is_updated_moves_only_where_its_reader_likes_that(
    open_page: OpenPage, boss: User, stage: Stage, motion: str
) -> None:
    page = open_page(path_of(stage), boss, reduced_motion=motion)
    stage.begin("step_0", "step_1")
    expect_card(page, "step_1", "running")
    moving = "(e) => getComputedStyle(e).animationName !== 'none'"
    for place in ("#pgf-step-step_1 .pgf-icon", ".pgf-active .pgf-line"):
        assert page.locator(place).first.evaluate(moving) is (motion == "no-preference")


def test_times_are_those_of_the_readers_zone_or_utc(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    begun = datetime.now(UTC) - timedelta(days=3)
    WorkflowRun.objects.filter(pk=stage.run).update(started_at=begun)
    page = open_page(path_of(stage), boss, timezone_id="Asia/Tokyo")
    time, button = page.locator("#pgf-panel time").first, page.locator("#pgf-zone")
    tokyo = begun.astimezone(ZoneInfo("Asia/Tokyo"))
    expect(button).to_have_text("Times in Asia/Tokyo")
    expect(time).to_have_text(f"{tokyo:%b} {tokyo.day}, {tokyo.year}, {tokyo:%H:%M:%S}")
    button.click()
    expect(button).to_have_text("Times in UTC")
    expect(time).to_have_text(f"{begun:%b} {begun.day}, {begun.year}, {begun:%H:%M:%S}")
    page.reload()
    expect(button).to_have_text("Times in UTC")
    stage.begin("step_0")
    expect_card(page, "step_0", "running")
    page.locator("#pgf-step-step_0").click()
    expect(page.locator("#pgf-panel time").first).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    button.click()
    expect(button).to_have_text("Times in Asia/Tokyo")


def test_nothing_of_a_run_becomes_markup_when_it_is_updated(
    open_page: OpenPage, boss: User, transactional_db: None
) -> None:
    stage = Stage(3, description=BAD)
    page = open_page(path_of(stage), boss)
    page.locator("#pgf-step-step_0").click()
    stage.begin("step_0", worker=BAD)
    panel = page.get_by_role("complementary", name="Details")
    expect(panel.get_by_text("Worker", exact=True)).to_be_visible()
    stage.fail("step_0", again_in=50, error=BAD, trace=BAD)
    expect(panel).to_contain_text(f"ValueError: {BAD}")
    expect(page.locator("#pgf-step-step_0 title")).to_contain_text(BAD)
    stage.fail("step_0", error=BAD)
    expect_card(page, "step_0", "failed")
    assert page.locator("#pgf-run img, #pgf-run script").count() == 0


def test_an_action_keeps_the_page_and_says_what_came_of_it(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    page = open_page(path_of(stage), boss)
    page.evaluate("isKept = true")
    page.locator("summary", has_text="Pause").click()
    page.get_by_role("button", name="Pause this run").click()
    expect(page.locator("#pgf-said")).to_contain_text("The run is paused.")
    expect(page.locator("#pgf-run-status")).to_have_text("paused")
    page.locator("#pgf-run-head").get_by_role("button", name="Resume").click()
    expect(page.locator("#pgf-run-status")).to_have_text("running")
    assert page.evaluate("isKept")


def test_an_action_that_is_refused_is_told_on_the_page(
    open_page: OpenPage, boss: User, stage: Stage
) -> None:
    page = open_page(path_of(stage), boss)
    page.evaluate("isKept = true")
    page.locator("summary", has_text="Pause").click()
    executor.cancel_run(stage.run)
    page.get_by_role("button", name="Pause this run").click()
    expect(page.locator("#pgf-said")).to_contain_text("has ended: it is cancelled")
    expect(page.locator("#pgf-run-status")).to_have_text("cancelled")
    assert page.evaluate("isKept")
