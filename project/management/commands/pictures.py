"""`manage.py pictures`: take the documentation's pictures from the demo site, while it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.test import Client

from pgflow_django import RunFailed, drafts, executor
from pgflow_django.models import (
    WorkflowRun,
    WorkflowRunEvent,
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
)
from project import flows
from project.management.commands.serve import NAME, add_address
from project.settings import BASE_DIR

if TYPE_CHECKING:
    from django.core.management.base import CommandParser
    from playwright.sync_api import Browser, Page

FOLDER = BASE_DIR / "docs" / "images"
CHROMIUM = os.environ.get("PGFLOW_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESK, PHONE = {"width": 1280, "height": 760}, {"width": 390, "height": 844}
TALL = {"width": 1280, "height": 1000}
ADMIN = "/admin/pgflow_django"
EDITOR = f"{ADMIN}/workflow/shop_day/edit/"
#: A draft with a mistake in it, which is thrown away afterwards.
PROBLEM: dict[str, Any] = {
    "workflow_slug": "night_import",
    "description": "What the night's files bring.",
    "steps": [
        {"slug": "list_orders"},
        {"slug": "check_stock", "depends_on": ["list_orders"], "type": "map"},
        {"slug": "mail_report", "uses": "mail_reprot", "depends_on": ["check_stock"]},
    ],
}


#: What a program has drawn, and a person is to look at.
REVIEWED: dict[str, Any] = {
    "workflow_slug": "labels",
    "description": "Prints the labels of the orders that can be sent.",
    "steps": [
        {"slug": "list_orders"},
        {"slug": "check_stock", "depends_on": ["list_orders"], "type": "map"},
        {"slug": "print_labels", "depends_on": ["check_stock"]},
    ],
}
MADE = {
    "by": NAME,
    "via": "mcp",
    "token": "orders-bot",
    "client": "some-agent/1.0",
    "model": "some-model",
    "prompt_sha256": "",
}
WISH = "Print every label twice, reorder nothing, and fax the report."


class Command(BaseCommand):
    """Take the pictures of README and docs."""

    help = (
        "Take the pictures of README and docs from the demo site: run `make serve` beside it. "
        "The runs and drafts that it makes for them are removed when it ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address."""
        add_address(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Open each page and take its picture."""
        # The browser's driver runs an event loop in this thread, which Django takes for async code.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        try:
            from playwright.sync_api import sync_playwright
        except ImportError as error:
            raise CommandError("This needs playwright: pip install -r requirements.txt") from error
        if not Path(CHROMIUM).exists():
            raise CommandError(f"There is no {CHROMIUM}: install it, or name it: PGFLOW_CHROMIUM=…")
        FOLDER.mkdir(exist_ok=True)
        flows.install_all()  # somebody may have deleted one since the site was started
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            try:
                with _log_in() as cookie:
                    for name, take, look in _PICTURES:
                        with _open(browser, f"http://{options['address']}", cookie, **look) as page:
                            take(page)
                            page.screenshot(path=FOLDER / f"{name}.png")
                        self.stdout.write(f"docs/images/{name}.png")
            finally:
                _remove_runs()
                browser.close()


@contextmanager
def _log_in() -> Iterator[str]:
    """Give the cookie of one session for all: two would count as two people."""
    client = Client()
    client.force_login(get_user_model().objects.get(username=NAME))
    try:
        yield client.cookies["sessionid"].value
    finally:
        client.logout()


#: The runs that were started for the pictures.
_runs: list[UUID] = []
#: Those of them that fail.
_failed: list[UUID] = []


def _start(slug: str, **options: Any) -> UUID:
    """Start a run that is removed in the end."""
    run = executor.start_flow(slug, options)
    _runs.append(run.id)
    return run.id


def _remove_runs() -> None:
    """Leave the demo site as it was: end the runs that go on, then delete all."""
    for run in _runs:
        executor.cancel_run(run, reason="the picture is taken")
    with transaction.atomic():
        for model in (WorkflowRunEvent, WorkflowTaskAttempt, WorkflowStepTask, WorkflowStepState):
            model.objects.filter(run_id__in=_runs).delete()
        WorkflowRun.objects.filter(pk__in=_runs).delete()
    _runs.clear()


@contextmanager
def _open(browser: Browser, address: str, cookie: str, **look: Any) -> Iterator[Page]:
    """Give an empty page of somebody who is logged in."""
    context = browser.new_context(
        base_url=address, **{"viewport": DESK, "reduced_motion": "reduce", **look}
    )
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": address}])
    try:
        yield context.new_page()
    finally:
        context.close()


def _open_editor(page: Page, path: str = EDITOR) -> None:
    page.goto(path)
    page.wait_for_selector("#pgf-editor[data-ready]")


def _take_flows(page: Page) -> None:
    """When some runs have ended, well or not, and one goes on."""
    runs = [_start("airports_etl") for _ in range(2)]
    runs += [
        _start("shop_day", orders=6, pace=0.05, broken_bank=count % 5 == 2) for count in range(12)
    ]
    for run in runs:
        with suppress(RunFailed):
            executor.wait(run, timeout=180)
    _start("shop_day", orders=24, pace=5)
    page.goto(f"{ADMIN}/workflow/")


def _take_editor(page: Page) -> None:
    _open_editor(page)
    page.locator("#pgf-step-charge_cards").click()
    page.get_by_role("heading", name="charge_cards").wait_for()


def _take_problem(page: Page) -> None:
    user = get_user_model().objects.get(username=NAME)
    drafts.create(PROBLEM["workflow_slug"], PROBLEM, user=user)
    try:
        _open_editor(page, f"{ADMIN}/workflow/night_import/edit/")
        page.locator("#pgf-step-mail_report").click()
        page.get_by_role("heading", name="mail_report").wait_for()
    finally:
        drafts.discard(
            PROBLEM["workflow_slug"], drafts.load(PROBLEM["workflow_slug"]).version, user=user
        )


def _take_trial(page: Page) -> None:
    """What is asked before one step is tried."""
    page.goto(f"{ADMIN}/workflow/shop_day/try/?step=charge_cards")
    page.get_by_role("button", name="Start the trial").wait_for()


def _take_simulation(page: Page) -> None:
    page.goto(f"{ADMIN}/workflow/shop_day/simulate/")
    page.get_by_role("table").first.scroll_into_view_if_needed()


def _take_review(page: Page) -> None:
    """A draft that a program has handed in."""
    user, slug = get_user_model().objects.get(username=NAME), REVIEWED["workflow_slug"]
    draft = drafts.create(slug, REVIEWED, user=user, provenance=MADE)
    try:
        drafts.hand_in(slug, draft.version, user=user, note="For the morning's orders.")
        page.goto(f"{ADMIN}/workflow/{slug}/review/")
        page.get_by_role("button", name="Publish").wait_for()
    finally:
        drafts.discard(slug, drafts.load(slug).version, user=user)


def _take_connect(page: Page) -> None:
    page.goto(f"{ADMIN}/workflow/connect/")


def _take_description(page: Page) -> None:
    """What a model proposes, if the site has one: see ``PGFLOW_AI_MODEL`` in its settings."""
    page.goto(f"{ADMIN}/workflow/shop_day/describe/")
    wish = page.get_by_label("What should change?")
    if wish.count():
        wish.fill(WISH)
        page.get_by_role("button", name="Propose").click()
        page.locator("#pgf-stage").wait_for(timeout=90_000)


def _take_run(page: Page) -> None:
    """In the middle of a run, whose slow steps leave time enough."""
    run = _start("shop_day", orders=24, pace=4)
    page.goto(f"{ADMIN}/workflowrun/{run}/change/")
    page.wait_for_selector("#pgf-dag [data-slug=charge_cards].pgf-running", timeout=60_000)


def _take_workers(page: Page) -> None:
    """While one of them is busy."""
    _start("shop_day", orders=24, pace=4)
    page.goto(f"{ADMIN}/workflowworker/")
    page.locator("#pgf-workers .pgf-running").first.wait_for(timeout=60_000)


def _take_failure(page: Page) -> None:
    run = _start("shop_day", orders=24, pace=0.2, broken_bank=True)
    _failed.append(run)
    page.goto(f"{ADMIN}/workflowrun/{run}/change/")
    page.wait_for_selector("#pgf-run-head[data-ended]", timeout=60_000)


def _take_tab(name: str) -> Callable[[Page], None]:
    """A tab of the page of the run that has failed, where its drawing ends."""

    def take(page: Page) -> None:
        page.goto(f"{ADMIN}/workflowrun/{_failed[-1]}/change/?tab={name}")
        tabs = page.locator("#pgf-tabs")
        tabs.wait_for()
        tabs.evaluate("tabs => scrollTo(0, tabs.offsetTop - 60)")

    return take


def _take_last_runs(page: Page) -> None:
    """The run that has failed beside others that did not."""
    for _ in range(6):
        _start("shop_day", orders=4, pace=0.02)
    for run in _runs[-6:]:
        executor.wait(run, timeout=60)
    _take_tab("grid")(page)


def _take_why(page: Page) -> None:
    """A run that has to wait: it is paused."""
    run = _start("shop_day", orders=24, pace=4)
    executor.pause_run(run, reason="The bank is closed until Monday", by=f"admin:{NAME}")
    page.goto(f"{ADMIN}/workflowrun/{run}/change/")
    page.get_by_role("region", name="Why?").wait_for()


Look = dict[str, Any]
_PICTURES: tuple[tuple[str, Callable[[Page], None], Look], ...] = (
    ("run", _take_run, {}),
    ("failure", _take_failure, {}),
    ("tasks", _take_tab("tasks"), {}),
    ("timeline", _take_tab("timeline"), {}),
    ("log", _take_tab("log"), {}),
    ("last_runs", _take_last_runs, {}),
    ("why", _take_why, {}),
    ("run_dark", _take_failure, {"color_scheme": "dark"}),
    ("run_phone", _take_why, {"viewport": PHONE, "has_touch": True, "is_mobile": True}),
    ("workers", _take_workers, {"viewport": {"width": 1280, "height": 480}}),
    ("flows", _take_flows, {}),
    ("editor", _take_editor, {}),
    ("problem", _take_problem, {}),
    ("try", _take_trial, {}),
    ("simulate", _take_simulation, {}),
    ("review", _take_review, {"viewport": TALL}),
    ("connect", _take_connect, {"viewport": TALL}),
    ("describe", _take_description, {"viewport": TALL}),
    ("dark", _take_editor, {"color_scheme": "dark"}),
    ("phone", _open_editor, {"viewport": PHONE, "has_touch": True, "is_mobile": True}),
)
