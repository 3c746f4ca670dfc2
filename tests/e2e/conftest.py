"""A real Chromium on a real server, under the strict policy; any error in its console fails.

``make test-e2e`` runs these tests. Where there is no Chromium they are left out with one line,
unless ``CI`` is set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test import Client, override_settings

from pgflow_django.registry import registry
from tests.engine.database import clean, query

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page
    from pytest_django.live_server_helper import LiveServer

CHROMIUM = os.environ.get("PGFLOW_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = {"width": 1440, "height": 860}, {"width": 390, "height": 844}
TOUCH: dict[str, Any] = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
PATIENCE = 15_000  # milliseconds: machines may be busy

#: What Chromium and htmx say in the console about answers that a test provokes, and about requests
#: that a newer one has overtaken.
PROVOKED = re.compile(
    r"Failed to load resource: .*(status of 4(01|04|09|22|29)|ERR_INTERNET_DISCONNECTED)"
    r"|Response Status Error Code 40[14]"
    r"|htmx:(sendError|sendAbort|afterRequest)"
)
#: Tables of drafts, children first.
DRAFTS = ("workflow_presences", "workflow_revisions", "workflow_drafts")
#: Tables of programs.
PROGRAMS = ("workflow_agent_tokens", "workflow_agent_calls", "workflow_agent_usage")

collect_ignore_glob = [] if Path(CHROMIUM).exists() else ["test_[!c]*.py", "test_c[!h]*.py"]

# The browser's driver runs an event loop in this thread, which Django takes for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a Chromium. It ends with the module: a test with asyncio may come next."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def live_server(django_db_setup: None, django_db_blocker: Any) -> Iterator[LiveServer]:
    """Give a server of the tests' site that sends the strict policy."""
    from django.conf import settings
    from pytest_django.live_server_helper import LiveServer

    middleware = ["tests.e2e.policy.StrictPolicy", *settings.MIDDLEWARE]
    with override_settings(MIDDLEWARE=middleware):
        server = LiveServer("localhost")
    with override_settings(ALLOWED_HOSTS=["localhost", "testserver"]):
        yield server
    server.stop()
    with django_db_blocker.unblock():  # a thread of the server may still hold its connection
        query(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        connection.close()


@pytest.fixture(autouse=True)
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let the test commit, since the server's threads must see what it does."""
    with django_db_blocker.unblock():
        empty()
        yield
        empty()


def empty(*, but: Collection[str] = ()) -> None:
    """Leave nothing of a test behind, but for what is in the tables ``but``."""
    with transaction.atomic():
        # A request that a closed page has left behind may still write.
        query(f"lock table {', '.join(DRAFTS)} in access exclusive mode")
        for table in (*DRAFTS, *PROGRAMS):
            query(f"delete from {table}")
    clean(but=but)
    query("delete from django_admin_log")
    Session.objects.all().delete()
    User.objects.all().delete()


@pytest.fixture
def functions() -> Iterator[None]:
    """Let there be the step functions that the tests draw with, and no others.

    Others would come from whatever tests the process has imported: with many of them the palette
    scrolls, and what the mouse shall take is out of its reach.
    """

    def fetch(input: Any) -> list[int]:
        """Get the numbers."""
        return [1, 2, 3]

    def double(input: Any) -> int:
        """Double one number."""
        return int(input["item"]) * 2

    def report(input: Any) -> dict[str, Any]:
        """Add them up."""
        return {"sum": sum(input["double"])}

    def score(input: Any) -> int:
        """Judge the whole."""
        return 1

    before = dict(registry._functions)
    registry._functions.clear()
    for function in (fetch, double, report, score):
        registry.register(function)
    yield
    registry._functions.clear()
    registry._functions.update(before)


@pytest.fixture
def boss(transactional_db: None) -> User:
    """Give a superuser."""
    return User.objects.create_superuser("boss")


@pytest.fixture
def open_page(live_server: LiveServer, browser: Browser) -> Iterator[OpenPage]:
    """Open a page as a user: ``open_page("/admin/…", user, viewport=PHONE, has_touch=True)``.

    Arguments behind the user go to Playwright's ``new_context``. When the test ends, everything
    that any page complained about makes it fail.
    """
    complaints: list[str] = []
    contexts = []

    def open_one(path: str, user: User, **options: Any) -> Page:
        context = browser.new_context(
            base_url=live_server.url, **{"viewport": DESK, "reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`))"
        )
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        watch(page, complaints)
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


def watch(page: Page, complaints: list[str]) -> None:
    """Collect what the page complains about."""

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not PROVOKED.search(message.text):
            complaints.append(f"{message.text} ({message.location.get('url')})")

    def answer(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.accept()

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
    page.on("dialog", answer)
