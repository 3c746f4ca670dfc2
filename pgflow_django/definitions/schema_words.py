"""What a JSON Schema asks for, in a few words: ``{rows: list of {code: text}, day?: text}``.

Pure: no Django.
"""

from __future__ import annotations

import json
from typing import Any

from pgflow_django.definitions.schemas import read_reference

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "nothing",
    "array": "list",
    "object": "object",
}
#: Objects within objects that are written out, and keys of each.
_MAX_DEPTH = 3
_MAX_KEYS = 8
_MAX_WORDS = 5


def say_type(schema: Any, root: Any = None, depth: int = 0) -> str:
    """The type that a schema describes; ``""`` for no schema."""
    if schema is None:
        return ""
    root = schema if root is None else root
    schema = _resolve(schema, root)
    if not isinstance(schema, dict) or depth > 2 * _MAX_DEPTH:
        return "anything"
    if isinstance(values := schema.get("enum"), list):
        shown = [json.dumps(value, ensure_ascii=False) for value in values[:_MAX_WORDS]]
        return " | ".join([*shown, *(["…"] if len(values) > _MAX_WORDS else [])])
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if isinstance(choices := schema.get("anyOf"), list):
        return " | ".join(dict.fromkeys(say_type(one, root, depth + 1) for one in choices[:5]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_WORDS.get(one, str(one)) for one in kind)
    if kind == "array":
        return _say_list(schema.get("items"), root, depth)
    if kind == "object" or "properties" in schema:
        return _say_object(schema, root, depth)
    return _WORDS.get(kind, "anything") if isinstance(kind, str) else "anything"


def _say_list(items: Any, root: Any, depth: int) -> str:
    inner = say_type(items, root, depth + 1) if items and depth < _MAX_DEPTH else "anything"
    return "list" if inner == "anything" else f"list of {inner}"


def _say_object(schema: dict[str, Any], root: Any, depth: int) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties or depth >= _MAX_DEPTH:
        return "object"
    required = schema.get("required", [])
    keys = [
        f"{name}{'' if name in required else '?'}: {say_type(one, root, depth + 1)}"
        for name, one in list(properties.items())[:_MAX_KEYS]
    ]
    return f"{{{', '.join([*keys, *(['…'] if len(properties) > _MAX_KEYS else [])])}}}"


def _resolve(schema: Any, root: Any) -> Any:
    """What a local reference leads to; a few steps, since it may lead in a circle."""
    for _ in range(_MAX_DEPTH):
        path = read_reference(schema.get("$ref")) if isinstance(schema, dict) else None
        if not path:
            break
        found = root
        for token in path:
            found = found.get(token) if isinstance(found, dict) else None
        schema = found
    return schema
