"""Taking flows out and in, with a look at what changes first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from pgflow_django import drafts
from tests.e2e.conftest import OpenPage
from tests.e2e.editor import GUIDE, in_order, make_draft, steps_of

pytestmark = pytest.mark.usefixtures("functions")

FLOWS = "/admin/pgflow_django/workflow/"


def preview(page: Page, text: str) -> None:
    """Paste a document and ask what it would do."""
    page.get_by_label("JSON").fill(text)
    page.get_by_role("button", name="Preview").click()


def test_what_was_exported_is_imported_under_another_name(
    open_page: OpenPage, boss: User, tmp_path: Path
) -> None:
    make_draft(boss, GUIDE)
    page = open_page(f"{FLOWS}numbers/edit/", boss)
    page.locator("#pgf-more summary").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as JSON").click()
    document = json.loads(Path(download.value.path()).read_text("utf-8"))
    file = tmp_path / "flow.json"
    file.write_text(json.dumps({**document, "workflow_slug": "copy"}), "utf-8")
    page.goto(f"{FLOWS}import/")
    page.get_by_label("or a file").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("This makes the new flow copy.")).to_be_visible()
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/copy/edit/**")
    ours, theirs = drafts.load("numbers").document, drafts.load("copy").document
    assert {**theirs, "workflow_slug": "numbers"} == ours


def test_an_import_shows_what_it_changes_and_can_be_undone(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    page = open_page(f"{FLOWS}numbers/import/", boss)
    steps = [*GUIDE[:2], {"slug": "score", "depends_on": ["fetch"]}]
    preview(page, json.dumps({"workflow_slug": "numbers", "steps": steps}))
    changes = page.get_by_role("region", name="Changes")
    expect(changes.get_by_role("row", name="report")).to_contain_text("removed")
    expect(changes.get_by_role("row", name="score")).to_contain_text("added")
    assert steps_of() == in_order(GUIDE)  # nothing is stored by looking
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/numbers/edit/**")
    expect(page.locator("#pgf-step-score")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#pgf-step-report")).to_be_visible()
    assert steps_of() == in_order(GUIDE)


def test_bad_json_is_told_with_line_and_column(open_page: OpenPage, boss: User) -> None:
    page = open_page(f"{FLOWS}import/", boss)
    preview(page, '{"workflow_slug": "numbers",\n "steps": [}')
    expect(page.get_by_text("Line 2, column 12:")).to_be_visible()
    expect(page.get_by_role("button", name="Import")).to_have_count(0)


def test_history_shows_who_did_what_and_restores_it(open_page: OpenPage, boss: User) -> None:
    make_draft(boss, GUIDE)
    drafts.edit(
        "numbers", drafts.load("numbers").version, "delete_step", {"step": "report"}, user=boss
    )
    page = open_page(f"{FLOWS}numbers/history/", boss)
    rows = page.locator(".pgf-history li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("boss")
    rows.first.get_by_role("link").click()
    expect(page.get_by_role("region", name="Changes")).to_contain_text("removed")
    page.go_back()
    rows.last.get_by_role("button", name="Restore").click()
    page.wait_for_url("**/numbers/edit/**")
    assert steps_of() == in_order(GUIDE)


def test_a_bad_document_is_repaired_and_imported_without_javascript(
    open_page: OpenPage, boss: User
) -> None:
    page = open_page(f"{FLOWS}import/", boss, java_script_enabled=False)
    nodes = [{"id": "fetch", "timeout": "60s"}, {"id": "pay", "needs": "fetch"}]
    preview(page, json.dumps({"name": "copy", "nodes": nodes}))
    repair = page.get_by_role("region", name="Repair")
    expect(repair).to_contain_text("/nodes becomes /steps.")
    page.get_by_role("button", name="Repair").click()
    expect(page.get_by_text("This makes the new flow copy.")).to_be_visible()
    page.get_by_role("button", name="Import").click()
    steps = drafts.load("copy").document["steps"]
    assert steps == [{"slug": "fetch", "timeout": 60}, {"slug": "pay", "depends_on": ["fetch"]}]
