"""Values of options, made from their rules, so that a new option is tried without being listed."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from pgflow_django.definitions.inputs import Inputs
from pgflow_django.definitions.options import Option
from pgflow_django.definitions.rules import Json, Name, OneOf, Text, WholeNumber

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
# Beyond 2**53 PostgreSQL writes out the digits of a float, and Python reads an integer.
NUMBERS = st.integers() | st.floats(-(2**53), 2**53)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def sample_options(options: Mapping[str, Option]) -> dict[str, Any]:
    """A value for every option: no default, and each another one."""
    return {name: _sample(option, number) for number, (name, option) in enumerate(options.items())}


def _sample(option: Option, number: int) -> Any:
    match option.rule:
        case WholeNumber(low=low):
            return low + 20 + number
        case OneOf(words=words):
            return next(word for word in words if word != option.default)
        case Inputs():
            return {"sample": "run/1"}
        case Json():
            return {"sample": [number, 2.5, None]}
        case _:
            return f"sample_{number}"


def any_value(option: Option) -> st.SearchStrategy[Any]:
    """Any value that an option may have."""
    values: st.SearchStrategy[Any]
    match option.rule:
        case WholeNumber(low=low, high=high):
            values = st.integers(low, high)
        case OneOf(words=words):
            values = st.sampled_from(words)
        case Inputs():
            names = st.sampled_from(["rows", "day", "a/b ~", "item"])
            values = st.dictionaries(names, st.sampled_from(["run", "run/", "run/a~1b/0"]))
        case Json(must_be_object=must_be_object):
            values = st.dictionaries(TEXT, JSON, max_size=3) if must_be_object else JSON
        case Name(max_length=most):
            names = st.text(string.ascii_lowercase, min_size=1, max_size=min(most, 40))
            values = names | st.sampled_from(["fetch", "fetch_2"])
        case Text():
            values = TEXT
        case rule:
            raise AssertionError(f"add {type(rule).__name__} to tests/definitions/samples.py")
    if option.may_be_empty:
        values |= st.just("")
    return values if option.default is not None else st.none() | values
