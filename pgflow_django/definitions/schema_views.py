"""A part of a JSON Schema as it is read: references followed, defaults filled in.

Pure: no Django. What is not understood is read as wider than it is: anything may stand there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pgflow_django.definitions.schemas import read_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The kinds of JSON values. Whole numbers are kept apart: each is a number, too.
KINDS = frozenset({"null", "boolean", "integer", "fraction", "string", "array", "object"})
_NAMED = {
    **{kind: frozenset({kind}) for kind in KINDS - {"fraction"}},
    "number": frozenset({"integer", "fraction"}),
}
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
#: References that lead to references.
_MAX_FOLLOWED = 10
#: Tokens of a pointer; beyond these, what is there is not known.
_MAX_TOKENS = 32
#: Keywords that say nothing about what is valid beside a reference.
_BESIDE = frozenset({"$ref", "title", "description", "default", "examples", "$defs", "$comment"})


class View(NamedTuple):
    """A schema that stands in ``root``, into which its references lead."""

    schema: Any
    root: Any

    @classmethod
    def of(cls, schema: Any) -> View:
        """The whole of a schema; of ``None``, that of anything."""
        return cls(True, True) if schema is None else cls(schema, schema)

    def within(self, schema: Any) -> View:
        """Another schema of the same root."""
        return View(schema, self.root)

    def resolve(self) -> tuple[View, bool]:
        """What the reference leads to that this may be, and whether that is all it says."""
        schema, is_all = self.schema, True
        for _ in range(_MAX_FOLLOWED):
            if not isinstance(schema, dict) or "$ref" not in schema:
                known = isinstance(schema, dict | bool)
                return self.within(schema if known else True), is_all and known
            is_all = is_all and schema.keys() <= _BESIDE
            schema = _look_up(schema["$ref"], self.root)
        return self.within(True), False

    def choices(self) -> list[View]:
        """The alternatives of a resolved schema; none where it has none."""
        schema = self.schema
        for keyword in ("anyOf", "oneOf"):
            found = schema.get(keyword) if isinstance(schema, dict) else None
            if isinstance(found, list) and found:
                return [self.within(one) for one in found]
        return []

    def kinds(self) -> frozenset[str]:
        """The kinds of values that a resolved schema without its alternatives takes."""
        if not isinstance(self.schema, dict):
            return KINDS if self.schema else frozenset()
        named = self.schema.get("type")
        names = [named] if isinstance(named, str) else named
        kinds = KINDS
        if isinstance(names, list):
            kinds = frozenset().union(*(_NAMED.get(name, KINDS) for name in map(str, names)))
        values = self.values()
        return kinds if values is None else kinds & {kind_of(value) for value in values}

    def values(self) -> list[Any] | None:
        """The only values there may be; ``None`` where they aren't counted."""
        schema = self.schema
        if "const" in schema:
            return [schema["const"]]
        return schema["enum"] if isinstance(schema.get("enum"), list) else None

    def read_object(self) -> Object:
        """A resolved schema as what it asks of objects."""
        properties, required = self.schema.get("properties"), self.schema.get("required")
        rest = (
            True
            if "patternProperties" in self.schema
            else self.schema.get("additionalProperties", True)
        )
        return Object(
            self,
            properties if isinstance(properties, dict) else {},
            frozenset(map(str, required)) if isinstance(required, list) else frozenset(),
            rest,
        )

    def read_array(self) -> Array:
        """A resolved schema as what it asks of arrays."""
        first = self.schema.get("prefixItems")
        return Array(self, first if isinstance(first, list) else [], self.schema.get("items", True))

    def follow(self, tokens: Iterable[str]) -> View:
        """Where the tokens of a JSON Pointer lead; the schema ``False`` where nothing can be."""
        view = self
        for count, token in enumerate(tokens):
            if isinstance(view.schema, bool):
                break
            view = view._step(token) if count < _MAX_TOKENS else view.within(True)
        return view

    def items(self) -> View:
        """The items of the arrays that there may be."""
        return self._step(None)

    def _step(self, token: str | None) -> View:
        found = [part for view in self._alternatives() for part in view._parts(token)]  # noqa: SLF001 - of this class
        return self.within(_any({id(part): part for part in found}.values()))

    def _alternatives(self) -> list[View]:
        """What this may be, resolved and without alternatives of its own, each once."""
        found: list[View] = []
        left, seen = [self], set()
        while left:
            view, _ = left.pop().resolve()
            if id(view.schema) in seen:
                continue
            seen.add(id(view.schema))
            choices = view.choices()
            left += reversed(choices)
            if not choices:
                found.append(view)
        return found

    def _parts(self, token: str | None) -> list[Any]:
        """The schemas of what stands behind a token in a resolved schema without alternatives."""
        view = self
        if isinstance(view.schema, bool):
            return [view.schema]
        found: list[Any] = []
        kinds = view.kinds()
        if "object" in kinds and token is not None:
            found.append(view.read_object().property(token).schema)
        if "array" in kinds:
            array = view.read_array()
            if token is None:
                found += [*array.first, array.rest]
            elif _INDEX.fullmatch(token):
                found.append(array.item(int(token)).schema)
        return found


class Object(NamedTuple):
    """What a schema asks of objects."""

    view: View
    properties: dict[str, Any]
    required: frozenset[str]
    rest: Any

    def property(self, name: str) -> View:
        """What stands under a key."""
        return self.view.within(self.properties.get(name, self.rest))


class Array(NamedTuple):
    """What a schema asks of the items of arrays."""

    view: View
    first: Sequence[Any]
    rest: Any

    def item(self, index: int) -> View:
        """What stands at a place."""
        return self.view.within(self.first[index] if index < len(self.first) else self.rest)


def kind_of(value: Any) -> str:
    """The kind of a JSON value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        whole = isinstance(value, int) or value.is_integer()
        return "integer" if whole else "fraction"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def _any(schemas: Iterable[Any]) -> Any:
    """The schema of what fits one of these."""
    left = [schema for schema in schemas if schema is not False]
    return {"anyOf": left} if len(left) > 1 else (left or [False])[0]


def _look_up(ref: Any, root: Any) -> Any:
    """What a local reference leads to; ``None`` where it leads to nothing."""
    path = read_reference(ref)
    if path is None:
        return None
    found = root
    for token in path:
        if isinstance(found, list) and _INDEX.fullmatch(token) and int(token) < len(found):
            found = found[int(token)]
        else:
            found = found.get(token) if isinstance(found, dict) else None
    return found
