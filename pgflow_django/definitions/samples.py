"""A value of a JSON Schema's shape: for forms that begin with one, for simulated steps. Pure."""

from __future__ import annotations

from typing import Any

from pgflow_django.definitions.inputs import follow
from pgflow_django.definitions.schemas import unescape_token

#: Values in a sample, and levels: schemas that hold themselves have no end.
_MAX_VALUES, _MAX_DEPTH = 5_000, 32
_PLAIN = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}


def make_sample(schema: dict[str, Any] | None) -> Any:
    """A value of the schema's shape: its example, its defaults, or simple values.

    What else the schema asks for, a pattern or a length, need not hold.
    """
    return _Sampler(schema).sample(schema, 0)


class _Sampler:
    """Makes the sample of one schema, with a bound on the work."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole
        self._left = _MAX_VALUES
        #: The references that lead to where we are: behind one of them, it all begins again.
        self._within = ["#"]

    def sample(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or depth > _MAX_DEPTH:
            return {}
        for key in ("default", "const"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if isinstance(schema.get(key), list) and schema[key]:
                return schema[key][0]
        if isinstance(schema.get("$ref"), str):
            return self._follow(schema["$ref"], depth)
        if isinstance(schema.get("anyOf"), list):
            members = [one for one in schema["anyOf"] if not self._begins_again(one)]
            return self.sample(members[0] if members else None, depth + 1)
        properties = schema.get("properties")
        if isinstance(properties, dict):
            return {name: self.sample(rules, depth + 1) for name, rules in properties.items()}
        return self._plain(schema, depth)

    def _begins_again(self, schema: Any) -> bool:
        return isinstance(schema, dict) and schema.get("$ref") in self._within

    def _follow(self, reference: str, depth: int) -> Any:
        if reference in self._within:
            return {}
        self._within.append(reference)
        found = self.sample(_find(reference, self._whole), depth + 1)
        self._within.pop()
        return found

    def _plain(self, schema: dict[str, Any], depth: int) -> Any:
        kind, items = schema.get("type"), schema.get("items")
        if kind == "array":
            is_plain = isinstance(items, dict) and not self._begins_again(items)
            return [self.sample(items, depth + 1)] if is_plain else []
        return _PLAIN.get(kind, {}) if isinstance(kind, str) else {}


def _find(reference: str, whole: Any) -> Any:
    """What a reference within the schema leads to; nothing for one that leads elsewhere."""
    start, *tokens = reference.split("/")
    try:
        return follow(whole, [unescape_token(token) for token in tokens]) if start == "#" else None
    except LookupError:
        return None
