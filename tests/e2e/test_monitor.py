"""The tabs of a run's page in a browser: found, followed, by keyboard, without any script."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from pgflow_django import executor, flow_builder
from pgflow_django.models import AgentUsage
from pgflow_django.registry import registry
from pgflow_django.views.runs.query import MOST_SEARCHES
from tests.e2e.conftest import TOUCH, OpenPage
from tests.engine.database import query as run_sql

PICTURES = os.environ.get("PGFLOW_PICTURES", "")
FAILING = 4242
ITEMS = 10_000
STEPS: list[dict[str, Any]] = [
    {"slug": "orders"},
    {"slug": "charge", "depends_on": ["orders"], "type": "map"},
    {"slug": "report", "depends_on": ["charge"]},
]


def orders(input: Any) -> list[dict[str, Any]]:
    """Give the orders."""
    return [{"order": n, "card_token": "tok-1"} for n in range(input.get("items", 3))]


def charge(input: Any) -> dict[str, Any]:
    """Charge one."""
    if input["index"] == input["run"].get("fails"):
        raise ConnectionError(f"host 10.0.0.7:{input['index']} refused")
    return {"charged": input["index"]}


def report(input: Any, context: Any) -> str:
    """Say how many."""
    context.log("counting", orders=len(input["charge"]))
    context.log("a card was refused", level="warning")
    return f"{len(input['charge'])} charged"


@pytest.fixture
def shop(transactional_db: None) -> Iterator[None]:
    """Give the flow ``shop``, published, with its functions."""
    for function in (orders, charge, report):
        registry.unregister(function.__name__)
        registry.register(function)
    flow_builder.create_flow_from_spec({"workflow_slug": "shop", "max_attempts": 1, "steps": STEPS})
    yield
    for function in (orders, charge, report):
        registry.unregister(function.__name__)


def run_shop(**input: Any) -> UUID:
    """Run it to its end."""
    run = executor.start_flow("shop", input).id
    executor.drain(timeout=60)
    return run


def path_of(run: UUID, query: str = "") -> str:
    return f"/admin/pgflow_django/workflowrun/{run}/change/{query}"


def take_picture(page: Page, name: str) -> None:
    """Keep a picture in both themes, if somebody wants them."""
    for theme in ("light", "dark") if PICTURES else ():
        page.emulate_media(color_scheme=theme)
        page.screenshot(path=f"{PICTURES}/{name}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme="light")


@pytest.fixture
def big(shop: None) -> UUID:
    """Give a run whose map of 10,000 has failed at one item."""
    return run_shop(items=ITEMS, fails=FAILING)


def test_the_failing_item_of_10000_is_two_clicks_away(
    open_page: OpenPage, boss: User, big: UUID
) -> None:
    page = open_page(path_of(big), boss)
    page.locator("#pgf-dag [data-slug=charge]").click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_contain_text("host ‹n› refused")
    take_picture(page, "panel")
    panel.get_by_role("link", name="failed 1").click()
    expect(page.locator("#pgf-tab tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?tab=tasks&step=charge&status=failed$"))
    panel.get_by_role("link", name=f"first: {FAILING}").click()
    expect(page.get_by_role("heading", name=f"charge {FAILING}")).to_be_visible()
    expect(page.locator(".pgf-trace")).to_contain_text("raise ConnectionError(")
    expect(page.get_by_role("region", name="Input", exact=True)).to_contain_text(
        f'"order": {FAILING}'
    )
    assert "tok-1" not in page.content()
    take_picture(page, "task")


def test_tabs_are_opened_without_leaving_the_page_and_the_back_button_leads_back(
    open_page: OpenPage, boss: User, big: UUID
) -> None:
    page = open_page(path_of(big), boss)
    page.evaluate("window.isTheSame = true")
    page.get_by_role("link", name="Tasks").click()
    expect(page.locator("#pgf-tab-tasks[aria-current=page]")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?tab=tasks$"))
    take_picture(page, "tasks")
    page.get_by_label("Step", exact=True).select_option("charge")
    page.get_by_label("Index").fill("17-20")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#pgf-tab tbody tr")).to_have_count(4)
    take_picture(page, "tasks-filtered")
    page.locator("#pgf-chip-failed").click()
    expect(page.get_by_text("No task is like that.")).to_be_visible()
    assert page.evaluate("window.isTheSame")
    page.go_back()
    expect(page.locator("#pgf-tab tbody tr")).to_have_count(4)
    page.go_back()
    page.go_back()
    expect(page.locator("#pgf-row-charge")).to_be_visible()


def write_lines(run: UUID, since: int, count: int) -> None:
    """Log so many numbered lines."""
    run_sql(
        "insert into workflow_run_events (run_id, kind, step_slug, task_index, message)"
        " select %s, 'log', 'charge', n %% 100, 'line ' || n from generate_series(%s, %s) as n",
        run, since, since + count - 1,
    )  # fmt: skip


def test_a_log_that_nobody_follows_stays_as_it_is(
    open_page: OpenPage, boss: User, shop: None
) -> None:
    run = executor.start_flow("shop", {}).id
    write_lines(run, 0, 3)
    page = open_page(path_of(run, "?tab=log"), boss)
    page.wait_for_load_state("networkidle")  # the first look was answered
    page.get_by_label("Follow").uncheck()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    write_lines(run, 3, 3)
    page.wait_for_event("request", lambda request: "/live/" in request.url)
    page.wait_for_event("request", lambda request: "/live/" in request.url)
    assert not [url for url in sent if "/log/" in url]
    expect(page.locator(".pgf-log-line")).to_have_count(3)
    page.get_by_label("Follow").check()
    expect(page.locator(".pgf-log-line")).to_have_count(6)


def test_one_search_too_many_is_told_in_the_tab(
    open_page: OpenPage, boss: User, shop: None
) -> None:
    run = run_shop(items=3)
    spent = {"user_key": str(boss.pk), "kind": "searches", "count": MOST_SEARCHES}
    usage = AgentUsage.objects.create(since=timezone.now(), **spent)
    page = open_page(path_of(run, "?tab=log"), boss)
    page.evaluate("window.isTheSame = true")
    page.get_by_label("Text").fill("REFUSED")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Try again in")
    take_picture(page, "searched")
    AgentUsage.objects.filter(pk=usage.pk).update(count=MOST_SEARCHES - 1)
    page.get_by_role("link", name="Search again").click()
    expect(page.locator(".pgf-log-line")).to_have_count(1)
    expect(page.get_by_label("Text")).to_have_value("REFUSED")
    assert page.evaluate("window.isTheSame")


def test_what_a_run_was_given_is_a_tree(open_page: OpenPage, boss: User, shop: None) -> None:
    run = executor.start_flow("shop", {"who": {"name": "Ada", "password": "hush"}, "n": [1] * 120})
    page = open_page(path_of(run.id), boss)
    page.get_by_role("link", name="Data").click()
    tree = page.locator(".pgf-tree")
    expect(tree).to_contain_text('name: "Ada"')
    expect(tree).to_contain_text('password: "[hidden]"')
    take_picture(page, "data")
    page.locator("#pgf-tab").get_by_role("link", name="20 more").click()
    expect(tree.locator("li")).to_have_count(20)
    page.locator(".pgf-crumbs").get_by_role("link", name="all").click()
    expect(tree).to_contain_text('name: "Ada"')


def test_every_tab_in_both_themes_and_on_a_phone_without_a_fault(
    open_page: OpenPage, boss: User, shop: None
) -> None:
    run_shop(items=40)
    failed = run_shop(items=400, fails=399)
    for name, options in (("desk", {}), ("phone", TOUCH)):
        page = open_page(path_of(failed), boss, **options)
        for tab in ("list", "tasks", "timeline", "log", "data", "grid"):
            page.goto(path_of(failed, f"?tab={tab}"))
            expect(page.locator(f"#pgf-tab-{tab}[aria-current=page]")).to_be_visible()
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (name, tab)
            expect_no_faults(page, "#pgf-tabs", f"{tab}-{name}")
        page.goto(path_of(failed, "?step=charge"))
        chart = page.get_by_role("img", name="How many tasks of charge there were")
        expect(chart).to_be_visible()
        expect_no_faults(page, "#pgf-panel", f"density-{name}")
        page.emulate_media(color_scheme="light")
        page.goto(f"/admin/pgflow_django/workflowrun/{failed}/task/charge/399/")
        assert find_with_axe(page, ".pgf-task") == []
        take_picture(page, f"task-{name}")


def expect_no_faults(page: Page, place: str, name: str) -> None:
    """Expect none there in either theme, and keep pictures, if somebody wants them."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert find_with_axe(page, place) == [], (name, theme)
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/{name}-{theme}.png", full_page=True)


