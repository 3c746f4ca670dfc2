"""JSON Schemas that are stored or declared: a subset is read, which is safe to check against.

Pure: no ORM. A schema may come from anybody: it has bounds, and ``pattern``, remote references and
references that lead back to themselves are kept out of ``schema_values``, which checks values.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from pgflow_django.definitions.rules import shorten, show

MAX_BYTES = 64 * 1024
MAX_LEVELS = 16
#: References and alternatives that one value is checked against one within the other.
MAX_CHAIN = 40

#: Keywords whose value is a schema, an object of schemas, a list of schemas, or says itself.
_SCHEMA = frozenset({"items", "additionalProperties"})
_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
_SCHEMA_LISTS = frozenset({"prefixItems", "anyOf"})
_PLAIN = frozenset(
    {"$ref", "type", "required", "enum", "const", "minimum", "maximum", "exclusiveMinimum"}
    | {"exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"}
)
#: Keywords that say something to people and forms, and nothing about what is valid.
_NOTES = frozenset({"title", "description", "default", "examples", "format"})
_SILENT = frozenset({"$schema", "$id", "$comment"})
#: The keywords that are evaluated.
KEYWORDS = _SCHEMA | _SCHEMA_LISTS | _PLAIN | {"properties"}


class Fault(NamedTuple):
    """Something about a schema, or about a value that does not fit it."""

    pointer: str
    #: What is wrong, without the value: that is not for everybody's eyes.
    rule: str
    #: The value, cut short; ``""`` where it says nothing more.
    value: str = ""
    #: The whole sentence, where it is another than these two make: it may tell of the value.
    said: str = ""

    @property
    def message(self) -> str:
        """What is wrong: ``should be a string, is 7``."""
        if self.said:
            return self.said
        return f"{self.rule}, is {self.value}" if self.value else self.rule


class NoSchemaError(ValueError):
    """What should be a schema is none; ``faults`` say why."""

    def __init__(self, faults: list[Fault]) -> None:
        first = faults[0]
        super().__init__(f"{first.pointer or 'it'} {first.message}")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Reading:
    """A schema as it is understood: what it asks for, and what in it is not evaluated."""

    schema: dict[str, Any] | bool
    unused: tuple[Fault, ...]


def read_schema(schema: Any) -> Reading:
    """What of a JSON Schema counts here. Raises ``NoSchemaError`` where it is none."""
    found = _read_text(_write(schema))
    if isinstance(found, Reading):
        return found
    raise NoSchemaError(found)


@lru_cache(maxsize=64)
def _read_text(text: str) -> Reading | list[Fault]:
    """The schema of a JSON text, or why it is none: a document's is asked for several times."""
    reader = _Reader()
    cleaned = reader.clean(json.loads(text), "", 1)
    if not reader.faults:
        reader.follow_references()
    return reader.faults or Reading(cleaned, tuple(reader.unused))


def schema_faults(schema: Any) -> list[Fault]:
    """Why something is no schema; an empty list where it is one."""
    try:
        read_schema(schema)
    except NoSchemaError as error:
        return error.faults
    return []


def to_pointer(path: Any) -> str:
    """A JSON Pointer of keys and indexes."""
    return "".join(f"/{escape_token(token)}" for token in path)


def escape_token(token: object) -> str:
    """A key or an index as a token of a JSON Pointer."""
    return str(token).replace("~", "~0").replace("/", "~1")


def unescape_token(token: str) -> str:
    """The key that a token of a JSON Pointer names."""
    return token.replace("~1", "/").replace("~0", "~")


def read_reference(ref: Any) -> list[str] | None:
    """The keys to where a reference into the same schema leads; ``None`` for any other.

    It is a URI, in which characters may be written as ``%41``.
    """
    if ref == "#":
        return []
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return None
    return [unescape_token(token) for token in unquote(ref[2:]).split("/")]


def write_reference(path: Any) -> str:
    """The reference to what stands in the same schema under keys and indexes."""
    return "#" + to_pointer(path).replace("%", "%25")


