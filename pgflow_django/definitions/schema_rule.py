"""What an option that is a JSON Schema must be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pgflow_django.definitions.rules import Json, shorten
from pgflow_django.definitions.schemas import schema_faults


@dataclass(frozen=True, slots=True)
class JsonSchema(Json):
    """A JSON Schema, of the subset that is read here."""

    must_be_object: bool = True

    keeps: ClassVar[str] = "is_an_object"

    def describe(self) -> str:
        """See ``Rule``."""
        return "a JSON Schema"

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if fault := Json(must_be_object=True).fault(value):
            return fault
        faults = schema_faults(value)
        if not faults:
            return None
        return f"is no JSON Schema: {shorten(faults[0].pointer)} {faults[0].message}"
