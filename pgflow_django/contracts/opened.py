"""A JSON Schema of an object, opened for keys that it does not name. Objects in it stay closed."""

from __future__ import annotations

from typing import Any

from pgflow_django.definitions.schemas import read_reference, write_reference

_WHOLE = "#/$defs/whole"


def open_schema(schema: Any) -> Any:
    """The opened schema of one that ``read_schema`` has read.

    What it refers to in itself is kept as it was, under a name of its own.
    """
    whole = _move(schema)
    opened = _Opener(whole)
    found = opened.open(whole)
    return {**found, "$defs": opened.defs} if isinstance(found, dict) else found


class _Opener:
    def __init__(self, whole: Any) -> None:
        self.defs: dict[str, Any] = {"whole": whole}

    def open(self, schema: Any) -> Any:
        """The same without what it says of other keys, here and where it refers to."""
        if not isinstance(schema, dict):
            return schema
        left_out = {"additionalProperties", "$defs", "definitions"}
        found = {key: value for key, value in schema.items() if key not in left_out}
        if "anyOf" in found:
            found["anyOf"] = [self.open(one) for one in found["anyOf"]]
        if "$ref" in found:
            found["$ref"] = self._open_reference(found["$ref"])
        return found

    def _open_reference(self, ref: str) -> str:
        if ref not in self.defs:
            target: Any = self.defs["whole"]
            for token in read_reference(f"#{ref.removeprefix(_WHOLE)}") or ():
                target = target[int(token) if isinstance(target, list) else token]
            self.defs[ref] = self.open(target)
        return write_reference(["$defs", ref])


def _move(value: Any) -> Any:
    """A schema whose references lead to the same places when it stands below ``$defs/whole``."""
    if isinstance(value, list):
        return [_move(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _WHOLE + one[1:] if key == "$ref" and isinstance(one, str) else _move(one)
        for key, one in value.items()
    }
