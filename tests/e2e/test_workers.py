"""The page of workers follows what happens, without being loaded again."""

from __future__ import annotations

from django.contrib.auth.models import User
from playwright.sync_api import expect

from pgflow_django import engine
from tests.e2e.conftest import OpenPage
from tests.engine.database import query

PAGE = "/admin/pgflow_django/workflowworker/"


def test_workers_appear_and_fall_silent_while_one_looks(open_page: OpenPage, boss: User) -> None:
    page = open_page(PAGE, boss)
    expect(page.get_by_text("There are no workers")).to_be_visible()
    engine.register_worker(
        "celery", "box", 4217, ["default"], ["fetch", "double"], using="default", node="celery@box"
    )
    row = page.get_by_role("row", name="celery@box")
    expect(row.get_by_text("idle")).to_be_visible()
    expect(page.get_by_text("1 worker can work")).to_be_visible()
    row.get_by_text("2", exact=True).click()
    expect(row.get_by_text("fetch, double")).to_be_visible()
    query("update workflow_workers set lease_until = clock_timestamp() - interval '1 min'")
    expect(row.get_by_text("silent")).to_be_visible()
    # What was unfolded stays so.
    expect(row.get_by_text("fetch, double")).to_be_visible()
