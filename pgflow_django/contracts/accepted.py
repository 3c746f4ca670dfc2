"""What may pass a type of pydantic's, as a JSON Schema: what it refuses is refused in every call.

pydantic converts: ``"7"`` passes as an ``int``, and a validator may make anything of anything. Its
own JSON Schema tells what is meant; this one tells what is certain, and lets all else pass.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from pgflow_django.contracts.cores import makes_members
from pgflow_django.definitions.schemas import write_reference

Core = dict[str, Any]
Schema = dict[str, Any]

_MAX_DEPTH = 12
#: What each type takes of JSON: lax, as pydantic checks calls.
_TAKEN = {
    "none": ("null",),
    "bool": ("boolean", "integer", "string"),
    "int": ("boolean", "integer", "string"),
    "float": ("boolean", "number", "string"),
    "decimal": ("array", "boolean", "number", "string"),
    **dict.fromkeys(("date", "datetime", "time", "timedelta"), ("boolean", "number", "string")),
    **dict.fromkeys(("str", "bytes", "uuid", "url", "multi-host-url", "json"), ("string",)),
    **dict.fromkeys(("set", "frozenset", "tuple"), ("array",)),
}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
#: Where the schema lies that sees the value first.
_INNER = {
    "default": "schema",
    "function-after": "schema",
    "custom-error": "schema",
    "lax-or-strict": "lax_schema",
    "json-or-python": "python_schema",
    "dataclass": "schema",
}


def accepted_schema(core: Any) -> Schema:
    """The schema of what may pass a core schema of pydantic's."""
    defs: dict[str, Schema] = {}
    schema = _Reader(defs).read(core, 0)
    return {**schema, "$defs": defs} if defs else schema


class _Reader:
    """Reads core schemas; those it does not know let anything pass."""

    def __init__(self, defs: dict[str, Schema]) -> None:
        self._defs = defs
        #: Whether text may be made of numbers, here or around.
        self._is_loose = False

    def read(self, core: Any, depth: int) -> Schema:
        """What may pass this one."""
        if depth > _MAX_DEPTH or not isinstance(core, dict):
            return {}
        config = core.get("config") or {}
        self._is_loose |= bool(
            core.get("coerce_numbers_to_str") or config.get("coerce_numbers_to_str")
        )
        kind = core["type"]
        if core.get("on_error", "raise") != "raise":
            return {}  # what does not fit is left out, or something else takes its place
        if kind in _INNER:
            return self.read(core[_INNER[kind]], depth)
        if reader := _READERS.get(kind):
            return reader(self, core, depth + 1)
        taken = _TAKEN.get(kind)
        if kind == "str" and self._is_loose:
            taken = None
        return {} if taken is None else {"type": list(taken), **_read_bounds(kind, core)}

    def _read_definitions(self, core: Core, depth: int) -> Schema:
        for one in core["definitions"]:
            self._defs[one["ref"]] = self.read(one, depth)
        return self.read(core["schema"], depth)

    def _read_reference(self, core: Core, _: int) -> Schema:
        return {"$ref": write_reference(["$defs", core["schema_ref"]])}

    def _read_nullable(self, core: Core, depth: int) -> Schema:
        return {"anyOf": [self.read(core["schema"], depth), {"type": "null"}]}

    def _read_union(self, core: Core, depth: int) -> Schema:
        choices = core["choices"]
        members = choices.values() if isinstance(choices, dict) else choices
        read = [self.read(one[0] if isinstance(one, tuple) else one, depth) for one in members]
        return {"anyOf": read}

    def _read_list(self, core: Core, depth: int) -> Schema:
        sizes = {"minItems": core.get("min_length"), "maxItems": core.get("max_length")}
        known = {key: value for key, value in sizes.items() if value is not None}
        return {"type": "array", "items": self.read(core.get("items_schema"), depth), **known}

    def _read_dict(self, core: Core, depth: int) -> Schema:
        values = self.read(core.get("values_schema"), depth)
        return {"type": "object", "additionalProperties": values}

    def _read_literal(self, core: Core, _: int) -> Schema:
        expected = core["expected"]
        # Of numbers pydantic takes others that are equal.
        return {"enum": expected} if all(type(one) is str for one in expected) else {}

    def _read_enum(self, core: Core, _: int) -> Schema:
        values = [one.value for one in core["members"] if isinstance(one, Enum)]
        is_known = all(type(one) is str for one in values) and not makes_members(core["cls"])
        return {"enum": values} if is_known else {}

    def _read_model(self, core: Core, depth: int) -> Schema:
        config = core.get("config") or {}
        if core.get("custom_init") or config.get("from_attributes"):
            return {}
        return self.read(core["schema"], depth)

    def _read_chain(self, core: Core, depth: int) -> Schema:
        return self.read(core["steps"][0], depth)

    def _read_fields(self, core: Core, depth: int) -> Schema:
        fields = core["fields"]
        if isinstance(fields, list):
            fields = {one["name"]: one for one in fields if one.get("init", True)}
        # A field with an alias may be given under several names.
        known = {name: one for name, one in fields.items() if not one.get("validation_alias")}
        return {
            "type": "object",
            "properties": {name: self.read(one["schema"], depth) for name, one in known.items()},
            "required": [
                name
                for name, one in known.items()
                if one.get("required", True) and not _has_default(one["schema"])
            ],
        }


_READERS: dict[str, Callable[[_Reader, Core, int], Schema]] = {
    "definitions": _Reader._read_definitions,  # noqa: SLF001 - of this module
    "definition-ref": _Reader._read_reference,  # noqa: SLF001
    "nullable": _Reader._read_nullable,  # noqa: SLF001
    "union": _Reader._read_union,  # noqa: SLF001
    "tagged-union": _Reader._read_union,  # noqa: SLF001
    "list": _Reader._read_list,  # noqa: SLF001
    "dict": _Reader._read_dict,  # noqa: SLF001
    "literal": _Reader._read_literal,  # noqa: SLF001
    "enum": _Reader._read_enum,  # noqa: SLF001
    "model": _Reader._read_model,  # noqa: SLF001
    "chain": _Reader._read_chain,  # noqa: SLF001
    **dict.fromkeys(("typed-dict", "model-fields", "dataclass-args"), _Reader._read_fields),  # noqa: SLF001
}


def _has_default(core: Any) -> bool:
    while isinstance(core, dict):
        if core.get("type") == "default":
            return True
        core = core.get("schema")
    return False


def _read_bounds(kind: str, core: Core) -> Schema:
    """The bounds of a number; those of what is converted may be others."""
    if kind not in {"int", "float"}:
        return {}
    found = {keyword: core.get(name) for name, keyword in _BOUNDS.items()}
    return {key: value for key, value in found.items() if isinstance(value, int | float)}
