"""The JSON Schema of what is stored of a step's output: what pydantic writes of it."""

from __future__ import annotations

from enum import Flag
from functools import cache
from typing import TYPE_CHECKING, Any

from pgflow_django.contracts.cores import Core, makes_members, rebuild

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: What a schema says of its values beside their type.
_BOUNDS = {"ge", "gt", "le", "lt", "max_length", "min_length", "multiple_of", "pattern"}


def stored_schema(adapter: TypeAdapter[Any]) -> Any:
    """The schema of a type's values as JSON. Raises what pydantic has against it."""
    return adapter.json_schema(
        mode="serialization", by_alias=False, schema_generator=_generator_class()
    )


def certain_schema(core: Any) -> Any:
    """What of that is certain, whatever the type says of its schema, and its validators do."""
    bare = rebuild(core, _forget_words)
    return _generator_class()(by_alias=False).generate(bare, "serialization")


def _forget_words(core: Core) -> Core:
    """Without notes on the schema, and without bounds of what a validator has changed since."""
    new = {key: value for key, value in core.items() if key != "metadata"}
    if core["type"] in {"function-after", "function-wrap"}:
        inner = {key: value for key, value in core["schema"].items() if key not in _BOUNDS}
        return {**new, "schema": inner}
    return new


@cache
def _generator_class() -> Any:
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import PydanticOmit

    class Stored(GenerateJsonSchema):
        """Knows that no keys are written but those declared, and of what nothing is known."""

        def generate_inner(self, schema: Any) -> Any:
            try:
                return super().generate_inner(schema)
            except PydanticOmit:
                # It is not shown to those who write it, and is stored all the same.
                rest = {key: value for key, value in schema.items() if key != "metadata"}
                return super().generate_inner(rest)

        def model_schema(self, schema: Any) -> Any:
            return _close(self._write_names(super().model_schema, schema))

        def typed_dict_schema(self, schema: Any) -> Any:
            return _close(self._write_names(super().typed_dict_schema, schema))

        def dataclass_schema(self, schema: Any) -> Any:
            return _close(self._write_names(super().dataclass_schema, schema))

        def _write_names(self, read: Any, schema: Any) -> Any:
            """With the names under which the fields of this one are written."""
            before = self.by_alias
            self.by_alias = bool((schema.get("config") or {}).get("serialize_by_alias"))
            try:
                return read(schema)
            finally:
                self.by_alias = before

        def enum_schema(self, schema: Any) -> Any:
            found = super().enum_schema(schema)
            if makes_members(schema["cls"]):
                left_out = {"enum", "const"} if issubclass(schema["cls"], Flag) else {*found}
                return {key: value for key, value in found.items() if key not in left_out}
            return found

        def ser_schema(self, schema: Any) -> Any:
            found = super().ser_schema(schema)
            kind = str(schema.get("type", ""))
            return {} if found is None and (kind == "any" or kind.startswith("function")) else found

    return Stored


def _close(schema: Any) -> Any:
    if isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return schema
