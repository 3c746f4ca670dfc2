"""The JSON Schema of flow documents, made from the tables of options. Pure: no ORM.

What it refuses ``validate_flow`` refuses too; what no schema can say (that a dependency is there,
that there is no cycle) is left to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.graph import MAX_SLUG_LENGTH, RESERVED_SLUGS, SLUG_PATTERN
from pgflow_django.definitions.inputs import MAX_INPUTS, MAX_SOURCE, RUN, Inputs
from pgflow_django.definitions.options import FLOW_KEYS, MAX_STEPS, STEP_KEYS
from pgflow_django.definitions.rules import Json, Name, OneOf, Text, WholeNumber

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pgflow_django.definitions.options import Option
    from pgflow_django.definitions.rules import Rule

SCHEMA_ID = "urn:pgflow:flow:1"

#: A step, item, index or run, then tokens of a JSON Pointer.
_SOURCE = "^(?:[^/~]|~[01])(?:[^~]|~[01])*$"

Schema = dict[str, Any]


def flow_schema(functions: Collection[str]) -> Schema:
    """The JSON Schema (Draft 2020-12) of a flow whose steps call ``functions``."""
    steps = {
        "type": "array",
        "maxItems": MAX_STEPS,
        "items": {"$ref": "#/$defs/step"},
        "description": "the steps, in any order; each waits for those in its depends_on",
    }
    slug = {"$ref": "#/$defs/slug"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Flow",
        "type": "object",
        "required": ["workflow_slug"],
        "additionalProperties": False,
        "properties": {
            "workflow_slug": {**slug, "description": "the name of the flow"},
            **_describe_options(FLOW_KEYS),
            "steps": steps,
        },
        "$defs": {"slug": _describe_slug(), "step": _describe_step(slug, functions)},
    }


def _describe_step(slug: Schema, functions: Collection[str]) -> Schema:
    options = _describe_options(STEP_KEYS)
    options["uses"] = {
        **_note(STEP_KEYS["uses"]),
        "enum": [*functions, "", None],
    }
    return {
        "title": "Step",
        "type": "object",
        "required": ["slug"],
        "additionalProperties": False,
        "properties": {
            "slug": {**slug, "description": "the name of the step, another one for each"},
            "depends_on": {
                "type": "array",
                "uniqueItems": True,
                "items": slug,
                "default": [],
                "description": "the slugs of the steps whose outputs it waits for",
            },
            **options,
        },
        "if": {"properties": {"type": {"const": "map"}}, "required": ["type"]},
        "then": {"properties": {"depends_on": {"maxItems": 1}}},
    }


def _describe_slug() -> Schema:
    return {
        "type": "string",
        "maxLength": MAX_SLUG_LENGTH,
        "pattern": _whole(SLUG_PATTERN),
        "not": {"enum": sorted(RESERVED_SLUGS)},
    }


def _describe_options(options: Mapping[str, Option]) -> dict[str, Schema]:
    return {key: _describe_option(option) for key, option in options.items()}


def _describe_option(option: Option) -> Schema:
    schema, note = describe_rule(option.rule), _note(option)
    if option.default is not None or not schema:
        return {**schema, **note}
    empty = [None, ""] if option.may_be_empty else [None]
    return {"anyOf": [schema, {"enum": empty}], **note}


def _note(option: Option) -> Schema:
    text = str(option.about)
    if option.unit:
        text += f" ({option.unit})"
    return {"description": text, "default": option.default}


def describe_rule(rule: Rule) -> Schema:
    """What values a rule lets pass, as far as a schema can say it."""
    match rule:
        case WholeNumber(low=low, high=high):
            return {"type": "integer", "minimum": low, "maximum": high}
        case OneOf(words=words):
            return {"enum": list(words)}
        case Text(max_length=most):
            return {"type": "string", "maxLength": most}
        case Name(pattern=pattern, max_length=most, reserved=reserved):
            kept = {} if reserved is None else {"not": {"const": reserved}}
            return {"type": "string", "maxLength": most, "pattern": _whole(pattern), **kept}
        case Inputs():
            return {
                "type": "object",
                "maxProperties": MAX_INPUTS,
                "propertyNames": {"minLength": 1, "not": {"const": RUN}},
                "additionalProperties": {
                    "type": "string",
                    "maxLength": MAX_SOURCE,
                    "pattern": _SOURCE,
                },
            }
        case Json(must_be_object=must_be_object):
            return {"type": "object"} if must_be_object else {}
    raise TypeError(f"flow_schema doesn't know what {type(rule).__name__} lets pass")


def _whole(pattern: str) -> str:
    """A pattern of a whole text: in Python ``$`` matches before a line break at the end, too."""
    return f"^{pattern}$(?!\\n)"