def find_with_axe(page: Page, place: str) -> list[str]:
    found = Axe().run(page, context={"include": [[place]]}).response
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


def test_tabs_work_by_keyboard(open_page: OpenPage, boss: User, shop: None) -> None:
    page = open_page(path_of(run_shop(items=3)), boss)
    page.locator("#pgf-tab-list").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#pgf-tab-tasks")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#pgf-tab-tasks[aria-current=page]")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#pgf-log")).to_contain_text("a card was refused")


def test_tabs_work_without_any_script(open_page: OpenPage, boss: User, shop: None) -> None:
    run = run_shop(items=60, fails=59)
    page = open_page(path_of(run), boss, java_script_enabled=False)
    page.get_by_role("link", name="Tasks").click()
    page.get_by_label("Index").fill("59")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#pgf-tab tbody tr")).to_have_count(1)
    page.locator("#pgf-tab tbody th a").click()
    expect(page.locator(".pgf-trace")).to_contain_text("raise ConnectionError(")
    page.get_by_role("link", name="All tasks").click()
    page.locator("#pgf-later").click()
    expect(page.locator("#pgf-tab tbody tr").first).to_contain_text("50")
    for name, shown in (("Timeline", "charge"), ("Last runs", "report"), ("Data", "fails: 59")):
        page.locator(".pgf-tab-strip").get_by_role("link", name=name).click()
        expect(page.locator("#pgf-tab")).to_contain_text(shown)


def test_a_test_is_copied(open_page: OpenPage, boss: User, shop: None) -> None:
    run = run_shop(items=3, fails=2)
    path = f"/admin/pgflow_django/workflowrun/{run}/task/charge/2/"
    page = open_page(path, boss, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as test").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "def test_charge_2():" in page.evaluate("navigator.clipboard.readText()")
