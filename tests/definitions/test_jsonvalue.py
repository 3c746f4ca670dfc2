"""What can be stored as JSON, and what is said of the rest."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import uuid
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from pgflow_django import jsonvalue

# Surrogates and NUL are what PostgreSQL can't store; other tests look at them.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
FINITE = SCALARS.filter(lambda value: not isinstance(value, float) or math.isfinite(value))
VALUES = st.recursive(
    FINITE, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=30
)


class NotJson(Exception):
    pass


class TooLarge(Exception):
    pass


def encode(value: Any, limit: int | None = None) -> str:
    return jsonvalue.encode(
        value, subject="The output", not_json=NotJson, too_large=TooLarge, limit=limit
    )


def nest(levels: int, inner: Any = None) -> Any:
    value: Any = [] if inner is None else inner
    for _ in range(levels - 1):
        value = [value]
    return value


@given(VALUES)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(encode(value)) == value


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value",
    [
        None, False, 0, "", [], {}, -1, 1.5, 1e22, 5e-324, 10**4_000, "naïve 名前 🎉", "\\u0000",
        "\x01\x7f", {"": {"a b": [1]}}, ["'", '"', "\\"], nest(64),
    ],
)  # fmt: skip
def test_what_passes_postgresql_stores_and_gives_back(value: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select %s::jsonb::text", [encode(value)])
        [(text,)] = cursor.fetchall()
    assert json.loads(text) == value


def test_keys_become_text_as_json_dumps_does_it() -> None:
    value = {1: "a", False: "b", None: "c", 1.5: "d"}
    assert encode(value) == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            {"rows": [1, 2, 3, {"when": dt.datetime(2001, 1, 1)}]},  # noqa: DTZ001
            "$.rows[3].when is of type datetime.datetime, which is not JSON; use .isoformat().",
        ),
        (
            [decimal.Decimal(1)],
            (
                "$[0] is of type decimal.Decimal, which is not JSON; use str(…), or float(…) if it "
                "may be rounded."
            ),
        ),
        ({"id": uuid.uuid4()}, "$.id is of type uuid.UUID, which is not JSON; use str(…)."),
        ({"a b": {1}}, '$["a b"] is of type set, which is not JSON; use sorted(…) or list(…).'),
        (b"x", "$ is of type bytes, which is not JSON; decode it, or use base64."),
        ((1, object()), "$[1] is of type object, which is not JSON."),
        (math.nan, "$ is nan, which JSON can't express."),
        ({"x": [math.inf]}, "$.x[0] is inf, which JSON can't express."),
        ({-math.inf: 1}, "$ has a key that is -inf, which JSON can't express."),
        (
            {"a": "x\0y"},
            "$.a holds the character \\u0000, which PostgreSQL can't store; remove it.",
        ),
        (
            [{"k\0": 1}],
            (
                "$[0] has a key that holds the character \\u0000, which PostgreSQL can't store; "
                "remove it."
            ),
        ),
        ("\ud800", "$ holds the lone surrogate \\ud800, which is not a character."),
        (
            {"a": {(1, 2): 3}},
            "$.a has a key that is of type tuple, which is not JSON; use text as keys.",
        ),
        ([10**5_000], "$[0] is an integer of too many digits; use text."),
        (nest(65), "$" + "[0]" * 64 + " is nested deeper than 64 levels."),
        (nest(65, {}), "$" + "[0]" * 64 + " is nested deeper than 64 levels."),
    ],
)
def test_the_first_problem_is_named_with_its_path(value: Any, problem: str) -> None:
    with pytest.raises(NotJson) as caught:
        encode(value)
    assert str(caught.value) == f"The output can't be stored as JSON: {problem}"


def test_a_value_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {"a": []}
    value["a"].append(value)
    with pytest.raises(NotJson, match=r"\$\.a\[0\] contains itself\."):
        encode(value)


def test_a_value_deeper_than_python_recurses_is_refused() -> None:
    with pytest.raises(NotJson, match="is nested deeper than 64 levels"):
        encode(nest(100_000))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert json.loads(encode([[[]] * 100] * 10)) == [[[]] * 100] * 10
    assert encode("[" * 100) == json.dumps("[" * 100)


def test_the_limit_counts_bytes_and_is_the_last_that_passes() -> None:
    assert encode("é", limit=4) == '"é"'
    with pytest.raises(TooLarge, match="The output is 4 bytes of JSON, but at most 3 are allowed"):
        encode("é", limit=3)
    with pytest.raises(NotJson, match="bytes of JSON"):
        jsonvalue.encode("xxxx", subject="It", not_json=NotJson, limit=3)


def test_what_the_walk_does_not_find_is_told_in_the_words_of_json() -> None:
    class Odd(dict[str, Any]):
        calls = 0

        def items(self) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise ValueError("odd")
            return super().items()

    with pytest.raises(NotJson, match="can't be stored as JSON: ValueError: odd"):
        encode(Odd(a=1))
