"""Why a run waits, on its page: all reasons, those of a step, and a look anew."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from pgflow_django import executor, flow_builder
from tests.e2e.conftest import DESK, PHONE, OpenPage
from tests.e2e.test_crawl import FIND_FAULTS, find_with_axe
from tests.engine.database import query
from tests.engine.workers import HandWorker

EVIL = "<img src=x onerror=alert(1)>"
STEPS: list[dict[str, Any]] = [
    {"slug": "fetch", "max_attempts": 3},
    {"slug": "train", "queue": "gpu", "max_attempts": 3},
    {"slug": "report", "depends_on": ["train", "fetch"]},
    {"slug": "mail", "depends_on": ["report"]},
]


@pytest.fixture
def run(transactional_db: None) -> str:
    """The address of a run of which a step retries, one is for nobody, and two wait for them."""
    flow_builder.create_flow_from_spec({"workflow_slug": "mixed", "steps": STEPS})
    started = executor.start_flow("mixed")
    worker = HandWorker(functions=["fetch"])
    worker.fail(*worker.claim(), delay=100)
    query("update workflow_task_attempts set error_message = %s", EVIL)
    query(
        "update workflow_step_tasks set queued_at = queued_at - interval '5 minutes'; "
        "update workflow_step_states set started_at = started_at - interval '5 minutes' "
        "where status = 'started'"
    )
    return f"/admin/pgflow_django/workflowrun/{started.id}/change/"


def test_all_reasons_are_told_those_of_a_step_and_what_has_become_of_them(
    open_page: OpenPage, boss: User, run: str
) -> None:
    page = open_page(run, boss)
    why = page.get_by_role("region", name="Why?")
    expect(why.get_by_role("listitem")).to_have_count(3)
    expect(why.get_by_role("listitem").first).to_contain_text(
        'It waits: no live worker serves queue "gpu", where step "train" has waited for 5 min'
    )
    expect(why).to_contain_text(f"last: ValueError: {EVIL}")
    page.locator("#pgf-dag [data-slug=mail]").click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_contain_text(
        'step "mail" waits for step "report", which waits for step "train": no live worker serves'
    )
    # The page looks by itself, too, and would take the link away before it is clicked.
    now = {"X-Pgf-Now": str(time.time())}
    page.route("**/live/", lambda route: route.fulfill(status=204, headers=now))
    HandWorker(["gpu"]).claim()
    why.get_by_role("link", name="Look again").click()
    expect(why).to_contain_text('step "train" runs since')
    expect(why).not_to_contain_text("It waits")


def test_what_helps_is_done_by_the_button_of_its_reason(
    open_page: OpenPage, boss: User, run: str
) -> None:
    page = open_page(run, boss)
    why = page.get_by_role("region", name="Why?")
    why.get_by_role("button", name="Retry now").click()
    expect(page.get_by_text("The next attempt is made now.")).to_be_visible()
    expect(why.get_by_role("button")).to_have_count(0)
    page.locator("summary", has_text="Pause").click()
    page.get_by_role("button", name="Pause this run").click()
    resume = why.get_by_role("button", name="Resume")
    expect(resume).to_be_visible()
    assert find_with_axe(page, None) == []
    resume.press("Enter")
    expect(page.get_by_text("The run goes on.")).to_be_visible()
    expect(resume).to_have_count(0)
    assert page.url.endswith(run)
    why.get_by_role("link", name="See the workers").click()
    expect(page).to_have_url(re.compile("/workflowworker/"))


def test_its_buttons_are_forms_without_javascript(
    open_page: OpenPage, boss: User, run: str
) -> None:
    page = open_page(run, boss, java_script_enabled=False)
    page.get_by_role("region", name="Why?").get_by_role("button", name="Retry now").click()
    expect(page.get_by_text("The next attempt is made now.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", ["desk", "phone"])
def test_it_is_whole_and_axe_finds_nothing(
    open_page: OpenPage, boss: User, run: str, theme: Literal["light", "dark"], width: str
) -> None:
    size = DESK if width == "desk" else PHONE
    page = open_page(f"{run}?step=mail", boss, viewport=size, color_scheme=theme)
    expect(page.get_by_role("region", name="Why?")).to_be_visible()
    assert page.evaluate(FIND_FAULTS) == []
    assert find_with_axe(page, None) == []
    if folder := os.environ.get("PGFLOW_PICTURES"):
        page.screenshot(path=Path(folder) / f"why_{width}_{theme}.png", full_page=True)
