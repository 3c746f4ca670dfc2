"""What is measured, each the median of several tries after one that does not count."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User

import pgflow_django
from bench.ui.flows import FUNCTION, make_document
from pgflow_django.drawing.layout import Node, compute_layout

if TYPE_CHECKING:
    from playwright.sync_api import Page

TRIES = 9
#: Of what takes no browser.
QUICK_TRIES = 50
MAX_SCRIPT_BYTES = 14_600
#: Milliseconds by number of steps.
LAYOUT = {300: 40, 1000: 120}
READY = {300: 400, 1000: 900}
EDITED = {300: 200, 1000: 900}

_OPEN = "() => performance.getEntriesByName('pgf-ready').at(-1)?.startTime ?? null"
_EDIT = """async (name) => {
    performance.clearMarks("pgf-edited");
    const begin = performance.now();
    document.querySelector(`#pgf-palette [data-function="${name}"]`).click();
    let mark;
    while (!(mark = performance.getEntriesByName("pgf-edited")[0]))
        await new Promise((go) => setTimeout(go, 2));
    return mark.startTime - begin;
}"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report: milliseconds, bytes or queries."""

    name: str
    value: float
    budget: int
    unit: str = "ms"

    @property
    def is_met(self) -> bool:
        """Whether the budget is kept."""
        return self.value <= self.budget

    def to_dict(self) -> dict[str, Any]:
        """The line as a JSON object."""
        if self.unit != "ms":
            return {
                "name": self.name,
                self.unit: int(self.value),
                f"budget_{self.unit}": self.budget,
            }
        return {"name": self.name, "median_ms": round(self.value, 1), "budget_ms": self.budget}


def find_user() -> User:
    """The one who looks at all pages: a superuser."""
    return User.objects.filter(username="bench").first() or User.objects.create_superuser("bench")


def find_median(measure: Callable[[], float], tries: int = TRIES) -> float:
    """Measure several times and return the median."""
    measure()
    return median(measure() for _ in range(tries))


def measure_layouts() -> Iterator[Figure]:
    """How long the layout of a flow takes that was never laid out before."""
    for count, budget in LAYOUT.items():
        nodes = [
            Node(row["slug"], tuple(row.get("depends_on", ())), subtitle=row["uses"])
            for row in make_document(count)["steps"]
        ]

        def measure(nodes: list[Node] = nodes) -> float:
            begin = time.perf_counter()
            compute_layout(nodes)
            return (time.perf_counter() - begin) * 1000

        yield Figure(f"layout_{count}", find_median(measure, QUICK_TRIES), budget)


def measure_pages(page: Page, urls: dict[int, str]) -> Iterator[Figure]:
    """From the request to the page that can be used, and from a click to the edited drawing."""
    for count, url in urls.items():
        yield Figure(f"page_{count}", measure_opening(page, url), READY[count])

        def edit() -> float:
            page.wait_for_load_state("networkidle")
            return float(page.evaluate(_EDIT, FUNCTION))

        yield Figure(f"operation_{count}", find_median(edit), EDITED[count])


def measure_opening(page: Page, url: str) -> float:
    """From the request to the page that can be used, in milliseconds."""

    def open_page() -> float:
        page.goto(url)
        return _wait_for_mark(page)

    return find_median(open_page)


def _wait_for_mark(page: Page) -> float:
    page.locator("[data-pgf][data-ready]").wait_for(state="attached")
    while (found := page.evaluate(_OPEN)) is None:
        page.wait_for_timeout(5)
    return float(found)


def measure_script() -> Figure:
    """The size of all scripts of our own that the editor loads, each as it is sent."""
    package = Path(pgflow_django.__file__).parent
    page = (package / "templates/pgflow_django/base.html").read_text()
    scripts = re.findall(r"static '(pgflow_django/dag/\w+\.js)'", page)
    size = sum(len(gzip.compress((package / "static" / name).read_bytes(), 9)) for name in scripts)
    return Figure("script", size, MAX_SCRIPT_BYTES, "bytes")
