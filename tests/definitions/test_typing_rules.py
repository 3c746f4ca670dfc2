"""Whether types fit: against jsonschema, which knows of each value whether it passes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator as Draft

from pgflow_django.definitions.typing_rules import fits
from tests.engine.effort import EFFORT

from .schemas import VALUES, Schema, schemas

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
WHOLE = {"type": "integer"}
ROW = {"type": "object", "properties": {"code": TEXT}, "required": ["code"]}
LOADED = {
    "type": "object",
    "properties": {"loaded": WHOLE},
    "required": ["loaded"],
    "additionalProperties": False,
}


def some(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        (True, TEXT, "unknown"),
        (TEXT, True, "yes"),
        (TEXT, {"title": "anything"}, "yes"),
        (WHOLE, TEXT, "no"),
        (WHOLE, NUMBER, "yes"),
        (NUMBER, WHOLE, "unknown"),
        ({"type": "null"}, {"type": ["string", "null"]}, "yes"),
        ({"type": ["string", "null"]}, TEXT, "unknown"),
        (some(TEXT), some(TEXT), "yes"),
        (some(TEXT), TEXT, "no"),
        (some(TEXT), some(WHOLE), "unknown"),
        (some(TEXT, minItems=1), some(WHOLE), "no"),
        (some(TEXT), some(WHOLE, minItems=1), "no"),
        (some(TEXT, maxItems=2), some(TEXT, minItems=3), "no"),
        (ROW, ROW, "yes"),
        (LOADED, ROW, "no"),
        ({**LOADED, "additionalProperties": True}, ROW, "unknown"),
        (ROW, {**ROW, "additionalProperties": False}, "unknown"),
        (ROW, LOADED, "no"),
        ({"enum": ["a", "b"]}, {"enum": ["a", "b", "c"]}, "yes"),
        ({"enum": ["a", "b"]}, {"enum": ["b", "c"]}, "unknown"),
        ({"enum": ["a", "b"]}, {"enum": ["c"]}, "no"),
        ({"const": 1}, {"enum": [True]}, "no"),
        (WHOLE, {"enum": ["a"]}, "no"),
        ({"type": "boolean"}, {"enum": [False, True]}, "yes"),
        ({"type": "string", "maxLength": 2}, {"type": "string", "minLength": 3}, "no"),
        ({"type": "integer", "maximum": 2}, {"type": "integer", "exclusiveMinimum": 2}, "no"),
        ({"anyOf": [TEXT, WHOLE]}, {"anyOf": [WHOLE, TEXT]}, "yes"),
        ({"anyOf": [TEXT, WHOLE]}, {"type": "null"}, "no"),
        (TEXT, {"type": "string", "pattern": "^x"}, "unknown"),
        (WHOLE, {"type": "string", "pattern": "^x"}, "no"),
        ({"$ref": "#/$defs/a", "$defs": {"a": TEXT}}, WHOLE, "no"),
        ({"$ref": "https://elsewhere/"}, WHOLE, "unknown"),
        (WHOLE, {"$ref": "#/$defs/none"}, "unknown"),
        ({"$ref": "#"}, WHOLE, "unknown"),
    ],
)  # fmt: skip
def test_what_fits(source: Schema, target: Schema, verdict: str) -> None:
    assert fits(source, target) == verdict


@given(schemas(), schemas(), st.lists(VALUES, max_size=8))
@settings(max_examples=100 * EFFORT, suppress_health_check=list(HealthCheck))
def test_what_is_said_is_so_of_every_value(
    source: Schema, target: Schema, values: list[Any]
) -> None:
    verdict = fits(source, target)
    assume(verdict != "unknown")
    takes = Draft(target)
    for value in [*values, *example_values(source), *example_values(target)]:
        if Draft(source).is_valid(value):
            assert takes.is_valid(value) == (verdict == "yes")


def example_values(schema: Schema) -> list[Any]:
    """Values that lie near to what a schema asks for."""
    if not isinstance(schema, dict):
        return [None]
    found: list[Any] = [
        *schema.get("enum", []),
        *[schema[key] for key in ("const",) if key in schema],
    ]
    for part in (
        *schema.get("anyOf", []),
        *schema.get("oneOf", []),
        *schema.get("$defs", {}).values(),
    ):
        found += example_values(part)
    items = [*schema.get("prefixItems", []), schema.get("items", True)]
    inner = [value for one in items for value in example_values(one)[:4]]
    found += [
        [],
        *([value] for value in inner),
        *([value, other] for value in inner[:3] for other in inner[:3]),
    ]
    found += [inner[:3]]
    properties = {
        **dict.fromkeys("abc", schema.get("additionalProperties", True)),
        **schema.get("properties", {}),
    }
    objects: list[dict[str, Any]] = [{}]
    for name, part in properties.items():
        objects += [
            {**one, name: value} for one in objects[:6] for value in example_values(part)[:2]
        ]
    sizes = [0, 1, -1, 2, 3, 0.5, 2.5, True, None, "", "x", "xx", "xxx"]
    return [*found[:12], *sizes, *objects[:40]]


def deep(levels: int, inner: Schema) -> Schema:
    for _ in range(levels):
        inner = some(inner, minItems=1)
    return inner


def test_what_lies_deep_is_unknown() -> None:
    assert fits(deep(6, TEXT), deep(6, WHOLE)) == "no"
    assert fits(deep(7, TEXT), deep(7, WHOLE)) == "unknown"


def test_a_comparison_ends() -> None:
    wide = {"anyOf": [{"$ref": "#/$defs/a"}] * 50}
    schema = {**wide, "$defs": {"a": some({"$ref": "#"})}}
    assert fits(schema, {**schema, "title": "other"}) == "unknown"
