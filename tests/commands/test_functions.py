"""``listfunctions``, and what ``showflow`` says of inputs and contracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

import pytest

from pgflow_django import Example, step_function
from pgflow_django.registry import registry
from tests.commands.calling import call
from tests.engine.building import build


class Row(TypedDict):
    code: str


class Rows(TypedDict):
    rows: list[Row]


@pytest.fixture(autouse=True)
def functions(db: None) -> Iterator[None]:
    example = Example(input={"rows": []}, output=0)

    @step_function(
        "contract.count",
        params={"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}},
        effects="none",
        tags=["tally"],
        examples=[example],
    )
    def count(input: Rows) -> int:
        """Count rows.

        Each once.
        """
        return len(input["rows"])

    @step_function("contract.bare")
    def bare(input: dict[str, Any]) -> Any:
        return None

    yield
    registry.unregister("contract.count")
    registry.unregister("contract.bare")


def test_functions_are_listed_with_what_they_declare() -> None:
    lines = call("listfunctions", "contract").stdout.splitlines()
    assert lines[0].split() == [
        "FUNCTION",
        "INPUT",
        "PARAMS",
        "OUTPUT",
        "EFFECTS",
        "TAGS",
        "SUMMARY",
    ]
    assert lines[1].split() == ["contract.bare"]
    assert "{rows: list of {code: text}}" in lines[2]
    assert '{kind?: "a" | "b"}' in lines[2]
    assert lines[2].split()[-4:] == ["none", "tally", "Count", "rows."]


def test_functions_as_json() -> None:
    (found,) = call("listfunctions", "rows TALLY", json=True).json
    assert (found["name"], found["summary"]) == ("contract.count", "Count rows.")
    assert found["doc"] == "Count rows.\n\nEach once."
    assert (found["effects"], found["tags"], found["map_only"]) == ("none", ["tally"], False)
    assert found["input"]["required"] == ["rows"]
    assert found["output"] == {"type": "integer"}
    assert found["types"]["output"] == "whole number"
    assert found["examples"] == [{"input": {"rows": []}, "output": 0}]
    (bare,) = call("listfunctions", "contract.bare", json=True).json
    assert (bare["input"], bare["params"], bare["output"]) == (None, None, None)


def test_a_search_without_a_hit_says_so() -> None:
    answer = call("listfunctions", "no such words")
    assert answer.stdout == ""
    assert 'No function has "no such words" in it' in answer.stderr


def test_showflow_shows_where_inputs_come_from() -> None:
    inputs = {"rows": "list/rows", "day": "run/day"}
    options = {"count": {"inputs": inputs, "uses": "contract.count"}}
    build("flow", {"list": [], "count": ["list"]}, options=options)
    assert "day = run/day, rows = list/rows" in call("showflow", "flow").stdout
    shown = call("showflow", "flow", json=True).json
    assert shown["steps"][1]["inputs"] == inputs
    assert shown["functions"]["contract.count"]["types"]["output"] == "whole number"
