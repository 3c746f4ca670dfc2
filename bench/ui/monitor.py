"""What the page of a run costs: to open, to look at while nothing changes, and when much does."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

import pgflow_django
from bench.ui.measures import QUICK_TRIES, Figure, find_median, find_user, measure_opening
from bench.ui.runs import BenchRun

if TYPE_CHECKING:
    from playwright.sync_api import Page

MAX_SCRIPT_BYTES, MAX_SCRIPTS_BYTES = 7_168, 18_432
READY, IDLE, BURST = 500, 5, 1000  # milliseconds
QUERIES, MAX_ANSWER_BYTES = 4, 20_000
#: Steps that end at once, and how often: the first time does not count.
AT_ONCE, BURSTS = 50, 4

_STATE = re.compile(r'data-state="([\w-]+)"')
#: From the look that finds the change, which the page takes when it gets the focus.
_SEE = """async (slugs) => {
    const begin = performance.now();
    dispatchEvent(new Event("focus"));
    const isShown = (slug) => document.querySelector(`#pgf-step-${slug}.pgf-completed`);
    while (!slugs.every(isShown)) await new Promise(requestAnimationFrame);
    return performance.now() - begin;
}"""


def measure_scripts() -> Iterator[Figure]:
    """The size of the page's own script, and of all that the page loads, each as it is sent."""
    package = Path(pgflow_django.__file__).parent
    templates = package / "templates/pgflow_django"
    text = "".join((templates / name).read_text() for name in ("base.html", "runs/run.html"))
    names = re.findall(r"static 'pgflow_django/((?!vendor)[\w/]+\.js)'", text)
    static = package / "static/pgflow_django"
    sizes = {name: len(gzip.compress((static / name).read_bytes(), 9)) for name in names}
    yield Figure("monitor_js", sizes["monitor.js"], MAX_SCRIPT_BYTES, "bytes")
    yield Figure("run_scripts", sum(sizes.values()), MAX_SCRIPTS_BYTES, "bytes")


def measure_monitor(page: Page, base: str, run: BenchRun) -> Iterator[Figure]:
    """Open the page of a run, and see how soon it shows what has happened."""
    yield Figure("run_page_300", measure_opening(page, f"{base}{run.path}change/"), READY)
    yield Figure("run_poll_burst", median([_burst(page, run) for _ in range(BURSTS)][1:]), BURST)


def measure_looks(run: BenchRun) -> Iterator[Figure]:
    """What a run's page asks for again and again: the server's time, with no browser beside."""
    with connection.cursor() as cursor:
        cursor.execute("analyze")
    client = Client(SERVER_NAME="localhost")
    client.force_login(find_user())
    path = run.path
    state = _read_state(client.get(f"{path}live/").content)

    def look() -> float:
        begin = time.perf_counter()
        answer = client.get(f"{path}live/", headers={"X-Pgf-State": state})
        assert answer.status_code == 204
        return (time.perf_counter() - begin) * 1000

    yield Figure("run_poll_idle", find_median(look, QUICK_TRIES), IDLE)
    with CaptureQueriesContext(connection) as queries:
        look()
    yield Figure("run_poll_idle_queries", len(queries), QUERIES, "queries")
    run.complete(run.running[:AT_ONCE])
    sizes = []
    while True:
        answer = client.get(f"{path}live/", headers={"X-Pgf-State": state})
        state = _read_state(answer.content)
        sizes.append(len(answer.content))
        if answer.get("HX-Trigger") != "pgf:more":
            break
    yield Figure("run_poll_change", max(sizes), MAX_ANSWER_BYTES, "bytes")


def _read_state(answer: bytes) -> str:
    found = _STATE.search(answer.decode())
    assert found
    return found[1]


def _burst(page: Page, run: BenchRun) -> float:
    """How long it takes until all of the steps that have ended at once are to be seen."""
    run.begin(AT_ONCE)
    page.goto(page.url)
    page.wait_for_load_state("networkidle")
    ended = run.running[:AT_ONCE]
    run.complete(ended)
    return float(page.evaluate(_SEE, ended))
