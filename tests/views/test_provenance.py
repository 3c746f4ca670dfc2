"""Which program made an edit or started a run, wherever edits and runs are shown."""

from __future__ import annotations

from html import unescape

import pytest
from django.test import Client

from pgflow_django import drafts, engine, executor
from pgflow_django.models import WorkflowRun
from tests.commands.calling import call
from tests.views.conftest import LogIn, address

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
MADE = {"by": "ann", "via": "mcp", "token": "etl-bot", "client": HOSTILE, "model": "some-model"}


def text_of(client: Client, *where: object) -> str:
    page = client.get(address(*where)).content.decode()  # type: ignore[arg-type]
    assert HOSTILE not in page
    return " ".join(unescape(page).split())


def start(flow: str, name: str, via: str) -> WorkflowRun:
    with engine.starting_as(name, via):
        return executor.start_flow(flow, {})


def test_the_history_says_which_edits_a_program_made(log_in: LogIn, flow: str) -> None:
    edit = {"description": "Numbers."}
    version = drafts.edit(flow, 0, "set_flow", edit, user="ann", provenance=MADE).draft.version
    drafts.edit(flow, version, "set_flow", {"description": "More."}, user="ann")
    viewer = log_in("viewer")
    history = text_of(viewer, "workflow_history", flow)
    assert history.count("Made by etl-bot (MCP).") == 1
    assert f"Client, as the program says: {HOSTILE}." in history
    for seq, is_made in ((1, True), (2, False)):
        page = text_of(viewer, "workflow_diff", flow, seq)
        assert ("Model, as the program says: some-model." in page) is is_made


def test_runs_say_who_started_them(log_in: LogIn, flow: str) -> None:
    viewer = log_in("viewer")
    start(flow, "", "")
    assert "·" not in text_of(viewer, "workflowrun_changelist").partition("result_list")[2]
    run = start(flow, "ann", "mcp")
    assert "ann · MCP" in text_of(viewer, "workflowrun_changelist")
    assert "Started by</dt><dd><bdi>ann · MCP" in text_of(viewer, "workflowrun_change", run.pk)
    evil = start(flow, HOSTILE, HOSTILE)
    assert HOSTILE in text_of(viewer, "workflowrun_change", evil.pk)
    assert HOSTILE in text_of(viewer, "workflowrun_changelist")


def test_commands_say_it_too(flow: str) -> None:
    run = start(flow, "ann", "mcp")
    assert "by ann, mcp" in call("showrun", str(run.pk)).stdout
    shown = call("showrun", str(run.pk), json=True).json
    listed = call("listruns", json=True).json[0]
    for facts in (shown, listed):
        assert (facts["started_by"], facts["via"]) == ("ann", "mcp")
