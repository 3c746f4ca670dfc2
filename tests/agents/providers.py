"""The published limits of structured output, as checkers: what of a schema a provider refuses.

As of November 2026: OpenAI's structured outputs, Anthropic's JSON output and strict tools, Gemini's
response schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_NOT_AT_ANTHROPIC = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_NOT_AT_ANTHROPIC |= {"minLength", "maxLength", "$ref", "$defs"}
_KNOWN_AT_GEMINI = {"type", "properties", "required", "items", "enum", "description"}
_KNOWN_AT_GEMINI |= {"additionalProperties", "anyOf", "title", "nullable", "format"}


def walk(schema: Schema, depth: int = 0) -> Iterator[tuple[Schema, int]]:
    """A schema and all in it, each with how many objects it is in."""
    yield schema, depth
    inner = depth + (schema.get("type") == "object")
    for child in schema.get("properties", {}).values():
        yield from walk(child, inner)
    if isinstance(schema.get("items"), dict):
        yield from walk(schema["items"], inner)
    for child in schema.get("anyOf", ()):
        yield from walk(child, inner)


def faults_at_openai(schema: Schema) -> list[str]:
    """What ``strict: true`` refuses."""
    found = []
    if schema.get("type") != "object":
        found.append("the root is no object")
    properties, values = 0, 0
    for part, depth in walk(schema):
        names = part.get("properties")
        if names is not None:
            properties += len(names)
            if part.get("additionalProperties") is not False:
                found.append("an object is open")
            if sorted(part.get("required", ())) != sorted(names):
                found.append("a key is not required")
        if depth > 10:
            found.append("more than 10 levels")
        enum = part.get("enum", ())
        values += len(enum)
        if len(enum) > 250 and sum(len(str(value)) for value in enum) > 15_000:
            found.append("a large enum has long values")
    if properties > 5000:
        found.append("more than 5,000 properties")
    if values > 1000:
        found.append("more than 1,000 values")
    return found


def faults_at_anthropic(schema: Schema) -> list[str]:
    """What JSON output and strict tools refuse."""
    found, unions, optional = [], 0, 0
    for part, _ in walk(schema):
        found += [f"{key} is not supported" for key in part if key in _NOT_AT_ANTHROPIC]
        if part.get("minItems", 0) > 1:
            found.append("minItems above 1")
        unions += isinstance(part.get("type"), list) or "anyOf" in part
        optional += len(part.get("properties", {})) - len(part.get("required", ()))
        if "properties" in part and part.get("additionalProperties") is not False:
            found.append("an object is open")
    if unions > 16:
        found.append("more than 16 unions")
    if optional > 24:
        found.append("more than 24 optional keys")
    return found


def faults_at_gemini(schema: Schema) -> list[str]:
    """What response schemas refuse, or silently ignore."""
    return [
        f"{key} is ignored"
        for part, _ in walk(schema)
        for key in part
        if key not in _KNOWN_AT_GEMINI
    ]


CHECKERS = {
    "openai": faults_at_openai,
    "anthropic": faults_at_anthropic,
    "gemini": faults_at_gemini,
}
