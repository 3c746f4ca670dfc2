"""``exportflow`` and ``importflow``."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pgflow_django import executor, flow_builder
from pgflow_django.models import Workflow
from tests.commands.calling import call

DOCUMENT: dict[str, Any] = {
    "workflow_slug": "orders",
    "timeout": 60,
    "steps": [
        {"slug": "fetch", "uses": "tests.numbers"},
        {"slug": "check", "depends_on": ["fetch"], "type": "map", "uses": "tests.double"},
        {"slug": "sum", "depends_on": ["check"], "uses": "tests.total"},
    ],
}


def changed(**options: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    return {**copy, **options}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(DOCUMENT))
    return file


def test_export_and_import_are_a_round_trip(path: Path, tmp_path: Path) -> None:
    answer = call("importflow", str(path))
    assert (answer.status, answer.stdout) == (0, 'Flow "orders" is created, 3 steps.\n')
    assert answer.stderr == "Look at it: python manage.py showflow orders\n"
    exported = call("exportflow", "orders")
    assert exported.json == flow_builder.export_flow("orders")
    copy = tmp_path / "copy.json"
    assert call("exportflow", "orders", output=str(copy)).stderr == f"Wrote {copy}.\n"
    assert copy.read_text() == exported.stdout
    flow_builder.delete_flow("orders")
    call("importflow", str(copy))
    assert call("exportflow", "orders").stdout == exported.stdout


def test_export_as_python_that_makes_the_same_flow(path: Path, tmp_path: Path) -> None:
    call("importflow", str(path))
    stored = flow_builder.export_flow("orders")
    code = call("exportflow", "orders", format="python").stdout
    file = tmp_path / "orders.py"
    call("exportflow", "orders", output=str(file))
    assert file.read_text() == code
    flow_builder.delete_flow("orders")
    exec(compile(code, "orders.py", "exec"), {})  # noqa: S102 - running it is the point
    assert flow_builder.export_flow("orders") == stored


def test_export_as_a_picture(path: Path, tmp_path: Path) -> None:
    call("importflow", str(path))
    picture = call("exportflow", "orders", format="svg").stdout
    assert picture.startswith("<svg ")
    assert "tests.total" in picture
    file = tmp_path / "orders.svg"
    call("exportflow", "orders", output=str(file))
    assert file.read_text() == picture


def test_export_to_nowhere_exits_with_2(path: Path, tmp_path: Path) -> None:
    call("importflow", str(path))
    answer = call("exportflow", "orders", output=str(tmp_path / "no" / "flow.json"))
    assert answer.status == 2
    assert answer.stderr == f'Error: --output: there is no folder "{tmp_path}/no".\n'
    answer = call("exportflow", "orders", output="")
    assert (answer.status, answer.stderr) == (2, "Error: --output needs the name of a file.\n")


def test_import_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(DOCUMENT).encode())))
    assert call("importflow", "-", json=True).json == {
        "workflow_slug": "orders",
        "action": "created",
        "dry_run": False,
        "changes": [],
        "problems": [],
    }


def test_the_same_document_again_changes_nothing(path: Path) -> None:
    call("importflow", str(path))
    version = Workflow.objects.get().version
    answer = call("importflow", str(path))
    assert answer.status == 0
    assert answer.stdout == 'Flow "orders" is as the document says: nothing to change.\n'
    assert Workflow.objects.get().version == version


def test_a_flow_that_is_there_is_kept_without_replace(path: Path) -> None:
    call("importflow", str(path))
    path.write_text(json.dumps(changed(timeout=90)))
    answer = call("importflow", str(path))
    assert answer.status == 2
    assert answer.stdout == '1 change of flow "orders":\n  ~ flow: timeout 60 → 90\n'
    assert answer.stderr == (
        'Error: flow "orders" is there already, and the document differs from it. Nothing was '
        "stored; --replace stores it.\n"
    )
    assert Workflow.objects.get().timeout == 60
    assert call("importflow", str(path), json=True).json["error"]["code"] == (
        "workflow_already_exists"
    )


def test_replace_tells_what_it_changes(path: Path) -> None:
    call("importflow", str(path))
    document = changed(description="new")
    fetch, check, _ = document["steps"]
    check["max_attempts"] = 5
    check["depends_on"] = []
    document["steps"] = [check, fetch, {"slug": "report", "depends_on": ["fetch"]}]
    path.write_text(json.dumps(document))
    answer = call("importflow", str(path), replace=True)
    assert answer.status == 0
    assert answer.stdout.splitlines() == [
        '7 changes of flow "orders":',
        '  ~ flow: description "" → "new"',
        "  - step sum: removed",
        "  ~ step check: max_attempts null → 5",
        '  ~ step check: depends_on ["fetch"] → []',
        "  + step report: added",
        "  ~ step check: moved",
        "  ~ step fetch: moved",
        'Flow "orders" is changed, 3 steps.',
    ]
    assert flow_builder.export_flow("orders")["description"] == "new"


def test_a_dry_run_stores_nothing(path: Path) -> None:
    answer = call("importflow", str(path), dry_run=True)
    assert answer.stdout == 'Would create flow "orders", 3 steps. Nothing was stored.\n'
    assert not Workflow.objects.exists()
    call("importflow", str(path))
    path.write_text(json.dumps(changed(timeout=90)))
    answer = call("importflow", str(path), dry_run=True)
    assert answer.status == 0
    assert "  ~ flow: timeout 60 → 90\n" in answer.stdout
    assert 'Would change flow "orders", 3 steps, with --replace.' in answer.stdout
    told = call("importflow", str(path), dry_run=True, json=True).json
    assert told["changes"] == [
        {"change": "changed", "step": None, "option": "timeout", "before": 60, "after": 90}
    ]
    assert Workflow.objects.get().timeout == 60


def test_a_flow_of_code_is_not_replaced(path: Path) -> None:
    call("runflow", "tests_in_code")
    path.write_text(json.dumps(changed(workflow_slug="tests_in_code")))
    for options in ({"replace": True}, {"dry_run": True}):
        answer = call("importflow", str(path), **options)
        assert answer.status == 2
        assert 'Flow "tests_in_code" is defined in code' in answer.stderr


def test_problems_are_told_with_their_lines_and_suggestions(path: Path) -> None:
    path.write_text(
        """{
  "workflow_slug": "orders",
  "steps": [
    {"slug": "fetch", "tiemout": 5},
    {"slug": "check",
     "timeout": 0,
     "depends_on": ["fetsh"]}
  ]
}"""
    )
    answer = call("importflow", str(path))
    lines = answer.stderr.splitlines()
    assert answer.status == 2
    assert lines[0] == "Error: nothing was stored, the document has 3 errors."
    assert lines[1].startswith('error, line 4 (/steps/0/tiemout): Step "fetch" of flow "orders"')
    assert lines[1].endswith('Did you mean "timeout"?')
    assert lines[2].startswith("error, line 6 (/steps/1/timeout): ")
    assert lines[3].startswith("error, line 7 (/steps/1/depends_on/0): ")
    assert lines[3].endswith('Did you mean "fetch"?')
    assert not Workflow.objects.exists()
    error = call("importflow", str(path), json=True).json["error"]
    assert error["code"] == "unknown_key"
    assert [problem["pointer"] for problem in error["problems"]] == [
        "/steps/0/tiemout",
        "/steps/1/timeout",
        "/steps/1/depends_on/0",
    ]


def test_warnings_are_told_and_do_not_stand_in_the_way(path: Path) -> None:
    document = changed()
    document["steps"][0]["uses"] = "tests.nmubers"
    path.write_text(json.dumps(document))
    answer = call("importflow", str(path))
    assert answer.status == 0
    assert answer.stderr.startswith('warning, line 1 (/steps/0/uses): Step "fetch" of flow')
    assert executor.start_flow("orders", {}).workflow_slug == "orders"


def test_a_document_full_of_errors_is_told_in_part(path: Path) -> None:
    steps = [{"slug": f"s{index}", "timeout": 0} for index in range(70)]
    path.write_text(json.dumps(changed(steps=steps)))
    lines = call("importflow", str(path)).stderr.splitlines()
    assert lines[0].endswith("the document has 70 errors.")
    assert lines[-1] == "and 20 more problems"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "error, line 1: A flow document is a JSON object, but this is []."),
        ("null", "error, line 1: A flow document is a JSON object, but this is None."),
        ('{"steps": []}', "(/workflow_slug): The workflow_slug is missing"),
        ('{"workflow_slug": "a",\n "steps": [}', "is not valid JSON: line 2, column 12"),
        ("", "is empty, which is not JSON"),
    ],
)
def test_what_is_no_document_exits_with_2(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    answer = call("importflow", str(path))
    assert answer.status == 2
    assert message in answer.stderr


def test_a_missing_file_exits_with_2() -> None:
    answer = call("importflow", "nowhere.json")
    assert answer.stderr == 'Error: importflow: there is no file "nowhere.json".\n'
