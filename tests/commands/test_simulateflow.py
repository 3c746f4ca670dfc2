"""``simulateflow``: how a flow would run, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from pgflow_django import drafts, simulate_flow
from pgflow_django.models import Workflow, WorkflowRun
from tests.commands.calling import call


def test_a_stored_flow(doubles: str) -> None:
    answer = call("simulateflow", doubles, input='{"count": 4}')
    assert answer.status == 0
    lines = answer.stdout.splitlines()
    titles = ["WAVE", "STEP", "FUNCTION", "TASKS", "EFFECTS", "TIME", "OUTPUT", "FROM"]
    assert lines[0].split() == titles
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["0", "numbers"], ["1", "double"], ["2", "total"]
    ]  # fmt: skip
    assert "\n3 tasks, 9 with all attempts, 1 at once; at most 1 min 30 s from " in answer.stdout
    assert answer.stdout.endswith('\noutput  {"total": 0}\n')
    assert not WorkflowRun.objects.exists()


def test_outputs_are_read_from_a_file(doubles: str, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs.json"
    outputs.write_text('{"numbers": [1, 2, 3], "total": {"total": 12}}')
    answer = call("simulateflow", doubles, outputs=str(outputs), json=True)
    known = {"numbers": [1, 2, 3], "total": {"total": 12}}
    assert answer.json == simulate_flow(doubles, outputs=known).to_dict()
    assert answer.json["output"] == {"total": {"total": 12}}
    assert answer.json["steps"][1]["tasks"] == 3
    answer = call("simulateflow", doubles, outputs="")
    assert (answer.status, answer.stderr) == (2, "Error: --outputs needs the name of a file.\n")
    outputs.write_text("[]")
    answer = call("simulateflow", doubles, outputs=str(outputs))
    assert (answer.status, answer.stderr) == (
        2, "Error: --outputs must be an object: steps with their outputs.\n"
    )  # fmt: skip


def test_a_file_with_something_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    steps = [{"slug": "a", "depends_on": ["b"]}]
    file.write_text(json.dumps({"workflow_slug": "flow", "steps": steps}, indent=1))
    answer = call("simulateflow", str(file))
    assert answer.status == 1
    assert "error, line 7 (/steps/0/depends_on/0): " in answer.stderr
    assert answer.stdout == ""


def test_null_is_an_input_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    schema = {"type": "object", "required": ["n"]}
    document = {"workflow_slug": "nn", "steps": [{"slug": "a"}], "input_schema": schema}
    file.write_text(json.dumps(document))
    answer = call("simulateflow", str(file), input="null", json=True)
    assert (answer.status, answer.json["ok"]) == (1, False)
    assert [one["code"] for one in answer.json["problems"]] == ["invalid_input"]
    answer = call("simulateflow", str(file), json=True)
    assert (answer.status, answer.json["steps"][0]["input"]["run"]) == (0, {"n": {}})


def test_a_draft_is_simulated_as_it_is_now(doubles: str) -> None:
    document = {"steps": [{"slug": "only", "uses": "tests.numbers"}]}
    drafts.create("new", document, user="ann")
    for options in ({}, {"draft": True}):
        assert call("simulateflow", "new", json=True, **options).json["waves"] == [["only"]]
    drafts.edit(doubles, 0, "delete_step", {"step": "total"}, user="ann")
    assert len(call("simulateflow", doubles, json=True).json["steps"]) == 3
    assert len(call("simulateflow", doubles, draft=True, json=True).json["steps"]) == 2
    Workflow.objects.all().update(is_active=False)
    answer = call("simulateflow", doubles, draft=True, json=True)
    assert (answer.status, answer.json["problems"]) == (0, [])


def test_a_file_has_no_draft(tmp_path: Path) -> None:
    answer = call("simulateflow", str(tmp_path / "flow.json"), draft=True)
    assert answer.status == 2
    assert "--draft needs the name of a flow, " in answer.stderr


def test_an_unknown_flow() -> None:
    answer = call("simulateflow", "nothing", json=True)
    assert (answer.status, answer.json["error"]["code"]) == (2, "workflow_not_found")
