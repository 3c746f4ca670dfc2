"""Values that are made up for a schema fit it, or nothing is made up."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf
from pydantic import TypeAdapter

from pgflow_django.definitions.samples import NoSampleError, make_fitting_sample, make_sample
from pgflow_django.definitions.schema_values import Checker


@pytest.mark.parametrize(
    ("schema", "sample"),
    [
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [0, ""]),
        ({"type": "array", "minItems": 3}, [{}, {}, {}]),
        ({"type": "array", "minItems": 3, "items": {"type": "integer"}}, [0, 0, 0]),
        ({"type": "array", "maxItems": 0, "items": {"type": "integer"}}, []),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 2},
         [1, 2]),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "minimum": 2.5}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": -3}, -4),
        ({"type": "integer", "minimum": 1, "multipleOf": 5}, 5),
        ({"type": "integer", "minimum": -5, "maximum": 5}, 0),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0.25, "multipleOf": 0.1}, 0.3),
        ({"type": "number", "exclusiveMinimum": 0}, 1),
        ({"type": "string", "minLength": 2}, "xx"),
        ({"minimum": 1}, 1),
        ({"minLength": 2}, "xx"),
        ({"minItems": 1}, [{}]),
        ({"type": ["string", "null"]}, ""),
        ({"required": ["n"]}, {"n": {}}),
        ({"required": ["n"], "additionalProperties": {"type": "integer", "minimum": 2}}, {"n": 2}),
        ({"type": "string", "pattern": "^a$", "examples": ["a"]}, "a"),
        ({"type": "string", "pattern": "^a$", "default": "a"}, "a"),
        ({"enum": ["b", "c"]}, "b"),
        ({"const": None}, None),
        ({"anyOf": [{"type": "string", "pattern": "^a$"}, {"type": "null"}]}, None),
        ({"properties": {"a": {"type": "integer"}, "code": {"type": "string", "pattern": "x"}}},
         {"a": 0}),
    ],
)  # fmt: skip
def test_a_sample_fits_its_schema(schema: Any, sample: Any) -> None:
    assert make_sample(schema) == sample
    assert make_fitting_sample(schema, lambda value: not Checker(schema).faults(value)) == sample


@pytest.mark.parametrize(
    "hint",
    [
        *(date, datetime, time, timedelta, UUID, tuple[int, str], list[tuple[int, int]]),
        *(dict[str, int], Literal["a", "b"], date | None, set[int]),
        *(
            Annotated[int, Ge(3), Le(4)],
            Annotated[float, Gt(0), Lt(0.5)],
            Annotated[str, MinLen(3)],
        ),
        *(Annotated[int, Gt(7), MultipleOf(7)], Annotated[list[date], MinLen(2)]),
    ],
)
def test_a_sample_is_a_value_of_the_type(hint: Any) -> None:
    adapter = TypeAdapter[Any](hint)
    made = make_sample(adapter.json_schema(mode="serialization"))
    adapter.validate_json(json.dumps(made), strict=False)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a$"},
        {"type": "object", "properties": {"a": {"pattern": "^a$"}}, "required": ["a"]},
        {"type": "array", "minItems": 1_000_000},
        {"type": "string", "minLength": 1_000_000},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4},
        {"type": "array", "items": {"type": "array", "minItems": 2_000}, "minItems": 2_000},
        {"type": "integer", "default": "three"},
    ],
)
def test_where_nothing_fits_nothing_is_made_up(schema: Any) -> None:
    with pytest.raises(NoSampleError):
        make_fitting_sample(schema, lambda value: not Checker(schema).faults(value))
    assert len(json.dumps(make_sample(schema))) < 100_000


def test_a_strange_schema_has_a_sample_too() -> None:
    for rules in (
        {"type": "integer", "minimum": "3", "multipleOf": 0},
        {"type": "number", "minimum": 10**400, "maximum": float("inf")},
        {"type": "number", "exclusiveMinimum": float("nan"), "multipleOf": -1},
        {"type": "array", "minItems": -1, "prefixItems": 3},
        {"type": "string", "minLength": True, "format": ["date"]},
        {"required": "what", "properties": 3},
    ):
        json.dumps(make_sample(rules))
