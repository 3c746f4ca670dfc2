"""A draft is handed in by one person and returned by another, at every width and in both themes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import expect

from pgflow_django import drafts
from tests.e2e.conftest import TOUCH, OpenPage
from tests.e2e.editor import make_draft
from tests.e2e.test_crawl import FIND_FAULTS, find_with_axe

EDIT = "/admin/pgflow_django/workflow/numbers/edit/"
STEPS: list[dict[str, Any]] = [
    {"slug": "fetch"},
    {"slug": "double", "depends_on": ["fetch"], "type": "map"},
]
#: With a word that is read from right to left, and one that can't be broken.
NOTE = "Doubles the numbers.\n\u05d1\u05d3\u05d5\u05e7 " + "w" * 128


@pytest.fixture
def writer() -> User:
    writer = User.objects.create_user("writer", is_staff=True)
    names = ("view_workflow", "change_workflow")
    writer.user_permissions.set(Permission.objects.filter(codename__in=names))
    return writer


@pytest.mark.parametrize("options", [{}, TOUCH], ids=["desk", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_handed_in_and_returned(
    open_page: OpenPage, boss: User, writer: User, options: dict[str, Any], theme: str
) -> None:
    make_draft(boss, STEPS)
    view = f"{EDIT}?view=diagram"
    page = open_page(view, writer, color_scheme=theme, **options)
    page.locator("summary", has_text="Hand in").click()
    page.get_by_label("What it is about").fill(NOTE)
    assert page.evaluate(FIND_FAULTS) == []
    assert find_with_axe(page, None) == []
    shoot(page, f"writing-{theme}-{len(options)}")
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_text("writer has handed this in to be published.")).to_be_visible()
    other = open_page(view, boss, color_scheme=theme, **options)
    other.locator("summary", has_text="Return with a note").click()
    other.get_by_label("What to do better").fill("Describe it.")
    assert other.evaluate(FIND_FAULTS) == []
    assert find_with_axe(other, None) == []
    shoot(other, f"returning-{theme}-{len(options)}")
    other.get_by_role("button", name="Return with a note").click()
    expect(other.get_by_text("has returned this instead of publishing it.")).to_be_visible()
    assert drafts.load("numbers").handed_in is None


def shoot(page: Any, name: str) -> None:
    if folder := os.environ.get("PGFLOW_PICTURES"):
        page.screenshot(path=f"{folder}/handing-{name}.png")
