"""The JSON Schema of what is stored of a step's output: what pydantic writes of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def stored_schema(adapter: TypeAdapter[Any]) -> Any:
    """The schema of a type's values as JSON. Raises what pydantic has against it."""
    return adapter.json_schema(
        mode="serialization", by_alias=False, schema_generator=_generator_class()
    )


@cache
def _generator_class() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Stored(GenerateJsonSchema):
        """Knows that no keys are written but those declared, and of what nothing is known."""

        def model_schema(self, schema: Any) -> Any:
            return _close(super().model_schema(schema))

        def typed_dict_schema(self, schema: Any) -> Any:
            return _close(super().typed_dict_schema(schema))

        def dataclass_schema(self, schema: Any) -> Any:
            return _close(super().dataclass_schema(schema))

        def ser_schema(self, schema: Any) -> Any:
            found = super().ser_schema(schema)
            is_function = str(schema.get("type", "")).startswith("function")
            return {} if found is None and is_function else found

    return Stored


def _close(schema: Any) -> Any:
    if isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return schema
