"""A run as its readers see and mend it, while a real worker runs its steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from tests.celery.processes import Worker, worker
from tests.e2e.conftest import OpenPage, empty
from tests.engine.database import step_statuses, task_statuses
from tests.waiting import wait_until

RUN = "/admin/pgflow_django/workflow/shop/run/"
STEPS: list[dict[str, Any]] = [
    {"slug": "pick", "uses": "shop.pick"},
    {"slug": "pack", "uses": "shop.pack", "depends_on": ["pick"], "type": "map"},
    {"slug": "send", "uses": "shop.send", "depends_on": ["pack"]},
]
TALK: list[dict[str, Any]] = [{"slug": "talk", "uses": "shop.talk"}]
#: The rows of the worker, which stays from test to test.
KEPT = ("workflow_workers", "workflow_claims")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder in which the worker finds what is said."""
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def crew(django_db_setup: None, django_db_blocker: Any, folder: Path) -> Iterator[Worker]:
    """Give a worker with two loops, which all tests share: it takes seconds to start."""
    variables = {"SHOP_FOLDER": str(folder)}
    with django_db_blocker.unblock():
        empty()
        with worker(
            folder, steps="tests.e2e.shop_steps", broker=variables, MAX_LOG_LINES=10_000
        ) as running:
            yield running.wait_ready(2)
        empty()


@pytest.fixture(autouse=True)
def transactional_db(crew: Worker, django_db_blocker: Any) -> Iterator[None]:
    """Let the test commit, and clean up but for the worker."""
    with django_db_blocker.unblock():
        empty(but=KEPT)
        yield
        empty(but=KEPT)


