"""The operations as tools of the Model Context Protocol, in as few bytes as tell what is needed.

What is listed stands in every conversation of a model, before its first word.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pgflow_django.agents.operations import Operation

JSON = dict[str, Any]

#: Says nothing that the name of a property does not say.
_LEFT_OUT: Final = ("title",)
_NULL: Final = {"type": "null"}


@cache
def describe_tool(operation: Operation) -> JSON:
    """A tool as the protocol lists it."""
    return {
        "name": operation.name,
        "description": operation.summary,
        "inputSchema": _without_null(compact(operation.arguments.model_json_schema())),
        "outputSchema": compact(operation.result.model_json_schema(mode="serialization")),
        "annotations": {
            "readOnlyHint": operation.is_read_only,
            "destructiveHint": operation.is_destructive,
            "idempotentHint": operation.is_idempotent or operation.is_read_only,
            "openWorldHint": False,
        },
    }


def compact(schema: JSON) -> JSON:
    """The schema of a model without references, titles and what is so anyway.

    The description of the model itself goes: it is for readers of the code.
    """
    definitions = schema.get("$defs", {})
    small: JSON = _shrink(schema, definitions)
    return {key: value for key, value in small.items() if key not in ("$defs", "description")}


def _shrink(schema: Any, definitions: JSON) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _shrink({**definitions[name], **beside}, definitions)
    small = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
    if small.get("additionalProperties") is True:
        del small["additionalProperties"]
    if "properties" in small:
        properties = small["properties"].items()
        small["properties"] = {name: _shrink(each, definitions) for name, each in properties}
    for key in ("items", "additionalProperties"):
        if key in small:
            small[key] = _shrink(small[key], definitions)
    if "anyOf" in small:
        small = _join(small, [_shrink(each, definitions) for each in small["anyOf"]])
    return small


def _join(schema: JSON, choices: list[JSON]) -> JSON:
    """``anyOf`` a type and null as one schema, where nothing is lost by it."""
    others = [each for each in choices if each != _NULL]
    if len(others) == 1 and isinstance(others[0].get("type"), str) and "enum" not in others[0]:
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**others[0], **beside, "type": [others[0]["type"], "null"]}
    return {**schema, "anyOf": choices}


def _without_null(schema: JSON) -> JSON:
    """The schema of arguments, which are left out rather than null."""
    properties = {
        name: _drop_null(each) if each.get("default", "") is None else each
        for name, each in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _drop_null(schema: JSON) -> JSON:
    kept = {key: value for key, value in schema.items() if key != "default"}
    if isinstance(kept.get("type"), list):
        kept["type"] = kept["type"][0]
    return kept
