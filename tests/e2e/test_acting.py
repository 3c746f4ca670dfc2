"""What goes wrong is mended on the page of a run, with clicks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from pgflow_django.registry import registry
from tests.e2e.conftest import DESK, PHONE, OpenPage
from tests.e2e.test_crawl import FIND_FAULTS, find_with_axe
from tests.engine.workers import HandWorker

STEPS: list[dict[str, Any]] = [
    {"slug": "pick"},
    {"slug": "pack", "depends_on": ["pick"], "type": "map"},
    {"slug": "send", "depends_on": ["pack"]},
]


class Shop:
    """Packs three orders; of the second there is nothing left."""

    def __init__(self) -> None:
        self.is_empty = True

    def pick(self, input: Any) -> list[int]:
        """Give the orders."""
        return [1, 2, 3]

    def pack(self, input: Any) -> str:
        """Pack one."""
        if self.is_empty and input["item"] == 2:
            raise LookupError("nothing left of order 2")
        return f"parcel {input['item']}"

    def send(self, input: Any) -> str:
        """Send all that were packed."""
        return ", ".join(parcel or "nothing" for parcel in input["pack"])


@pytest.fixture
def shop(transactional_db: None) -> Iterator[Shop]:
    """Give the flow ``shop``, published, with its functions."""
    shop = Shop()
    for step in STEPS:
        registry.unregister(step["slug"])
        registry.register(getattr(shop, step["slug"]), step["slug"])
    flow_builder.create_flow_from_spec({"workflow_slug": "shop", "max_attempts": 1, "steps": STEPS})
    yield shop
    for step in STEPS:
        registry.unregister(step["slug"])


@pytest.fixture
def run(shop: Shop) -> WorkflowRun:
    """Give a run that failed at the second order."""
    started = executor.start_flow("shop", {"day": "Monday"})
    executor.drain()
    return WorkflowRun.objects.get(pk=started.pk)


def address(run: WorkflowRun, rest: str = "change/") -> str:
    return f"/admin/pgflow_django/workflowrun/{run.pk}/{rest}"


def expect_status(page: Page, status: str) -> None:
    expect(page.locator("#pgf-run-status")).to_have_text(status)


def output(run: WorkflowRun) -> Any:
    return WorkflowRun.objects.get(pk=run.pk).output


def test_one_is_tried_first_and_the_rest_follows(
    open_page: OpenPage, boss: User, shop: Shop, run: WorkflowRun
) -> None:
    shop.is_empty = False
    page = open_page(address(run, "task/pack/1/"), boss)
    expect(page.locator(".pgf-task")).to_contain_text("nothing left of order 2")
    page.get_by_role("button", name="Try this first").click()
    expect(page.get_by_text("One is tried first: pack 1.")).to_be_visible()
    expect_status(page, "paused")
    executor.drain()
    expect(page.locator("#pgf-dag [data-slug=pack]")).to_contain_text("1 of 3")
    page.locator("#pgf-run-head").get_by_role("button", name="Resume").click()
    expect(page.get_by_text("The run goes on.")).to_be_visible()
    executor.drain()
    expect_status(page, "completed")
    assert output(run) == {"send": "parcel 1, parcel 2, parcel 3"}


def test_a_run_is_paused_for_a_reason_and_resumed(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    run = executor.start_flow("shop")
    page = open_page(address(run), boss)
    page.locator("summary", has_text="Pause").click()
    page.get_by_label("Why (optional)").first.fill("the van is away")
    page.get_by_role("button", name="Pause this run").click()
    expect(page.get_by_text("The run is paused.")).to_be_visible()
    expect_status(page, "paused")
    expect(page.get_by_text("the van is away").first).to_be_visible()
    assert executor.drain()
    page.locator("#pgf-run-head").get_by_role("button", name="Resume").click()
    expect_status(page, "running")
    page.reload()  # it is still the page of the run
    expect_status(page, "running")


def test_a_reason_that_is_written_bears_what_happens_meanwhile(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    run = executor.start_flow("shop")
    page = open_page(address(run), boss)
    page.locator("summary", has_text="Cancel").click()
    page.get_by_label("Why (optional)").last.fill("the wrong month")
    page.get_by_role("heading", name="shop").click()  # which closes the menu
    worker = HandWorker()
    worker.complete(*worker.claim(), output=[1, 2, 3])
    expect(page.locator("#pgf-run-head")).to_contain_text("1 of 3 steps")
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect_status(page, "cancelled")
    assert executor.get_run_status(run.pk).status == "cancelled"
    assert run.pk in WorkflowRunEvent.objects.filter(message="the wrong month").values_list(
        "run_id", flat=True
    )


def test_an_item_is_skipped(open_page: OpenPage, boss: User, run: WorkflowRun) -> None:
    page = open_page(address(run, "task/pack/1/"), boss)
    page.get_by_role("link", name="Skip or complete…").click()
    expect(page.get_by_role("heading", name="Decide pack 1")).to_be_visible()
    page.get_by_role("button", name="Skip it").click()
    expect(page.get_by_text("Skipped: pack 1.")).to_be_visible()
    executor.drain()
    expect_status(page, "completed")
    assert output(run) == {"send": "parcel 1, nothing, parcel 3"}


def test_an_item_is_completed_by_hand_and_what_was_typed_is_not_lost(
    open_page: OpenPage, boss: User, run: WorkflowRun
) -> None:
    page = open_page(address(run, "decide/pack/?index=1"), boss)
    gives = page.get_by_label("What it gives, as JSON")
    gives.fill('"parcel of Ada')
    page.get_by_role("button", name="Complete it").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not JSON: line 1")
    expect(gives).to_have_value('"parcel of Ada')
    gives.fill('"parcel of Ada"')
    page.get_by_role("button", name="Complete it").click()
    expect(page.get_by_text("Completed by hand: pack 1.")).to_be_visible()
    executor.drain()
    expect_status(page, "completed")
    assert output(run) == {"send": "parcel 1, parcel of Ada, parcel 3"}


def test_it_is_run_again_from_a_step_and_with_another_input(
    open_page: OpenPage, boss: User, shop: Shop, run: WorkflowRun
) -> None:
    shop.is_empty = False
    page = open_page(address(run) + "?step=pack", boss)
    page.locator("summary", has_text="Rerun from here").click()
    page.get_by_role("button", name="Start the rerun").click()
    expect(page.get_by_role("link", name=str(run.pk))).to_be_visible()
    executor.drain()
    expect_status(page, "completed")
    page.locator("summary", has_text="Run again").click()
    page.get_by_role("link", name="With another input…").click()
    box = page.get_by_label("Input as JSON")
    expect(box).to_have_value('{\n  "day": "Monday"\n}')
    box.fill('{"day": "Tuesday"}')
    page.get_by_role("button", name="Start the run").click()
    expect_status(page, "running")
    newest = WorkflowRun.objects.order_by("-id").first()
    assert newest is not None
    assert newest.input == {"day": "Tuesday"}
    assert newest.rerun_of is not None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", ["desk", "phone"])
@pytest.mark.parametrize("place", ["change/?step=pack", "task/pack/1/", "decide/pack/"])
def test_it_is_whole_and_axe_finds_nothing(
    open_page: OpenPage,
    boss: User,
    run: WorkflowRun,
    theme: Literal["light", "dark"],
    width: str,
    place: str,
) -> None:
    size = DESK if width == "desk" else PHONE
    page = open_page(address(run, place), boss, viewport=size, color_scheme=theme)
    if folder := os.environ.get("PGFLOW_PICTURES"):
        name = f"acting_{place.split('/', maxsplit=1)[0]}_{width}_{theme}.png"
        page.screenshot(path=Path(folder) / name, full_page=True)
    assert page.evaluate(FIND_FAULTS) == []
    assert find_with_axe(page, None) == []
