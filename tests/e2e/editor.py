"""The editor as its users handle it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import Error, Locator, Page, expect

from pgflow_django import drafts
from tests.e2e.conftest import OpenPage

#: Milliseconds in which a tap becomes a click, on a busy machine too.
TAP_PAUSE = 5_000

#: The guide's flow of three steps, one of them once per item.
GUIDE: list[dict[str, Any]] = [
    {"slug": "fetch"},
    {"slug": "double", "depends_on": ["fetch"], "type": "map"},
    {"slug": "report", "depends_on": ["double"]},
]


class Editor:
    """A page of the editor."""

    def __init__(self, page: Page) -> None:
        self.page = page
        expect(page.locator("#pgf-editor[data-ready]")).to_be_attached()

    @property
    def names(self) -> list[str]:
        """The steps of the drawing, in reading order."""
        script = "all => all.map((node) => node.dataset.slug)"
        return list(self.page.locator(".pgf-node").evaluate_all(script))

    def step(self, slug: str) -> Locator:
        """A step's card."""
        return self.page.locator(f"#pgf-step-{slug}")

    def edge(self, source: str, target: str) -> Locator:
        """A line of the drawing."""
        return self.page.locator(f"#pgf-edge-{source}-{target}")

    def function(self, name: str) -> Locator:
        """A function of the palette."""
        return self.page.locator(f'#pgf-palette [data-function="{name}"]')

    def expect_steps(self, *slugs: str) -> None:
        """Wait until the drawing has these steps, in any order."""
        expect(self.page.locator(".pgf-node")).to_have_count(len(slugs))
        for slug in slugs:
            expect(self.step(slug)).to_be_visible()

    def expect_edge(self, source: str, target: str) -> None:
        """Wait until a line is there."""
        expect(self.edge(source, target)).to_be_attached()

    def open_step(self, slug: str) -> None:
        """Click a step and wait for its settings."""
        self.step(slug).click()
        # Within the panel: a flow may be called as the step is.
        panel = self.page.locator("#pgf-panel")
        expect(panel.get_by_role("heading", name=slug, exact=True)).to_be_visible()

    def tap(self, locator: Locator) -> None:
        """Tap with a finger, once more where no click came of it.

        Chromium makes a click of two touches by itself, and now and then, on a busy machine, none.
        """
        count = (
            "() => { globalThis.clicks = 0;"
            " addEventListener('click', () => clicks++, { capture: true }); }"
        )
        self.page.evaluate(count)
        locator.tap()
        try:
            self.page.wait_for_function("() => clicks > 0", timeout=TAP_PAUSE)
        except Error:
            locator.tap()

    def expect_toast(self, text: str) -> None:
        """Wait for a message at the lower end of the stage."""
        expect(self.page.locator(".pgf-toast").filter(has_text=text)).to_be_visible()

    def find_middle(self, locator: Locator) -> tuple[float, float]:
        """The middle of an element on the screen."""
        box = locator.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, start: Locator, to: tuple[float, float]) -> None:
        """Drag with the mouse, without letting go."""
        start.scroll_into_view_if_needed()
        self.page.mouse.move(*self.find_middle(start))
        self.page.mouse.down()
        self.page.mouse.move(*to, steps=5)

    def connect(self, source: str, target: str) -> None:
        """Drag from one step's port to another step."""
        port = self.step(source).locator(".pgf-out")
        self.drag(port, self.find_middle(self.step(target)))
        self.page.mouse.up()
        self.expect_edge(source, target)


def make_draft(user: User, steps: Sequence[dict[str, Any]] = (), slug: str = "numbers") -> None:
    """Begin a flow that nobody has published."""
    document = {"workflow_slug": slug, "steps": list(steps)}
    drafts.create(slug, document if steps else None, user=user)


def open_editor(
    open_page: OpenPage, user: User, slug: str = "numbers", query: str = "", **options: Any
) -> Editor:
    """Open the editor of a flow. A phone asks for the drawing again, once it has a width."""
    editor = Editor(
        open_page(f"/admin/pgflow_django/workflow/{slug}/edit/{query}", user, **options)
    )
    if options.get("is_mobile"):
        editor.page.wait_for_load_state("networkidle")
    return editor


def steps_of(slug: str = "numbers") -> list[dict[str, Any]]:
    """The steps as they are stored, in a fixed order."""
    rows: list[dict[str, Any]] = drafts.load(slug).document["steps"]
    return sorted(rows, key=lambda row: str(row["slug"]))


def in_order(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Steps as ``steps_of`` gives them."""
    return sorted(steps, key=lambda row: str(row["slug"]))
