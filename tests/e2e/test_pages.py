"""Every page of the admin: no place for foreign HTML, and quick."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from pgflow_django import drafts, engine, executor, flow_builder
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from pgflow_django.views.runs.tabs import TABS
from tests.e2e.conftest import OpenPage
from tests.e2e.editor import make_draft, open_editor
from tests.engine.database import query

ADMIN = "/admin/pgflow_django/"
#: What strangers may write where the app shows it, each of which says so if it comes through.
EVIL = [
    "<script>alert('script')</script>",
    "\"><img src=x onerror=alert('img')>",
    "' onmouseover='alert(1)' autofocus onfocus='alert(2)",
    "</textarea></title></pre><svg onload=alert('svg')>",
    "<a hx-get=/admin/ hx-trigger=load hx-target=body>htmx</a>",
    "javascript:alert('link') {{ 7|add:7 }} {% debug %} ${7*7}",
    "]]></style><iframe srcdoc=\"<script>parent.alert('frame')</script>\">",
]
CORPUS = " ".join(EVIL)
SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "title": "How many", "default": 3, "description": CORPUS},
        "kind": {"type": "string", "enum": ["fast", "slow"], "title": "Kind"},
        "is_dry": {"type": "boolean", "title": "Dry run"},
    },
}


@pytest.fixture
def names(transactional_db: None, boss: User) -> Iterator[dict[str, str]]:
    """Give the addresses of every page, about flows and runs that hold what strangers wrote."""

    def good(input: Any, context: Any) -> Any:
        """Say and return what is evil."""
        context.log(CORPUS, **{CORPUS: EVIL})
        return {"text": EVIL, "item": [1, 2], CORPUS: CORPUS}

    def bad(input: Any) -> Any:
        """Fail with what is evil."""
        raise ValueError(CORPUS)

    good.__doc__ = bad.__doc__ = CORPUS
    for function in (good, bad):
        registry.unregister(function.__name__)
        registry.register(function)
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": "evil",
            "description": CORPUS,
            "max_attempts": 1,
            "input_schema": SCHEMA,
            "steps": [
                {"slug": "good"},
                {"slug": "bad", "depends_on": ["good"], "description": CORPUS},
                {"slug": "never", "uses": "good", "depends_on": ["bad"]},
            ],
        }
    )
    with engine.starting_as(CORPUS[:100], "admin"):
        failed = executor.start_flow("evil", {"count": 1, "note": EVIL}, key=CORPUS[:200])
    executor.drain(timeout=30)
    query("update workflow_step_tasks set worker = %s where worker is not null", CORPUS)
    query("update workflow_task_attempts set worker = %s", CORPUS)
    waiting = executor.start_flow("evil", {})
    paused = executor.start_flow("evil", {})
    executor.pause_run(paused.id, by=CORPUS, reason=CORPUS)
    engine.register_worker(
        "celery", CORPUS, 4217, ["default"], [CORPUS], using="default", node=CORPUS
    )
    version = drafts.load("evil").version
    drafts.edit("evil", version, "set_flow", {"description": f"{CORPUS} twice"}, user=boss)
    flow, run = f"{ADMIN}workflow/evil/", f"{ADMIN}workflowrun/{failed.id}/change/"
    assert WorkflowRun.objects.get(pk=failed.id).status == "failed"
    yield {
        "index": "/admin/",
        "flows": f"{ADMIN}workflow/",
        "new": f"{ADMIN}workflow/new/",
        "copy": f"{ADMIN}workflow/new/?from=evil",
        "import": f"{ADMIN}workflow/import/",
        "editor": f"{flow}edit/?step=bad",
        "start": f"{flow}run/",
        "start_json": f"{flow}run/?mode=json",
        "history": f"{flow}history/",
        "diff": f"{flow}history/{drafts.history('evil')[0].seq}/diff/",
        "compare": f"{flow}diff/",
        "list": f"{flow}edit/?view=list",
        "runs": f"{ADMIN}workflowrun/",
        "failed": run,
        **{f"failed_{tab}": f"{run}?tab={tab}" for tab in TABS},
        "task": f"{ADMIN}workflowrun/{failed.id}/task/bad/0/",
        "waiting": f"{ADMIN}workflowrun/{waiting.id}/change/",
        "paused": f"{ADMIN}workflowrun/{paused.id}/change/",
        "paused_log": f"{ADMIN}workflowrun/{paused.id}/change/?tab=log",
        "decide": f"{ADMIN}workflowrun/{failed.id}/decide/bad/",
        "delete": f"{flow}delete/",
        "workers": f"{ADMIN}workflowworker/",
    }
    for function in (good, bad):
        registry.unregister(function.__name__)


PAGES = (
    *("index", "flows", "new", "import", "editor", "start", "start_json", "history", "diff"),
    *(*(f"failed_{tab}" for tab in TABS), "task"),
    *("copy", "compare", "list", "runs", "failed", "waiting", "delete", "workers"),
    *("paused", "paused_log", "decide"),
)
#: Where something evil must be read, and of whom: who acted and why, worker names, what was logged.
TOLD = {
    "paused": "#pgf-waiting",
    "paused_log": "#pgf-log",
    "failed_log": "#pgf-log",
    "task": ".pgf-task",
    "workers": "#content",
}


def test_what_strangers_wrote_is_shown_as_text(
    open_page: OpenPage, boss: User, names: dict[str, str]
) -> None:
    page = open_page("/admin/", boss)
    intruders = (
        '[...document.querySelectorAll(\'img[src="x"], iframe, [onmouseover], [onfocus], [onload],'
        ' [onerror], a[href^="javascript:"], [hx-get="/admin/"]\')].map((e) => e.outerHTML)'
    )
    for name in PAGES:
        page.goto(names[name])
        for details in page.locator("main details, #content details").all():
            details.evaluate("(all) => (all.open = true)")
        assert page.evaluate(intruders) == [], name
        if name in TOLD:
            expect(page.locator(TOLD[name])).to_contain_text(EVIL[0])
    page.goto(names["failed"])
    details = page.locator("#pgf-details")
    expect(details).to_contain_text(EVIL[0])
    page.locator("#pgf-dag [data-slug=good]").click()
    panel = page.get_by_role("complementary", name="Details")
    expect(panel).to_contain_text(EVIL[0])  # the worker's name and the output
    expect(panel).to_contain_text("{{ 7|add:7 }} {% debug %}")
    assert page.evaluate(intruders) == []


@pytest.mark.parametrize("name", EVIL)
def test_no_flow_is_named_like_that(open_page: OpenPage, boss: User, name: str) -> None:
    page = open_page(f"{ADMIN}workflow/new/", boss)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Start drawing").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value(name)


def test_a_large_flow_is_shown_and_edited(open_page: OpenPage, boss: User) -> None:
    """``make bench-ui`` measures how long it takes, tests/views/editor counts the queries."""
    steps = [
        {"slug": f"s{n}", "depends_on": [f"s{n // 2}", f"s{n - 1}"][: 1 + n % 2] if n > 1 else []}
        for n in range(1, 301)
    ]
    make_draft(boss, steps)
    editor = open_editor(open_page, boss, query="?step=s300")
    nodes = editor.page.locator(".pgf-node")
    expect(nodes).to_have_count(300)
    expect(editor.page.locator("#pgf-minimap")).to_be_visible()
    editor.page.get_by_role("button", name="Empty step").click()
    expect(nodes).to_have_count(301)
    editor.expect_edge("s300", "step")
    expect(editor.step("step")).to_be_focused()
    expect(editor.step("step")).to_be_in_viewport()
    editor.page.keyboard.press("Delete")
    expect(nodes).to_have_count(300)
    expect(editor.edge("s300", "step")).to_have_count(0)
    expect(editor.step("s300")).to_be_focused()
