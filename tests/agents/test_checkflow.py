"""``checkflow``: what it prints, where it reads from, its exit statuses, its bounds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pgflow_django.definitions.edits.patches import apply_patch
from tests.commands.calling import call

BROKEN = {
    "workflow_slug": "orders",
    "steps": [{"slug": "fetch", "timeout": "60s"}, {"slug": "check", "depends_on": ["fetsh"]}],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(BROKEN, indent=1))
    return file


def test_problems_are_told_with_their_lines(path: Path) -> None:
    answer = call("checkflow", str(path))
    lines = answer.stdout.splitlines()
    assert answer.status == 1
    assert lines[0].startswith("error, line 6 (/steps/0/timeout): Step ")
    assert lines[1].startswith("error, line 11 (/steps/1/depends_on/0): Step ")
    assert lines[2:] == ["2 problems."]
    assert answer.stderr == "Fix what is certain: python manage.py checkflow FILE --fix\n"


def test_a_warning_is_no_reason_to_fail(path: Path) -> None:
    path.write_text('{"workflow_slug": "orders", "steps": []}')
    answer = call("checkflow", str(path))
    assert (answer.status, answer.stderr) == (0, "")
    assert answer.stdout.startswith("warning, line 1 (/steps): ")
    path.write_text('{"workflow_slug": "orders", "steps": [{"slug": "fetch"}]}')
    assert call("checkflow", str(path)).stdout == "No problems.\n"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1.5E+999"])
@pytest.mark.parametrize(
    "options", [{}, {"json": True}, {"fix": True}, {"fix": True, "json": True}]
)
def test_what_json_can_not_express_is_refused_and_never_printed(
    path: Path, number: str, options: dict[str, bool]
) -> None:
    path.write_text(f'{{"workflow_slug": "a", "timeout": {number}}}')
    answer = call("checkflow", str(path), **options)
    assert answer.status == 2
    assert "line 1, column 35" in answer.stdout + answer.stderr
    assert options.get("json") or answer.stdout == ""
    if options.get("json"):
        assert answer.json["error"]["code"] == "invalid_input"


@pytest.mark.parametrize("sign", ["\x1b]0;x\x07", "\x1b[2J", "\x9b2J", "\r", "\u202e", "\x7f"])
@pytest.mark.parametrize(
    "options", [{}, {"json": True}, {"fix": True}, {"fix": True, "json": True}]
)
def test_nothing_in_a_document_steers_the_terminal(
    path: Path, sign: str, options: dict[str, bool]
) -> None:
    bad = f"a{sign}b"
    steps = [{"slug": "a", bad: 1}, {"slug": bad, "depends_on": ["a", bad], "inputs": {bad: bad}}]
    document = {"workflow_slug": bad, bad: bad, "type": bad, "queue": bad, "steps": steps}
    path.write_text(json.dumps(document))
    answer = call("checkflow", str(path), **options)
    printed = answer.stdout + answer.stderr
    assert printed
    assert not any(one in printed for one in sign if not one.isprintable())


def test_the_repaired_document_is_printed_and_what_is_left_is_said(path: Path) -> None:
    answer = call("checkflow", str(path), fix=True)
    assert answer.status == 1
    assert answer.json["steps"][0] == {"slug": "fetch", "timeout": 60}
    assert answer.stderr.startswith("1 problem is fixed.\nleft: error (/steps/1/depends_on/0): ")


def test_the_repair_as_json_has_its_patch_and_what_is_left(path: Path) -> None:
    answer = call("checkflow", str(path), fix=True, json=True)
    told = answer.json
    assert answer.status == 1
    assert told["document"] == apply_patch(BROKEN, told["patch"])
    assert (told["valid"], told["more"]) == (False, 0)
    assert [problem["code"] for problem in told["problems"]] == ["missing_dependencies"]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(BROKEN).encode())))
    answer = call("checkflow", "-", json=True)
    assert answer.status == 1
    told = answer.json
    assert told["repair"]["patch"] == [{"op": "replace", "path": "/steps/0/timeout", "value": 60}]
    assert [problem["certain"] for problem in told["problems"]] == [True, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"steps": [,]}', "not valid JSON"), ("", "is empty"), ('{"a": 1, "a": 2}', "already")],
)
def test_what_is_no_json_is_bad_input(path: Path, text: str, words: str) -> None:
    path.write_text(text)
    answer = call("checkflow", str(path), json=True)
    assert (answer.status, answer.json["error"]["code"]) == (2, "invalid_input")
    assert words in call("checkflow", str(path)).stderr
    assert call("checkflow", str(path.parent / "none.json")).status == 2


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 65 + "]" * 65])
def test_what_is_too_deep_is_a_problem_of_the_document(path: Path, text: str) -> None:
    path.write_text(text)
    answer = call("checkflow", str(path), json=True)
    [problem] = answer.json["problems"]
    assert (answer.status, problem["code"], problem["pointer"]) == (1, "document_too_deep", "")
    answer = call("checkflow", str(path), fix=True)
    assert (answer.status, answer.stdout.splitlines()[-1]) == (1, "1 problem.")
    imported = call("importflow", str(path), json=True)
    assert (imported.status, imported.json["error"]["code"]) == (2, "document_too_deep")


def step(number: int) -> dict[str, Any]:
    return {
        "id": f"s {number}",
        "needs": [f"s {number - 1}", f"s {number - 1}", "nobody"],
        "timeout": "a long time",
        "max_attempts": "5",
        "colour": "red" * 100,
        "type": "Map",
    }


def flow(*steps: Any, **more: Any) -> dict[str, Any]:
    return {"workflow_slug": "large", **more, "steps": list(steps)}


MANY = {
    "nodes": {"name": "large", "nodes": [step(number) for number in range(2_000)]},
    "steps": flow(*map(step, range(2_000))),
    "times": flow(*({"slug": f"s_{n}", "timeout": "5s"} for n in range(2_000))),
    "long names": flow(**{"workflow_slug": "x" * 100_000, "y" * 100_000: 1}),
    "dependents": flow(
        {"slug": "a b"}, *({"slug": f"s{n}", "depends_on": ["a b"]} for n in range(900))
    ),
    "not ASCII": flow(*[{"slug": "é" * 5_000, "depends_on": ["é" * 5_000]}] * 40),
    "schema": flow(input_schema={"ü" * 30_000: 1}),
}


@pytest.mark.parametrize("document", MANY.values(), ids=MANY.keys())
def test_an_answer_has_at_most_64_kilobytes(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document))
    answer = call("checkflow", str(path), json=True)
    told = answer.json
    assert len(answer.stdout.encode()) <= 64 * 1024
    assert len(told["problems"]) <= 50
    assert all(len(problem["message"]) < 1_100 for problem in told["problems"])
    if told["repair"]:
        apply_patch(document, told["repair"]["patch"])


def test_an_import_s_error_has_at_most_64_kilobytes(path: Path) -> None:
    path.write_text(json.dumps(MANY["nodes"]))
    answer = call("importflow", str(path), json=True)
    assert answer.status == 2
    assert len(answer.stdout.encode()) <= 64 * 1024


def test_how_many_more_there_are_is_counted(path: Path) -> None:
    path.write_text(
        json.dumps({"workflow_slug": "x", "steps": [{"slug": f"1{n}"} for n in range(70)]})
    )
    told = call("checkflow", str(path), json=True).json
    assert (len(told["problems"]), told["more"]) == (50, 20)
    lines = call("checkflow", str(path)).stdout.splitlines()
    assert lines[-2:] == ["and 20 more problems", "70 problems."]
