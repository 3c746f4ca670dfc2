"""``python -m bench.ui``: one JSON line a figure; exit status 1 where a budget is missed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.__main__ import prepare_django
from bench.options import parse_options

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from bench.ui.measures import Figure

CHROMIUM = os.environ.get("PGFLOW_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> int:
    """Measure and print: 0 all budgets are kept, 1 one is not, 2 it can't be measured here."""
    if not Path(CHROMIUM).exists():
        print(f"bench.ui: there is no Chromium at {CHROMIUM}; set PGFLOW_CHROMIUM", file=sys.stderr)
        return 2
    options = parse_options([])
    prepare_django(options)
    from bench.database import Refused

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the browser's driver has a loop of its own
    missed = []
    try:
        for figure in measure():
            print(json.dumps(figure.to_dict()), flush=True)
            if not figure.is_met:
                missed.append(figure.name)
    except Refused as error:
        print(f"bench.ui: {error}", file=sys.stderr)
        return 2
    if missed:
        print(f"bench.ui: over budget: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def measure() -> Iterator[Figure]:
    """Give the figures one after another. Raises ``Refused``."""
    from bench.database import bench_database
    from bench.ui.measures import measure_layouts, measure_pages, measure_script
    from bench.ui.monitor import measure_looks, measure_monitor, measure_scripts
    from bench.ui.month import measure_month
    from bench.ui.runs import BenchRun

    yield measure_script()
    yield from measure_scripts()
    yield from measure_layouts()
    with bench_database():
        run = BenchRun()
        yield from measure_looks(run)
        with serve() as base, open_browser(base) as page:
            yield from measure_pages(page, make_flows(base))
            yield from measure_monitor(page, base, run)
        yield from measure_month()


def make_flows(base: str) -> dict[int, str]:
    """Store the flows and give the addresses of their editors by the number of steps."""
    from bench.ui.flows import make_document
    from bench.ui.measures import READY
    from pgflow_django import drafts

    urls = {}
    for count in READY:
        document = make_document(count)
        slug = document["workflow_slug"]
        drafts.create(slug, document, user="bench")
        urls[count] = f"{base}/admin/pgflow_django/workflow/{slug}/edit/?view=diagram"
    return urls


@contextmanager
def serve() -> Iterator[str]:
    """Run the demo site in a thread and give its address."""
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.test.testcases import LiveServerThread

    server = LiveServerThread("127.0.0.1", StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    if server.error:
        raise server.error
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.terminate()


@contextmanager
def open_browser(base: str) -> Iterator[Page]:
    """Open a page in which a superuser is logged in."""
    from django.test import Client
    from playwright.sync_api import sync_playwright

    from bench.ui.measures import find_user

    client = Client()
    client.force_login(find_user())
    cookie = client.cookies["sessionid"].value
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1440, "height": 860})
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": base}])
        yield context.new_page()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
