"""``runflow --draft``: a draft is tried; ``listruns`` and ``showrun`` tell trials apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgflow_django import drafts, executor
from pgflow_django.models import Workflow, WorkflowRun
from tests.commands.calling import call

DOCUMENT = {
    "steps": [
        {"slug": "numbers", "uses": "tests.numbers"},
        {"slug": "double", "uses": "tests.double", "type": "map", "depends_on": ["numbers"]},
        {"slug": "total", "uses": "tests.total", "depends_on": ["double"]},
    ]
}


@pytest.fixture
def draft(doubles: str) -> str:
    drafts.create("draft", DOCUMENT, user="ada")
    return "draft"


def test_a_draft_is_tried_in_this_process(draft: str) -> None:
    answer = call("runflow", draft, draft=True, yes=True, input='{"count": 4}')
    assert (answer.status, answer.json) == (0, {"total": 12})
    assert WorkflowRun.objects.get().is_trial
    assert not Workflow.objects.filter(pk=draft).exists()


def test_outputs_are_given_and_the_rest_left_out(draft: str, tmp_path: Path) -> None:
    given = tmp_path / "given.json"
    given.write_text('{"numbers": [5]}')
    options = {"draft": True, "yes": True, "given": str(given)}
    answer = call("runflow", draft, until="double", **options)
    assert answer.json == {"double": [10]}
    run = WorkflowRun.objects.get()
    shown = call("showrun", str(run.pk))
    assert "version  trial of a draft" in shown.stdout
    assert "(given)" in shown.stdout
    facts = call("showrun", str(run.pk), json=True).json
    assert facts["is_trial"]
    assert [(step["step_slug"], step["is_given"]) for step in facts["steps"]] == [
        ("numbers", True), ("double", False)
    ]  # fmt: skip


def test_workers_try_it(draft: str) -> None:
    answer = call("runflow", draft, draft=True, yes=True, detach=True)
    run = executor.get_run_status(answer.stdout.strip())
    assert (run.status, run.is_trial) == ("started", True)
    executor.drain()
    assert executor.get_run_status(run.run_id).result() == {"total": 6}


def test_without_consent_nothing_starts(draft: str) -> None:
    answer = call("runflow", draft, draft=True)
    assert answer.status == 2
    assert '"numbers" (tests.numbers: unknown)' in answer.stderr
    assert "--yes allows it" in answer.stderr
    answer = call("runflow", draft, draft=True, json=True)
    assert answer.json["error"]["code"] == "trial_needs_consent"
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"until": "total"}, "--until is for trials of drafts: add --draft."),
        ({"given": "x.json"}, "--given is for trials of drafts: add --draft."),
        ({"yes": True}, "--yes is for trials of drafts: add --draft."),
        ({"draft": True, "given": "no.json"}, "no.json"),
        ({"draft": True, "until": "totl"}, 'Did you mean "total"?'),
    ],
)
def test_bad_usage(draft: str, options: dict[str, object], words: str) -> None:
    answer = call("runflow", draft, **options)
    assert answer.status == 2
    assert words in answer.stderr
    assert not WorkflowRun.objects.exists()


def test_lists_leave_trials_out_unless_asked(draft: str, doubles: str) -> None:
    call("runflow", draft, draft=True, yes=True)
    assert call("listruns", json=True).json == []
    assert [run["version"] for run in call("listruns", trials=True, json=True).json] == [0]
    none = call("listruns", flow=doubles, trials=True)
    assert "No trials of flow" in none.stderr
    assert "--draft" in none.stderr
    flows = {flow["workflow_slug"]: flow for flow in call("listflows", json=True).json}
    assert flows[doubles]["last_run"] is None


def test_pruning_counts_old_trials(draft: str, settings: object) -> None:
    call("runflow", draft, draft=True, yes=True)
    settings.PGFLOW = {"TRIAL_DAYS": 0}  # type: ignore[attr-defined]
    answer = call("pruneruns", older_than="30d", json=True)
    assert json.loads(answer.stdout)["deleted"] == 1
