"""A site whose every name is as long as it may be, and whose every text runs from right to left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import Flow, drafts, engine, executor, flow_builder, step, step_function
from pgflow_django.flows import definition_of, sync_code_flow
from pgflow_django.registry import registry
from pgflow_django.views.runs.tabs import TABS
from tests.engine.by_hand import pause
from tests.engine.workers import HandWorker

ADMIN = "/admin/pgflow_django/"
#: 128 characters, which no browser breaks.
LONG = ("Wide_" * 26)[:128]
ARABIC = "يجمع هذا التدفق الأرقام، ثم يضاعف كل واحد منها (مرتين) ويكتب تقريرا."
HEBREW = "השלב הזה נכשל: אין מספרים היום."
TEXT = f"{ARABIC} {LONG} {HEBREW} Left to right (again)."


def name(end: str) -> str:
    """A name of 128 characters that is told from others by its end."""
    return f"{LONG[: 128 - len(end)]}{end}"


FLOW, DRAFT, CODE, LARGE = name("_flow"), name("_draft"), name("_code"), "large"
FETCH, EACH, JOIN = name("_fetch"), name("_each"), name("_join")
MIDDLE = [name(f"_{number}") for number in range(5)]
GOOD, BAD = name("_good"), name("_bad")
SCHEMA = {
    "type": "object",
    "required": ["count"],
    "properties": {
        "count": {"type": "integer", "title": LONG, "default": 3, "description": TEXT},
        "kind": {"type": "string", "enum": [LONG, ARABIC], "title": ARABIC},
        "note": {"type": "string", "default": TEXT, "description": TEXT},
        "names": {"type": "array", "items": {"type": "string"}, "default": [LONG, HEBREW]},
        "is_broken": {"type": "boolean", "title": f"{HEBREW} {LONG}"},
        LONG: {"type": "object", "default": {LONG: TEXT}, "title": TEXT},
        "day": {"type": "string", "format": "date"},
    },
}
#: What a step function declares.
CONTRACT: dict[str, Any] = {
    "input": {"properties": {LONG: {"description": TEXT}, "rows": {"type": ["array", "null"]}}},
    "params": {"properties": {LONG: {"type": "string", "title": ARABIC, "description": TEXT}}},
    "output": {"type": "object", "properties": {LONG: {"type": "array"}}},
    "tags": [LONG, HEBREW],
    "effects": "external",
}
STEPS: list[dict[str, Any]] = [
    {"slug": FETCH, "uses": GOOD, "params": {LONG: TEXT}, "queue": "q" * 40},
    {"slug": EACH, "uses": GOOD, "type": "map", "depends_on": [FETCH]},
    *({"slug": slug, "uses": GOOD, "depends_on": [FETCH]} for slug in MIDDLE),
    {
        "slug": JOIN,
        "uses": BAD,
        "depends_on": [EACH, *MIDDLE],
        "params": [TEXT],
        "inputs": {LONG: f"{MIDDLE[0]}/1", ARABIC: "run/note"},
    },
]
DOCUMENT: dict[str, Any] = {
    "workflow_slug": FLOW,
    "description": TEXT,
    "max_attempts": 1,
    "base_delay": 3600,
    "input_schema": SCHEMA,
    "steps": STEPS,
}


class Crowded(Flow):
    """A flow that the admin shows and does not change."""

    slug, description, input_schema = CODE, TEXT, SCHEMA

    @step(queue="q" * 40, params={LONG: TEXT}, start_delay=5)
    def first(input: Any) -> Any:  # noqa: N805 - as flows in code have it
        """Do nothing."""

    @step(depends_on=["first"], step_type="map")
    def then(input: Any) -> Any:  # noqa: N805
        """Do nothing."""


@contextmanager
def functions() -> Iterator[None]:
    """Let there be the functions of the flows here, and no others."""

    def good(input: Any, context: Any) -> Any:
        context.log(TEXT, "warning", text=TEXT)
        return [TEXT, {LONG: LONG}, 1]

    def bad(input: Any) -> Any:
        if input["run"].get("is_broken"):
            raise ValueError(TEXT)
        return {LONG: [TEXT, *range(40)]}

    good.__doc__ = bad.__doc__ = TEXT
    before = dict(registry._functions)
    registry._functions.clear()
    for named, function in ((GOOD, good), ("short", good)):
        registry.register(function, named)
    step_function(BAD, **CONTRACT)(bad)
    yield
    registry._functions.clear()
    registry._functions.update(before)


def fill(user: User) -> dict[str, UUID]:
    """Make flows, drafts, workers, and a run of every status."""
    flow_builder.create_flow_from_spec(DOCUMENT)
    sync_code_flow(definition_of(Crowded))
    large = [
        {"slug": f"step_{n}", "uses": "short", "depends_on": [f"step_{n // 2}"] if n > 1 else []}
        for n in range(1, 121)
    ]
    flow_builder.create_flow_from_spec({"workflow_slug": LARGE, "steps": large})
    runs = _run_all()
    _draw(User.objects.create_superuser(name("_user")))
    engine.register_worker(
        "celery", LONG, 4217, ["default", "q" * 40], [GOOD, BAD], using="default", node=f"c@{LONG}"
    )
    return runs


def _run_all() -> dict[str, UUID]:
    queues = ["default", "q" * 40]
    value = {"count": 1, "note": TEXT, LONG: {LONG: [TEXT]}}
    runs = {
        status: executor.start_flow(
            FLOW, {**value, "is_broken": status == "failed"}, key=name(status)
        )
        for status in ("completed", "failed")
    }
    executor.drain(timeout=30)
    for status in ("cancelled", "paused", "retrying", "running", "waiting"):
        runs[status] = executor.start_flow(FLOW, value)
    executor.cancel_run(runs["cancelled"].id, reason=TEXT)
    pause(runs["paused"])
    worker = HandWorker(queues, [GOOD])
    worker.fail(*worker.claim(run=runs["retrying"].id), delay=3600)
    worker.claim(run=runs["running"].id)
    return {status: run.id for status, run in runs.items()}


def _draw(other: User) -> None:
    """Edit as somebody else, whose name is long, and leave problems and warnings behind."""
    version = drafts.load(FLOW).version
    for op, arguments in (
        ("set_flow", {"description": f"{TEXT} {TEXT}"}),
        ("add_step", {"slug": name("_lost"), "uses": name("_unknown"), "depends_on": [JOIN]}),
        ("rename_step", {"step": MIDDLE[0], "to": name("_new")}),
        ("update_step", {"step": JOIN, "params": {LONG: TEXT}}),
    ):
        version = drafts.edit(FLOW, version, op, arguments, user=other).draft.version
    drafts.create(DRAFT, {**DOCUMENT, "workflow_slug": DRAFT}, user=other)
    drafts.create("empty", user=other)


def press(selector: str) -> Callable[[Page], None]:
    """What opens a part of a page: a click on this."""
    return lambda page: page.locator(selector).first.click()


def _unfold(page: Page) -> None:
    """Open every part of the panel."""
    for closed in page.locator("#pgf-panel details:not([open]) > summary").all()[::-1]:
        closed.click()


def _open_keys(page: Page) -> None:
    page.locator("#pgf-more summary").click()
    page.locator("[data-act=keys]").click()
    expect(page.locator("#pgf-keys")).to_be_visible()


def _open_pick(page: Page) -> None:
    page.locator("#pgf-step-step_1").focus()
    page.keyboard.press("a")
    expect(page.locator("#pgf-pick")).to_be_visible()


def _connect(page: Page) -> None:
    page.locator(f"#pgf-step-{FETCH}").focus()
    page.keyboard.press("c")
    expect(page.locator("#pgf-mode")).to_be_visible()


def _choose_all(page: Page) -> None:
    page.locator(f"#pgf-step-{FETCH}").focus()
    page.keyboard.press("Control+a")
    expect(page.locator("#pgf-panel")).to_contain_text("9 steps")


def _conflict(page: Page) -> None:
    """Edit what somebody else has edited since."""
    other = User.objects.get(username=name("_user"))
    version = drafts.load(DRAFT).version
    drafts.edit(DRAFT, version, "duplicate", {"step": FETCH}, user=other)
    page.locator("form:has([value=duplicate]) button").click()
    expect(page.locator("#pgf-conflict .pgf-banner")).to_be_visible()


def _refuse(page: Page) -> None:
    """Give a name that is none."""
    page.locator("#pgf-f-slug").fill(f"{LONG[:120]} {LONG[:7]}")
    page.locator("#pgf-f-slug").press("Tab")
    expect(page.locator("#pgf-e-slug")).to_be_visible()


def _preview(text: str) -> Callable[[Page], None]:
    def preview(page: Page) -> None:
        page.locator("#pgf-text").fill(text)
        page.get_by_role("button", name="Preview").click()
        page.locator("#pgf-stage, .pgf-problem-list, .pgf-notice").first.wait_for()

    return preview


def list_pages(runs: dict[str, UUID]) -> dict[str, tuple[str, Callable[[Page], None] | None]]:
    """Every page by name: its address, and what is done there before one looks."""
    flow, draft = f"{ADMIN}workflow/{FLOW}/", f"{ADMIN}workflow/{DRAFT}/"
    edit = f"{flow}edit/?view="
    changed = {**DOCUMENT, "description": HEBREW, "steps": [*STEPS[:-1], {"slug": LONG}]}
    wrong = {"workflow_slug": LONG, "steps": [{"slug": LONG, LONG: 1, "depends_on": [f"{LONG}_"]}]}
    newest = drafts.history(FLOW)[0].seq
    run = f"{ADMIN}workflowrun/%s/change/"
    return {
        "flows": (f"{ADMIN}workflow/", None),
        "flows_nothing": (f"{ADMIN}workflow/?q={LONG}x", None),
        "new": (f"{ADMIN}workflow/new/", None),
        "duplicate": (f"{ADMIN}workflow/new/?from={FLOW}", None),
        "example": (f"{ADMIN}workflow/new/?begin=example", None),
        "import": (f"{ADMIN}workflow/import/", None),
        "import_preview": (f"{flow}import/", _preview(json.dumps(changed))),
        "import_problems": (f"{ADMIN}workflow/import/", _preview(json.dumps(wrong))),
        "editor": (f"{edit}diagram", None),
        "editor_step": (f"{edit}diagram&step={JOIN}", _unfold),
        "editor_problems": (f"{edit}diagram", press(".pgf-problems summary")),
        "editor_menu": (f"{edit}diagram", press("#pgf-more summary")),
        "editor_keys": (f"{edit}diagram", _open_keys),
        "editor_mode": (f"{edit}diagram&step={FETCH}", _connect),
        "editor_many": (f"{edit}diagram", _choose_all),
        "editor_refused": (f"{draft}edit/?view=diagram&step={FETCH}", _refuse),
        "editor_conflict": (f"{draft}edit/?view=diagram&step={EACH}", _conflict),
        "editor_pick": (f"{ADMIN}workflow/{LARGE}/edit/?view=diagram&step=step_1", _open_pick),
        "editor_large": (f"{ADMIN}workflow/{LARGE}/edit/?view=diagram", None),
        "editor_empty": (f"{ADMIN}workflow/empty/edit/?view=diagram", None),
        "list": (f"{edit}list", None),
        "list_step": (f"{edit}list&step={JOIN}", None),
        "list_empty": (f"{ADMIN}workflow/empty/edit/?view=list", None),
        "code": (f"{ADMIN}workflow/{CODE}/edit/?view=diagram", None),
        "code_step": (f"{ADMIN}workflow/{CODE}/edit/?view=list&step=first", None),
        "history": (f"{flow}history/", None),
        "diff": (f"{flow}history/{newest}/diff/", None),
        "compare": (f"{flow}diff/?from=1&to=draft", None),
        "delete": (f"{ADMIN}workflow/{LARGE}/delete/", None),
        "delete_protected": (f"{flow}delete/", None),
        "start": (f"{flow}run/", None),
        "start_json": (f"{flow}run/?mode=json", None),
        "trial": (f"{flow}try/?step={JOIN}", None),
        "simulate": (f"{flow}simulate/", None),
        "runs": (f"{ADMIN}workflowrun/", None),
        "runs_nothing": (f"{ADMIN}workflowrun/?q={LONG}", None),
        **{f"run_{status}": (run % run_id, None) for status, run_id in runs.items()},
        **{f"run_tab_{tab}": (f"{run % runs['failed']}?tab={tab}", None) for tab in TABS},
        "run_task": (f"{ADMIN}workflowrun/{runs['failed']}/task/{EACH}/0/", None),
        "run_step": (run % runs["failed"], press(f"#pgf-step-{JOIN}")),
        "run_cancel": (run % runs["waiting"], press(".pgf-run-bar summary")),
        "workers": (f"{ADMIN}workflowworker/", press("#pgf-workers summary")),
    }
