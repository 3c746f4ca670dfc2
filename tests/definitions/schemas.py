"""JSON Schemas made by Hypothesis, and values that fit them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Schema = Any

_NAMES = st.sampled_from(["a", "b", "c"])
_SCALARS = st.sampled_from([None, False, True, 0, 1, 1.0, 2, 2.5, -1, "", "x", "xy", "xyz"])
_SMALL = st.integers(0, 3)
_BOUNDS = st.integers(-2, 3) | st.sampled_from([0.5, 2.5])
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)


def _some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


def _extend(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    lists = _some(
        items=inner,
        prefixItems=st.lists(inner, min_size=1, max_size=2),
        minItems=_SMALL,
        maxItems=_SMALL,
    )
    objects = _some(
        properties=st.dictionaries(_NAMES, inner, max_size=3),
        required=st.lists(_NAMES, unique=True, max_size=2),
        additionalProperties=inner,
    )
    return st.one_of(
        lists.map(lambda found: {"type": "array", **found}),
        objects.map(lambda found: {"type": "object", **found}),
        objects,
        st.lists(inner, min_size=1, max_size=3).map(lambda found: {"anyOf": found}),
        st.lists(inner, min_size=1, max_size=2).map(lambda found: {"oneOf": found}),
        st.just({"$ref": "#/$defs/one"}),
    )


_LEAVES = st.one_of(
    st.booleans(),
    st.sampled_from(
        [
            {},
            {"type": "null"},
            {"type": "boolean"},
            {"type": ["integer", "string"]},
            {"type": "array"},
            {"type": "object"},
            {"title": "anything"},
            {"type": "string", "pattern": "^x"},
        ]
    ),
    _some(
        minimum=_BOUNDS, maximum=_BOUNDS, exclusiveMinimum=_BOUNDS, exclusiveMaximum=_BOUNDS
    ).flatmap(
        lambda found: st.sampled_from(["integer", "number"]).map(
            lambda kind: {"type": kind, **found}
        )
    ),
    _some(minLength=_SMALL, maxLength=_SMALL).map(lambda found: {"type": "string", **found}),
    st.lists(VALUES, min_size=1, max_size=3).map(lambda found: {"enum": found}),
    VALUES.map(lambda value: {"const": value}),
)
_SCHEMAS = st.recursive(_LEAVES, _extend, max_leaves=6)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Any schema of the subset that is read, and a little beyond it."""
    schema = draw(_SCHEMAS)
    if isinstance(schema, dict):
        return {**schema, "$defs": {"one": draw(_LEAVES)}}
    return schema