class Shop:
    """Says how the day goes to the steps in ``shop_steps``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._words: set[Path] = set()

    def say(self, word: str) -> None:
        """From now on it is so."""
        self._words.add(self._folder / word)
        (self._folder / word).touch()

    def unsay(self, word: str) -> None:
        """It is no longer so."""
        (self._folder / word).unlink(missing_ok=True)

    def close(self) -> None:
        """Unsay all that was said."""
        for word in self._words:
            word.unlink(missing_ok=True)


@pytest.fixture
def shop(folder: Path, transactional_db: None) -> Iterator[Shop]:
    """Give the flow ``shop``, published, and somebody to say how its day goes."""
    shop = Shop(folder)
    flow_builder.create_flow_from_spec({"workflow_slug": "shop", "max_attempts": 1, "steps": STEPS})
    yield shop
    for run in WorkflowRun.objects.active():
        executor.cancel_run(run.pk)
    shop.close()


@pytest.fixture
def run(shop: Shop) -> WorkflowRun:
    """Give a run that failed at the second order."""
    shop.say("sold out")
    started = executor.start_flow("shop", {"day": "Monday"})
    return wait_status(started, "failed")


def wait_status(run: WorkflowRun, status: str) -> WorkflowRun:
    """Wait until the worker has brought a run there."""
    wait_until(lambda: executor.get_run_status(run.pk).status == status, f"the run to be {status}")
    return WorkflowRun.objects.get(pk=run.pk)


def address(run: WorkflowRun, rest: str = "change/") -> str:
    return f"/admin/pgflow_django/workflowrun/{run.pk}/{rest}"


def start_run(page: Page) -> WorkflowRun:
    """Press the button on the page that starts a run."""
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/change/")
    return WorkflowRun.objects.get()


def expect_step(page: Page, slug: str, status: str) -> None:
    """Wait until the drawing and the table show a step in this state."""
    expect(page.locator(f"#pgf-dag [data-slug={slug}].pgf-{status}")).to_be_visible()
    expect(page.locator(f"#pgf-row-{slug} .pgf-pill")).to_have_text(status)


def expect_status(page: Page, status: str) -> None:
    expect(page.locator("#pgf-run-status")).to_have_text(status)


def expect_end(page: Page, word: str) -> None:
    """Wait until the page says how the run has ended, on it and to screen readers."""
    expect_status(page, word)
    expect(page.locator("#pgf-live")).to_have_text(f"The run has ended: {word}")


def test_a_run_is_started_and_followed_to_its_end(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    for word in ("slow", "van away"):
        shop.say(word)
    page = open_page(RUN, boss)
    start_run(page)
    expect_step(page, "pick", "completed")
    expect_step(page, "pack", "running")
    expect(page.locator("#pgf-row-pack")).to_contain_text("2 of 3")
    expect(page.locator("#pgf-dag [data-slug=pack]")).to_contain_text("2 of 3")
    expect_step(page, "send", "waiting")
    shop.unsay("slow")
    expect_step(page, "pack", "completed")
    expect(page.locator("#pgf-row-pack")).to_contain_text("3 of 3")
    expect_step(page, "send", "running")
    expect(page).to_have_title("66 % shop")
    shop.unsay("van away")
    expect_end(page, "completed")
    expect_step(page, "send", "completed")
    expect(page).to_have_title("✓ shop")
    page.get_by_role("link", name="Data").click()
    page.locator("#pgf-data-output").click()
    expect(page.locator(".pgf-tree")).to_contain_text('"parcel 1, parcel 2, parcel 3"')
    page.locator("#pgf-dag [data-slug=pack]").click()
    expect(page.get_by_role("complementary", name="Details")).to_contain_text("parcel 1")


def test_a_failed_run_says_why_and_is_retried(open_page: OpenPage, boss: User, shop: Shop) -> None:
    for word in ("van away", "van broken"):
        shop.say(word)
    page = open_page(RUN, boss)
    start_run(page)
    expect_step(page, "send", "running")
    shop.unsay("van away")
    expect_end(page, "failed")
    expect(page.get_by_role("heading", name="The step send failed")).to_be_visible()
    error = page.locator("#pgf-details section").first
    expect(error).to_contain_text("ConnectionError: no van today")
    expect_step(page, "send", "failed")
    trace = error.locator("details", has_text="Traceback")
    trace.locator("summary").click()
    expect(trace.locator("pre")).to_contain_text('raise ConnectionError("no van today")')
    shop.unsay("van broken")
    shop.say("van away")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("The run goes on where it had stopped.")).to_be_visible()
    expect_step(page, "send", "running")
    shop.unsay("van away")
    expect_end(page, "completed")
    page.get_by_role("link", name="Tasks").click()
    expect(page.locator("#pgf-tab")).to_contain_text("completed")


def test_a_run_is_cancelled_while_a_step_runs(open_page: OpenPage, boss: User, shop: Shop) -> None:
    shop.say("van away")
    page = open_page(RUN, boss)
    run = start_run(page)
    expect_step(page, "send", "running")
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect_status(page, "cancelled")
    expect_step(page, "send", "cancelled")
    expect(page.locator("summary", has_text="Cancel")).to_have_count(0)
    assert WorkflowRun.objects.get(pk=run.pk).status == "cancelled"


def test_a_page_that_is_offline_says_so_and_goes_on_later(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    shop.say("van away")
    page = open_page(RUN, boss)
    run = start_run(page)
    page.context.set_offline(True)
    expect(page.get_by_text("Not up to date since")).to_be_visible()
    shop.unsay("van away")
    wait_status(run, "completed")
    expect_status(page, "running")
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.get_by_text("Not up to date since")).to_be_hidden()
    expect_end(page, "completed")


def test_a_run_that_has_ended_is_looked_at_when_somebody_comes_back(
    open_page: OpenPage, boss: User, shop: Shop, run: WorkflowRun
) -> None:
    page = open_page(address(run), boss)
    expect_status(page, "failed")
    shop.say("slow")
    shop.unsay("sold out")
    executor.retry_run(run.pk)
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect_step(page, "pack", "running")
    shop.unsay("slow")
    expect_end(page, "completed")


def test_one_is_tried_first_and_the_rest_follows(
    open_page: OpenPage, boss: User, shop: Shop, run: WorkflowRun
) -> None:
    shop.unsay("sold out")
    page = open_page(address(run, "task/pack/1/"), boss)
    expect(page.locator(".pgf-task")).to_contain_text("nothing left of order 2")
    page.get_by_role("button", name="Try this first").click()
    expect(page.get_by_text("One is tried first: pack 1.")).to_be_visible()
    expect(page.locator("#pgf-dag [data-slug=pack]")).to_contain_text(re.compile("[123] of 3"))
    wait_until(lambda: task_statuses(run.pk, "pack")[1] == "completed", "the one to complete")
    expect_status(page, "paused")
    assert step_statuses(run.pk)["send"] == "created"
    page.locator("#pgf-run-head").get_by_role("button", name="Resume").click()
    expect(page.get_by_text("The run goes on.")).to_be_visible()
    expect_status(page, "completed")
    assert WorkflowRun.objects.get().output == {"send": "parcel 1, parcel 2, parcel 3"}


def test_a_run_is_paused_for_a_reason_and_resumed(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    shop.say("slow")
    page = open_page(RUN, boss)
    run = start_run(page)
    expect_step(page, "pack", "running")
    page.locator("summary", has_text="Pause").click()
    page.get_by_label("Why (optional)").first.fill("the van is away")
    page.get_by_role("button", name="Pause this run").click()
    expect(page.get_by_text("The run is paused.")).to_be_visible()
    expect_status(page, "paused")
    expect(page.get_by_text("the van is away").first).to_be_visible()
    shop.unsay("slow")
    expect_step(page, "pack", "completed")  # what runs goes on, and nothing follows
    expect(page.locator("#pgf-row-send")).to_contain_text("queued")
    expect_status(page, "paused")
    assert task_statuses(run.pk, "send") == ["queued"]
    page.locator("#pgf-run-head").get_by_role("button", name="Resume").click()
    expect_end(page, "completed")
    page.reload()  # it is still the page of the run
    expect_status(page, "completed")


def test_a_reason_that_is_written_bears_what_happens_meanwhile(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    for word in ("slow", "van away"):
        shop.say(word)
    page = open_page(RUN, boss)
    run = start_run(page)
    expect_step(page, "pack", "running")
    page.locator("summary", has_text="Cancel").click()
    page.get_by_label("Why (optional)").last.fill("the wrong month")
    page.get_by_role("heading", name="shop").click()  # which closes the menu
    shop.unsay("slow")
    expect(page.locator("#pgf-run-head")).to_contain_text("2 of 3 steps")
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect_status(page, "cancelled")
    told = WorkflowRunEvent.objects.get(run_id=run.pk, kind="cancelled")
    assert told.message == "the wrong month"


def test_an_item_is_skipped(open_page: OpenPage, boss: User, run: WorkflowRun) -> None:
    page = open_page(address(run, "task/pack/1/"), boss)
    page.get_by_role("link", name="Skip or complete…").click()
    expect(page.get_by_role("heading", name="Decide pack 1")).to_be_visible()
    page.get_by_role("button", name="Skip it").click()
    expect(page.get_by_text("Skipped: pack 1.")).to_be_visible()
    expect_status(page, "completed")
    assert WorkflowRun.objects.get().output == {"send": "parcel 1, nothing, parcel 3"}


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
    expect_status(page, "completed")
    assert WorkflowRun.objects.get().output == {"send": "parcel 1, parcel of Ada, parcel 3"}


def test_it_is_run_again_from_a_step_and_with_another_input(
    open_page: OpenPage, boss: User, shop: Shop, run: WorkflowRun
) -> None:
    shop.unsay("sold out")
    page = open_page(address(run) + "?step=pack", boss)
    page.locator("summary", has_text="Rerun from here").click()
    page.get_by_role("button", name="Start the rerun").click()
    expect(page.get_by_role("link", name=str(run.pk))).to_be_visible()
    expect_status(page, "completed")
    page.locator("summary", has_text="Run again").click()
    page.get_by_role("link", name="With another input…").click()
    box = page.get_by_label("Input as JSON")
    expect(box).to_have_value('{\n  "day": "Monday"\n}')
    box.fill('{"day": "Tuesday"}')
    page.get_by_role("button", name="Start the run").click()
    expect_status(page, "completed")
    newest = WorkflowRun.objects.order_by("-id").first()
    assert newest is not None
    assert newest.input == {"day": "Tuesday"}
    assert newest.rerun_of is not None


def test_a_log_is_followed_at_1000_lines_a_second(
    open_page: OpenPage, boss: User, shop: Shop
) -> None:
    lines = 6000
    flow_builder.create_flow_from_spec({"workflow_slug": "talk", "steps": TALK})
    shop.say("silence")
    run = executor.start_flow("talk", {"lines": lines})
    page = open_page(address(run) + "?tab=log", boss)
    expect(page.get_by_label("Follow")).to_be_checked()
    shop.unsay("silence")
    expect(page.locator(".pgf-log-line").last).to_contain_text(re.compile("line [1-9]"))
    page.get_by_role("link", name="Steps").click()  # it is no busier than others
    expect(page.locator("#pgf-row-talk")).to_be_visible()
    page.get_by_role("link", name="Log").click()
    wait_status(run, "completed")
    expect(page.locator(".pgf-log-line").last).to_contain_text(f"line {lines - 1}")
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".pgf-log-line")].map((line) =>
            [Number(line.dataset.id), Number(line.querySelector("bdi").textContent.slice(5))])"""
    )
    assert 500 <= len(shown) <= 2000
    ids = [number for number, _ in shown]
    assert ids == sorted(set(ids))
    assert [line for _, line in shown[-500:]] == [*range(lines - 500, lines)]
