"""Every page at every width, in both themes, enlarged and printed, with names and texts that are
hard to show: nothing is wider than the page, covered or cut, and axe finds nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.e2e import crowded
from tests.e2e.conftest import OpenPage

LOOKS: dict[str, dict[str, Any]] = {
    "390": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "768": {"viewport": {"width": 768, "height": 1024}},
    "1280": {"viewport": {"width": 1280, "height": 800}},
    "1920": {"viewport": {"width": 1920, "height": 1080}},
    # What twice the size leaves of 1280 by 800.
    "zoom": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}
#: Where axe looks, too: it takes longer than all the rest, and finds the same everywhere.
WITH_AXE = ("390", "1280")
#: With the rules of axe that matter: only colours depend on the theme. ``None`` are all.
THEMES = {"light": None, "dark": ["color-contrast"]}
PAPER = {"viewport": {"width": 1000, "height": 1400}}
#: Colours of links change bit by bit.
SETTLE = """() => new Promise(requestAnimationFrame).then(
    () => Promise.allSettled(document.getAnimations().map((each) => each.finished)))"""
#: Pages that are worth printing.
PRINTED = ("flows", "editor", "editor_large", "list_step", "code", "diff", "runs", "run_failed")
#: Django's own parts of a page.
DJANGOS = (
    *("#changelist-filter", "#header", "#nav-sidebar", "#toggle-nav-sidebar", "#toolbar"),
    *("#changelist .actions", "#result_list thead", ".breadcrumbs"),
)
#: A folder for pictures of all pages, if somebody wants them.
PICTURES = os.environ.get("PGFLOW_PICTURES")

#: Returns what is wrong with the page as sentences.
FIND_FAULTS = (Path(__file__).parent / "faults.js").read_text("utf-8")
#: The same for a page on paper: what can be clicked, and what of the drawing or page is cut off.
FIND_FAULTS_ON_PAPER = (Path(__file__).parent / "paper.js").read_text("utf-8")


@pytest.fixture
def runs(transactional_db: None, boss: User) -> Iterator[dict[str, UUID]]:
    """Give the runs of the crowded site by their status."""
    with crowded.functions():
        yield crowded.fill(boss)


def find_with_axe(page: Page, rules: list[str] | None) -> list[str]:
    """What axe finds by these rules, or by all, apart from what is Django's own."""
    options = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    context = {"exclude": [[place] for place in DJANGOS]}
    found = Axe().run(page, context=context, options=options).response
    return [
        f"axe: {rule['id']}: {node['html'][:160]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def visit(page: Page, path: str, act: Callable[[Page], None] | None) -> None:
    """Open a page, wait for its scripts, and do what is to be done there."""
    page.goto(path)
    if page.locator("#pgf-editor").count():
        expect(page.locator("#pgf-editor[data-ready]")).to_be_attached()
    if act:
        act(page)
        page.wait_for_load_state()  # what it has sent may have led to another page


def take_picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_whole_and_within_reach(
    open_page: OpenPage, boss: User, runs: dict[str, UUID], look: str
) -> None:
    page = open_page("/admin/", boss, **LOOKS[look])
    wrong = []
    for name, (path, act) in crowded.list_pages(runs).items():
        visit(page, path, act)
        for theme, rules in THEMES.items():
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.evaluate(SETTLE)
            faults = page.evaluate(FIND_FAULTS)
            if look in WITH_AXE:
                faults += find_with_axe(page, rules)
            wrong += [f"{name}, {theme}: {fault}" for fault in faults]
            take_picture(page, f"{name}-{look}-{theme}")
    assert not wrong, "\n".join(wrong)


def test_paper_shows_the_whole_drawing_and_nothing_to_click(
    open_page: OpenPage, boss: User, runs: dict[str, UUID]
) -> None:
    page = open_page("/admin/", boss, color_scheme="dark", **PAPER)
    pages = crowded.list_pages(runs)
    wrong = []
    for name in PRINTED:
        page.emulate_media(media="screen")
        visit(page, *pages[name])
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        wrong += [f"{name}: {fault}" for fault in page.evaluate(FIND_FAULTS_ON_PAPER)]
        take_picture(page, f"{name}-paper")
    assert not wrong, "\n".join(wrong)
    # As soon as it is printed, it can be moved again.
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("#pgf-dag")).not_to_have_attribute("viewBox", re.compile("."))


def test_a_site_without_flows_is_whole(open_page: OpenPage, boss: User) -> None:
    page = open_page("/admin/", boss, **LOOKS["390"])
    for model in ("workflow", "workflowrun", "workflowworker"):
        page.goto(f"{crowded.ADMIN}{model}/")
        assert page.evaluate(FIND_FAULTS) == []
        assert find_with_axe(page, None) == []
        take_picture(page, f"{model}-empty")
