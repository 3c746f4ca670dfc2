"""A run as its readers see it: started, followed live, failed, retried and cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from playwright.sync_api import Page, expect

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from tests.e2e.conftest import OpenPage

RUN = "/admin/pgflow_django/workflow/shop/run/"
STEPS: list[dict[str, Any]] = [
    {"slug": "pick"},
    {"slug": "pack", "depends_on": ["pick"], "type": "map"},
    {"slug": "send", "depends_on": ["pack"]},
]


class Shop:
    """Whether the step ``send`` may end, and how."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.is_broken = False

    def pick(self, input: Any) -> list[int]:
        """Give the orders."""
        return [1, 2, 3]

    def pack(self, input: Any) -> str:
        """Pack one."""
        return f"parcel {input['item']}"

    def send(self, input: Any) -> str:
        """Wait for the test, then send all, or fail."""
        assert self.gate.wait(30)
        if self.is_broken:
            raise ConnectionError("no van today")
        return f"{len(input['pack'])} sent"


@pytest.fixture
def shop(transactional_db: None) -> Iterator[Shop]:
    """Give the flow ``shop``, published, with its functions."""
    shop = Shop()
    for step in STEPS:
        name = step["slug"]
        registry.unregister(name)
        registry.register(getattr(shop, name), name)
    flow_builder.create_flow_from_spec({"workflow_slug": "shop", "max_attempts": 1, "steps": STEPS})
    yield shop
    shop.gate.set()
    for step in STEPS:
        registry.unregister(step["slug"])


@pytest.fixture
def work(shop: Shop) -> Iterator[Callable[[], None]]:
    """Give a worker to start: a thread that works until nothing is left to do."""
    threads: list[threading.Thread] = []

    def drain() -> None:
        try:
            executor.drain(timeout=30)
        finally:
            connections.close_all()

    def start() -> None:
        threads.append(threading.Thread(target=drain))
        threads[-1].start()

    yield start
    shop.gate.set()
    for thread in threads:
        thread.join(30)


def expect_step(page: Page, slug: str, status: str) -> None:
    """Wait until the drawing and the table show a step in this state."""
    expect(page.locator(f"#pgf-dag [data-slug={slug}].pgf-{status}")).to_be_visible()
    expect(page.locator(f"#pgf-row-{slug} .pgf-pill")).to_have_text(status)


def start_run(page: Page) -> None:
    """Press the button on the page that starts a run."""
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/change/")


def expect_end(page: Page, word: str) -> None:
    """Wait until the page says how the run has ended, on it and to screen readers."""
    expect(page.locator("#pgf-run-status")).to_have_text(word)
    expect(page.locator("#pgf-live")).to_have_text(f"The run has ended: {word}")


def test_a_run_is_started_and_followed_to_its_end(
    open_page: OpenPage, boss: User, shop: Shop, work: Callable[[], None]
) -> None:
    page = open_page(RUN, boss)
    expect(page.get_by_text("No worker serves the queue")).to_be_visible()
    start_run(page)
    expect(page.get_by_text("It waits:")).to_be_visible()
    expect_step(page, "send", "waiting")
    work()
    expect_step(page, "pick", "completed")
    expect_step(page, "pack", "completed")
    expect(page.locator("#pgf-row-pack")).to_contain_text("3 of 3")
    expect_step(page, "send", "running")
    expect(page).to_have_title("66 % shop")
    shop.gate.set()
    expect_end(page, "completed")
    expect_step(page, "send", "completed")
    expect(page).to_have_title("✓ shop")
    page.get_by_role("link", name="Data").click()
    page.locator("#pgf-data-output").click()
    expect(page.locator(".pgf-tree")).to_contain_text('"3 sent"')
    page.locator("#pgf-dag [data-slug=pack]").click()
    expect(page.get_by_role("complementary", name="Details")).to_contain_text("parcel 1")


def test_a_failed_run_says_why_and_is_retried(
    open_page: OpenPage, boss: User, shop: Shop, work: Callable[[], None]
) -> None:
    shop.is_broken = True
    shop.gate.set()
    page = open_page(RUN, boss)
    start_run(page)
    work()
    expect_end(page, "failed")
    expect(page.get_by_role("heading", name="The step send failed")).to_be_visible()
    expect(page.locator("#pgf-details section").first).to_contain_text(
        "ConnectionError: no van today"
    )
    expect_step(page, "send", "failed")
    trace = page.locator("#pgf-details section").first.locator("details", has_text="Traceback")
    trace.locator("summary").click()
    expect(trace.locator("pre")).to_contain_text('raise ConnectionError("no van today")')
    shop.is_broken = False
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("The run goes on where it had stopped.")).to_be_visible()
    work()
    expect_end(page, "completed")
    page.get_by_role("link", name="Tasks").click()
    expect(page.locator("#pgf-tab")).to_contain_text("completed")


def test_a_run_is_cancelled_after_a_question(open_page: OpenPage, boss: User, shop: Shop) -> None:
    page = open_page(RUN, boss)
    start_run(page)
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.locator("#pgf-run-status")).to_have_text("cancelled")
    expect_step(page, "pick", "cancelled")
    expect(page.locator("summary", has_text="Cancel")).to_have_count(0)
    assert WorkflowRun.objects.get().status == "cancelled"


def test_a_page_that_is_offline_says_so_and_goes_on_later(
    open_page: OpenPage, boss: User, shop: Shop, work: Callable[[], None]
) -> None:
    page = open_page(RUN, boss)
    start_run(page)
    page.context.set_offline(True)
    expect(page.get_by_text("Not up to date since")).to_be_visible()
    shop.gate.set()
    work()
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.get_by_text("Not up to date since")).to_be_hidden()
    expect_end(page, "completed")


def test_a_run_that_is_removed_while_somebody_looks(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    page = open_page(RUN, boss)
    start_run(page)
    run = WorkflowRun.objects.get()
    executor.cancel_run(run.pk)
    WorkflowRun.objects.filter(pk=run.pk).delete()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.get_by_text("This run was removed.")).to_be_visible()


def test_a_run_that_has_ended_is_looked_at_when_somebody_comes_back(
    open_page: OpenPage, boss: User, shop: Shop, work: Callable[[], None]
) -> None:
    shop.is_broken = True
    shop.gate.set()
    page = open_page(RUN, boss)
    start_run(page)
    work()
    expect_end(page, "failed")
    shop.is_broken = False
    executor.retry_run(WorkflowRun.objects.get().pk)
    page.evaluate("dispatchEvent(new Event('focus'))")
    work()
    expect_end(page, "completed")


def test_a_double_click_starts_one_run(open_page: OpenPage, boss: User, shop: Shop) -> None:
    page = open_page(RUN, boss)
    page.get_by_role("button", name="Start the run").dblclick()
    page.wait_for_url("**/change/")
    assert WorkflowRun.objects.count() == 1


def test_wrong_json_is_told_with_its_place(open_page: OpenPage, boss: User, shop: Shop) -> None:
    page = open_page(RUN, boss)
    page.get_by_label("Input as JSON").fill('{"a": 1,\n "b" 2}')
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Start the run").click()
    assert answer.value.status == 422
    expect(page.get_by_role("alert")).to_contain_text("line 2")
    expect(page.get_by_label("Input as JSON")).to_have_value('{"a": 1,\n "b" 2}')
    assert not WorkflowRun.objects.exists()