def _write(schema: Any) -> str:
    """The schema as JSON text. Raises ``NoSchemaError`` for what is too large, or no JSON."""
    try:
        text = json.dumps(schema, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NoSchemaError([Fault("", f"is no JSON: {error}")]) from None
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        rule = f"has {size:,} bytes of JSON, but may have at most {MAX_BYTES:,}"
        raise NoSchemaError([Fault("", rule)])
    return text


class _Reader:
    """Walks a schema, and keeps what counts."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.unused: list[Fault] = []
        #: Where each schema stands, and those that are checked against the same value as it.
        self.same_value: dict[str, list[str]] = {}

    def clean(self, schema: Any, pointer: str, level: int) -> Any:
        """The part of a schema that counts."""
        if isinstance(schema, bool):
            self.same_value[pointer] = []
            return schema
        if not isinstance(schema, dict):
            self.faults.append(Fault(pointer, f"is {show(schema)}, but must be a schema"))
            return True
        if level > MAX_LEVELS:
            self.faults.append(Fault(pointer, f"is nested deeper than {MAX_LEVELS} levels"))
            return True
        self.same_value[pointer] = []
        kept = {}
        for key, value in schema.items():
            below = f"{pointer}/{escape_token(key)}"
            if key in _SCHEMA | _SCHEMAS | _SCHEMA_LISTS | _PLAIN:
                kept[key] = self._clean_value(key, value, below, level)
            elif key not in _NOTES | _SILENT:
                self.unused.append(Fault(below, "is not evaluated"))
        self._check_plain({key: kept[key] for key in kept if key in _PLAIN}, pointer)
        for index in range(len(kept.get("anyOf", ()))):
            self.same_value[pointer].append(f"{pointer}/anyOf/{index}")
        if "$ref" in kept:
            self._note_reference(kept["$ref"], pointer)
        return kept

    def _check_plain(self, plain: dict[str, Any], pointer: str) -> None:
        """Whether the keywords that hold no schemas have values that say something."""
        for error in islice(_plain_validator().iter_errors(plain), 5) if plain else ():
            place = f"{pointer}{to_pointer(error.absolute_path)}"
            self.faults.append(Fault(place, f"is no valid schema: {error.message:.200}"))

    def _clean_value(self, key: str, value: Any, pointer: str, level: int) -> Any:
        if key in _SCHEMA:
            return self.clean(value, pointer, level + 1)
        if key in _SCHEMAS:
            return self._clean_object(value, pointer, level)
        return self._clean_list(value, pointer, level) if key in _SCHEMA_LISTS else value

    def _clean_object(self, value: Any, pointer: str, level: int) -> Any:
        if not isinstance(value, dict):
            self.faults.append(Fault(pointer, f"is {show(value)}, but must be an object"))
            return {}
        return {
            key: self.clean(schema, f"{pointer}/{escape_token(key)}", level + 1)
            for key, schema in value.items()
        }

    def _clean_list(self, value: Any, pointer: str, level: int) -> Any:
        if not isinstance(value, list) or not value:
            text = f"is {show(value)}, but must be a list of schemas, at least one"
            self.faults.append(Fault(pointer, text))
            return [True]
        return [
            self.clean(schema, f"{pointer}/{index}", level + 1)
            for index, schema in enumerate(value)
        ]

    def _note_reference(self, ref: Any, pointer: str) -> None:
        path = read_reference(ref)
        if path is not None:
            self.same_value[pointer].append(to_pointer(path))
            return
        text = f"is {show(ref)}: references lead to a place in the same schema (#/$defs/…) only"
        self.faults.append(Fault(f"{pointer}/$ref", text))

    def follow_references(self) -> None:
        """Find references to nothing, and those that lead back to themselves."""
        for pointer, targets in self.same_value.items():
            for target in targets:
                if target not in self.same_value:
                    text = f'is "#{shorten(target)}", where no schema stands'
                    self.faults.append(Fault(f"{pointer}/$ref", text))
        if not self.faults:
            self._measure_chains()

    def _measure_chains(self) -> None:
        """Find where one value is checked against schema after schema, for ever or too long."""
        try:
            order = list(TopologicalSorter(self.same_value).static_order())
        except CycleError as error:
            text = "leads back to itself before it has looked at anything"
            self.faults.append(Fault(str(error.args[1][0]), text))
            return
        lengths: dict[str, int] = {}
        for pointer in order:
            inner = (lengths[target] for target in self.same_value[pointer])
            lengths[pointer] = 1 + max(inner, default=0)
            if lengths[pointer] > MAX_CHAIN:
                text = f"leads through more than {MAX_CHAIN} schemas one after another"
                self.faults.append(Fault(pointer, text))
                return


@cache
def _plain_validator() -> Any:
    """What checks the keywords of one schema that hold no others, as the schema of schemas does."""
    from jsonschema import Draft202012Validator as Draft

    kind = {"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]}
    kinds = {"type": "array", "items": kind, "minItems": 1, "uniqueItems": True}
    number, count = {"type": "number"}, {"type": "integer", "minimum": 0}
    properties = {
        "$ref": {"type": "string"},
        "type": {"anyOf": [kind, kinds]},
        "required": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "enum": {"type": "array"},
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), number),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), count),
    }
    return Draft({"properties": properties})
