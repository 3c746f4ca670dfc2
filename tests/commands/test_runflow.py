"""``runflow`` in this process: output, progress, errors before and after the start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from pgflow_django import flow_builder
from pgflow_django.models import WorkflowRun
from tests.commands.calling import Answer, call
from tests.engine.building import build


def run_status() -> str:
    return WorkflowRun.objects.get().status


def test_prints_the_output_as_json_and_the_progress_on_stderr(doubles: str) -> None:
    answer = call("runflow", doubles, input='{"count": 4}')
    assert answer.status == 0
    assert answer.stdout == '{\n  "total": 12\n}\n'
    run = WorkflowRun.objects.get()
    lines = answer.stderr.splitlines()
    assert lines[0] == f'run {run.id}: started, flow "doubles", 3 steps'
    assert lines[1:3] == ["step numbers: started", lines[2]]
    assert lines[2].startswith("step numbers: completed in ")
    assert "step double: started, 4 tasks" in lines
    assert any(line.startswith("step double: completed in ") for line in lines)
    assert lines[-1].startswith(f"run {run.id}: completed after ")
    assert lines[-1].endswith(", 3 steps, 6 tasks")


def test_json_prints_the_output_and_nothing_else(doubles: str) -> None:
    assert call("runflow", doubles, json=True) == Answer('{\n  "total": 6\n}\n', "", 0)


def test_verbosity_0_is_silent_but_for_the_output(doubles: str) -> None:
    assert call("runflow", doubles, verbosity=0) == Answer('{\n  "total": 6\n}\n', "", 0)


def test_an_empty_map_has_nothing_to_do(doubles: str) -> None:
    answer = call("runflow", doubles, input='{"count": 0}')
    assert answer.json == {"total": 0}
    assert ", nothing to do" in answer.stderr


def test_flows_in_code_run_before_anybody_stored_them() -> None:
    assert call("runflow", "tests_in_code").json == {"two": 2}
    assert flow_builder.get_flow("tests_in_code")["origin"] == "code"


def test_a_stored_flow_wins_over_code_of_the_same_name() -> None:
    build("tests_in_code", {"numbers": []}, options={"numbers": {"uses": "tests.numbers"}})
    assert call("runflow", "tests_in_code").json == {"numbers": [0, 1, 2]}


def test_runs_inside_the_transaction_of_its_caller(doubles: str) -> None:
    with transaction.atomic():
        assert call("runflow", doubles).json == {"total": 6}
        transaction.set_rollback(True)
    assert not WorkflowRun.objects.exists()


def test_python_values_pass_as_input(doubles: str) -> None:
    assert call("runflow", doubles, input={"count": 2}).json == {"total": 2}


def test_a_failed_run_exits_with_1_and_says_where_and_how_to_go_on(failing: str) -> None:
    answer = call("runflow", failing)
    run = WorkflowRun.objects.get()
    assert (answer.status, answer.stdout) == (1, "")
    assert "step fail: attempt 2 of 2 failed: ValueError: no luck, and more" in answer.stderr
    assert "step after: cancelled" in answer.stderr
    assert f"run {run.id}: failed after " in answer.stderr
    assert "1 of 3 steps and 1 task had completed" in answer.stderr
    assert (
        f'Error: run {run.id} of flow "failing" failed: step "fail", attempt 2: '
        "ValueError: no luck, and\nmore\n"
        f"What happened: python manage.py showrun {run.id}\n"
        f"Take it up again: python manage.py retryrun {run.id} --here\n"
    ) in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_failed_run_as_json(failing: str) -> None:
    answer = call("runflow", failing, json=True)
    run = WorkflowRun.objects.get()
    assert (answer.status, answer.stderr) == (1, "")
    error = answer.json["error"]
    assert error["message"].startswith(f"run {run.id} of flow")
    assert error["traceback"].endswith("ValueError: no luck, and\nmore\n")
    assert {**error, "message": "", "traceback": ""} == {
        "code": "run_failed",
        "message": "",
        "run_id": str(run.id),
        "step_slug": "fail",
        "task_index": 0,
        "attempt": 2,
        "error_code": "step_failed",
        "error_type": "ValueError",
        "error_message": "no luck, and\nmore",
        "traceback": "",
    }


def test_a_timeout_exits_with_124_and_cancels_the_run(tmp_path: Path) -> None:
    build("holding", {"hold": []}, options={"hold": {"uses": "tests.hold"}})
    paths = {"mark": str(tmp_path / "mark"), "gate": str(tmp_path / "gate")}
    answer = call("runflow", "holding", input=paths, timeout=0.3)
    assert answer.status == 124
    assert "was cancelled: it ran longer than the 0.3 s that its caller allowed" in answer.stderr
    assert "step hold: cancelled" in answer.stderr
    assert "retryrun" in answer.stderr
    assert run_status() == "cancelled"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", "--timeout is 0, but must be above 0 seconds."),
        (-1, "--timeout is -1, but must be above 0 seconds."),
        ("nan", "--timeout is nan, but must be above 0 seconds."),
        ("inf", "--timeout is inf, but must be above 0 seconds."),
        ("soon", "--timeout is 'soon', but must be a number of seconds."),
    ],
)
def test_a_timeout_must_be_above_0(doubles: str, value: Any, message: str) -> None:
    assert call("runflow", doubles, timeout=value) == Answer("", f"Error: {message}\n", 2)
    assert not WorkflowRun.objects.exists()


def test_an_unknown_flow_exits_with_2_and_the_nearest_names(doubles: str) -> None:
    answer = call("runflow", "doubels")
    expected = 'Error: There is no flow "doubels". Did you mean "doubles"?\n'
    assert answer == Answer("", expected, 2)


def test_an_unknown_flow_as_json() -> None:
    answer = call("runflow", "Robert'); drop table workflows; --", json=True)
    assert (answer.status, answer.stderr) == (2, "")
    assert answer.json["error"]["code"] == "workflow_not_found"


def test_a_flow_without_steps_exits_with_2() -> None:
    flow_builder.create_flow("hollow")
    answer = call("runflow", "hollow")
    assert answer.status == 2
    assert 'flow "hollow" has no steps' in answer.stderr


def test_all_missing_functions_are_named_before_the_start() -> None:
    options = {"b": {"uses": "tests.nmubers"}, "c": {"uses": "tests.total"}}
    build("gaps", {"a": [], "b": ["a"], "c": ["b"]}, options=options)
    answer = call("runflow", "gaps")
    assert answer.status == 2
    assert 'no step function for "a", "b" (function "tests.nmubers")' in answer.stderr
    assert 'Step "b", function "tests.nmubers": Did you mean "tests.numbers"' in answer.stderr
    assert not WorkflowRun.objects.exists()
    error = call("runflow", "gaps", json=True).json["error"]
    assert error["missing"] == [
        {"step_slug": "a", "function": "a"},
        {"step_slug": "b", "function": "tests.nmubers"},
    ]


def test_a_root_map_over_what_is_no_array_exits_with_2() -> None:
    build("each", {"double*": []}, options={"double": {"uses": "tests.double"}})
    assert call("runflow", "each", input="[1, 2]").json == {"double": [2, 4]}
    answer = call("runflow", "each", input='{"a": 1}')
    assert answer.status == 2
    assert 'map step "double" maps over the run input, which is an object' in answer.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, NaN]", "line 1, column 5: NaN is not a JSON value"),
        ("-Infinity", "line 1, column 1: -Infinity is not a JSON value"),
        ("[1, 1e308, 1e309]", "line 1, column 12: this number is too large"),
        ('{"a": "\\u0000"}', "column 7: this holds the character \\u0000, which PostgreSQL can't"),
        ('{"a": 1, "a": 2}', 'line 1, column 10: this object has the key "a" already'),
    ],
)
def test_what_the_database_cannot_store_exits_with_2(doubles: str, text: str, message: str) -> None:
    answer = call("runflow", doubles, input=text)
    assert answer.status == 2
    assert message in answer.stderr
    assert not WorkflowRun.objects.exists()


def test_an_input_over_the_limit_exits_with_2(doubles: str, settings: Any) -> None:
    settings.PGFLOW = {"MAX_INPUT_BYTES": 10}
    answer = call("runflow", doubles, input=json.dumps({"text": "x" * 20}), json=True)
    assert answer.status == 2
    assert answer.json["error"]["code"] == "input_too_large"


def test_what_step_functions_print_is_no_part_of_the_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    build("loud", {"shout": []}, options={"shout": {"uses": "tests.shout"}})
    assert call("runflow", "loud", json=True).json == {"shout": "said"}
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "a step prints this\n"


def test_the_diagram_shows_the_final_states_also_of_a_failed_run(
    failing: str, tmp_path: Path
) -> None:
    path = tmp_path / "failing.svg"
    answer = call("runflow", failing, diagram=str(path))
    assert answer.status == 1
    assert f"Diagram: {path}" in answer.stderr
    drawing = path.read_text()
    assert drawing.startswith("<svg ")
    for name in ("pgf-completed", "pgf-failed", "pgf-cancelled"):
        assert f'class="pgf-node pgf-single {name}"' in drawing
    assert "attempt 2 of 2" in drawing
    assert list(tmp_path.iterdir()) == [path]


def test_the_diagram_replaces_a_file_and_keeps_its_permissions(
    doubles: str, tmp_path: Path
) -> None:
    path = tmp_path / "flow.svg"
    path.write_text("old")
    path.chmod(0o640)
    assert call("runflow", doubles, diagram=str(path)).status == 0
    assert path.read_text().startswith("<svg ")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_diagram_that_cannot_be_written_is_refused_before_the_start(
    doubles: str, tmp_path: Path
) -> None:
    missing = call("runflow", doubles, diagram=str(tmp_path / "no" / "flow.svg"))
    assert missing == Answer("", f'Error: --diagram: there is no folder "{tmp_path}/no".\n', 2)
    nameless = call("runflow", doubles, diagram="")
    assert nameless == Answer("", "Error: --diagram needs the name of a file.\n", 2)
    folder = call("runflow", doubles, diagram=str(tmp_path))
    assert folder.stderr == f'Error: --diagram: "{tmp_path}" is a folder; name a file in it.\n'
    # Nobody may write here, not even root.
    sealed = call("runflow", doubles, diagram="/proc/flow.svg")
    assert sealed.status == 2
    assert '--diagram: can\'t write "/proc/flow.svg": ' in sealed.stderr
    assert not WorkflowRun.objects.exists()


def test_a_diagram_that_fails_at_the_end_does_not_lose_the_output(
    doubles: str, tmp_path: Path
) -> None:
    build("spoiler", {"remove": []}, options={"remove": {"uses": "tests.remove"}})
    folder = tmp_path / "pictures"
    folder.mkdir()
    path = folder / "flow.svg"
    answer = call("runflow", "spoiler", input={"folder": str(folder)}, diagram=str(path))
    assert answer.status == 0
    assert answer.json == {"remove": "removed"}
    assert f'--diagram: can\'t write "{path}": No such file or directory.' in answer.stderr
