"""Every document of the corpus, through ``checkflow``. No database is needed for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agents.cases import Case, documents_of_the_demo, documents_of_the_docs, read_cases
from tests.commands.calling import Answer, call

BROKEN = read_cases("broken")
VALID = read_cases("valid")
WRITTEN = documents_of_the_docs() | documents_of_the_demo()


def check(document: Any, folder: Path, **options: Any) -> Answer:
    path = folder / "flow.json"
    path.write_text(json.dumps(document))
    return call("checkflow", str(path), **options)


def places(problems: list[dict[str, Any]]) -> list[list[str]]:
    return [[problem["code"], problem["pointer"]] for problem in problems]


def test_the_corpus_is_large_enough() -> None:
    several = [case for name, case in BROKEN.items() if name.startswith("several")]
    assert len(BROKEN) - len(several) >= 60
    assert len(several) >= 15
    assert all(len(case["problems"]) >= 3 for case in several)
    assert len(VALID) >= 40
    assert len(WRITTEN) >= 4


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_document_is_told_and_repaired_as_far_as_that_is_certain(
    case: Case, tmp_path: Path
) -> None:
    answer = check(case["document"], tmp_path, json=True)
    found = answer.json
    assert (answer.status, found["valid"], found["more"]) == (1, False, 0)
    assert places(found["problems"]) == case["problems"]
    repair = found["repair"]
    assert (repair is not None) == ("repaired" in case)
    if repair is None:
        return
    assert places(repair["problems"]) == case.get("left", [])
    fixed = check(case["document"], tmp_path, fix=True)
    assert fixed.json == case["repaired"]
    left = [problem for problem in repair["problems"] if problem["severity"] == "error"]
    assert fixed.status == bool(left)


@pytest.mark.parametrize("case", VALID.values(), ids=VALID.keys())
def test_a_valid_document_is_valid_and_left_as_it_is(case: Case, tmp_path: Path) -> None:
    answer = check(case["document"], tmp_path, json=True)
    found = answer.json
    assert (answer.status, found["valid"], found["repair"]) == (0, True, None)
    assert places(found["problems"]) == case["problems"]
    assert check(case["document"], tmp_path, fix=True).json == case["document"]


@pytest.mark.parametrize("document", WRITTEN.values(), ids=WRITTEN.keys())
def test_what_the_docs_and_the_demo_show_is_valid(document: Any, tmp_path: Path) -> None:
    answer = check(document, tmp_path, json=True)
    assert (answer.status, answer.json["valid"], answer.json["repair"]) == (0, True, None)
