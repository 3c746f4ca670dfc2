"""``runflow --draft``: a draft is tried; ``listruns`` and ``showrun`` tell trials apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgflow_django import drafts, executor
from pgflow_django.models import Workflow, WorkflowRun
from tests.commands.calling import call, on_terminal

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
    error = answer.json["error"]
    assert error["code"] == "trial_needs_consent"
    assert error["steps"] == [
        {"step_slug": slug, "function": f"tests.{slug}", "effects": "unknown"}
        for slug in ("numbers", "double", "total")
    ]
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"until": "total"}, "--until is for trials of drafts: add --draft."),
        ({"given": "x.json"}, "--given is for trials of drafts: add --draft."),
        ({"yes": True}, "--yes is for trials of drafts: add --draft."),
        ({"until": ""}, "--until is for trials of drafts: add --draft."),
        ({"given": ""}, "--given is for trials of drafts: add --draft."),
        ({"draft": True, "until": ""}, "until names"),
        ({"draft": True, "given": ""}, "Error: --given needs the name of a file.\n"),
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


def test_a_draft_without_a_trial_is_no_unknown_flow(draft: str) -> None:
    answer = call("listruns", flow=draft, trials=True)
    assert answer.status == 0
    assert f'No trials of flow "{draft}". Try a draft: ' in answer.stderr
    assert call("listruns", flow=draft, trials=True, json=True).json == []
    assert call("listruns", flow="nobody", trials=True).status == 2
    refused = call("listruns", flow=draft)
    assert refused.status == 2
    assert f'There is no flow "{draft}". It is a draft, not published yet.' in refused.stderr
    assert "It is a draft" in call("runflow", draft).stderr


def test_trials_are_marked_wherever_runs_are_told(draft: str, doubles: str) -> None:
    tried = call("runflow", draft, draft=True, yes=True)
    run = WorkflowRun.objects.get()
    assert f'run {run.id}: started, trial of flow "draft", 3 steps' in tried.stderr
    assert "  version  trial of a draft" in call("explainrun", str(run.id)).stdout.splitlines()
    assert call("explainrun", str(run.id), json=True).json["is_trial"] is True
    (listed,) = call("listruns", trials=True, json=True).json
    assert listed["is_trial"] is True
    queued = call("runflow", draft, draft=True, yes=True, detach=True, json=True).json
    assert queued["is_trial"] is True
    for name in ("cancelrun", "retryrun"):
        told = call(name, queued["run_id"]).stdout
        assert f'Run {queued["run_id"]}, a trial of flow "draft"' in told

    plain = call("runflow", doubles)
    assert "trial" not in plain.stderr
    run = WorkflowRun.objects.order_by("-id")[0]
    assert f'run {run.id}: started, flow "doubles", 3 steps' in plain.stderr
    assert "trial" not in call("explainrun", str(run.id)).stdout
    assert call("listruns", json=True).json[0]["is_trial"] is False


def test_on_a_terminal_a_trial_is_marked_too(draft: str) -> None:
    screen = on_terminal("runflow", draft, "--draft", "--yes")
    assert "(trial)" in screen.text


def test_pruning_counts_old_trials(draft: str, settings: object) -> None:
    call("runflow", draft, draft=True, yes=True)
    settings.PGFLOW = {"TRIAL_DAYS": 0}  # type: ignore[attr-defined]
    answer = call("pruneruns", older_than="30d", json=True)
    assert json.loads(answer.stdout)["deleted"] == 1
