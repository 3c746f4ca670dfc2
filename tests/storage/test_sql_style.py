"""How the SQL functions look: width, the comment above each, and keywords in lower case.

The copies below `migrations/sql` are frozen and stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import pgflow_django

FUNCTIONS = sorted((Path(pgflow_django.__file__).parent / "sql" / "functions").glob("*.sql"))
WIDTH = 120
KEYWORDS = """
    all and any array as asc begin between by case coalesce conflict create cross current declare
    default delete desc distinct do else elsif end except exception execute exists false filter
    first for found from full function group having if immutable in inner insert interval into is
    join key language last lateral left like limit lock locked loop materialized not nothing notify
    null nulls of on only or order out outer over parallel partition perform plpgsql raise replace
    return returning returns right row rows select set setof share skip some sql stable strict table
    then to true union unnest update using values view void volatile when where while window with
"""
SHOUTED = re.compile(rf"\b({'|'.join(KEYWORDS.split()).upper()})\b")
#: What is not SQL of ours: comments, strings and quoted names.
FOREIGN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"", re.DOTALL)


def find_wide(text: str) -> list[int]:
    """The numbers of the lines that are wider than a screen."""
    return [number for number, line in enumerate(text.splitlines(), 1) if len(line) > WIDTH]


def find_shouted(text: str) -> list[str]:
    """The keywords in capitals."""
    return SHOUTED.findall(FOREIGN.sub(" ", text))


def has_header(text: str, name: str) -> bool:
    """Whether the file is one function, with what it is for in sentences above it."""
    head, found, _ = text.partition(f"create or replace function pgflow.{name}(")
    lines = head.strip().splitlines()
    return bool(found and lines) and all(line.startswith("--") for line in lines)


@pytest.fixture(params=FUNCTIONS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_function_is_no_wider_than_a_screen(path: Path) -> None:
    assert not find_wide(path.read_text())


def test_a_function_says_above_its_head_what_it_is_for(path: Path) -> None:
    assert has_header(path.read_text(), path.stem)


def test_keywords_are_written_in_lower_case(path: Path) -> None:
    assert find_shouted(path.read_text()) == []


def test_a_breach_is_found() -> None:
    good = (
        "-- Counts.\ncreate or replace function pgflow.count_all()\nreturns int as $$ select 1 $$;"
    )
    assert has_header(good, "count_all")
    assert not has_header(good, "count_some")
    assert not has_header(good.removeprefix("-- Counts.\n"), "count_all")
    assert find_shouted("SELECT 'FROM' -- WHERE\n AND \"ORDER\" from selected") == ["SELECT", "AND"]
    assert find_wide(f"select 1\n{'x' * (WIDTH + 1)}\nselect 2") == [2]
