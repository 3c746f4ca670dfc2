"""The form that asks for a run's input: fields from the flow's schema, or JSON as text.

Fields are made for the part of JSON Schema that a form can show: an object whose properties are
text, numbers, truth values, dates, choices, or lists of these. Everything else is written as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from pgflow_django import jsonvalue
from pgflow_django.definitions.source import find_fault, find_place

#: Bytes of an input that the page takes; larger ones are for programs.
MAX_BYTES = 1024 * 1024
_SCALARS = ("string", "integer", "number", "boolean")
#: A schema with more properties than this is easier to fill in as JSON.
_MAX_FIELDS = 40


@dataclass(slots=True)
class InputField:
    """One field: what it asks for, what was written into it, and what is wrong with that."""

    name: str
    kind: str
    label: str
    help: str = ""
    is_required: bool = False
    choices: list[tuple[str, str, bool]] = field(default_factory=list)
    text: str = ""
    error: str = ""
    schema: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of the form's control: no other control of the form can have it."""
        return f"f-{self.name}"

    @property
    def is_checked(self) -> bool:
        """Whether the box of a truth value is ticked."""
        return self.text == "true"

    @property
    def step(self) -> str:
        """What a number's control steps by."""
        return "1" if self.kind == "integer" else "any"

    @property
    def is_long(self) -> bool:
        """Whether the control needs several lines."""
        return self.kind in {"list", "json"}


def make_fields(schema: dict[str, Any] | None, value: Any = None) -> list[InputField]:
    """The fields of a schema, filled with ``value``; none where only JSON will do."""
    properties = (schema or {}).get("properties")
    if (schema or {}).get("type", "object") != "object" or not isinstance(properties, dict):
        return []
    if not 0 < len(properties) <= _MAX_FIELDS:
        return []
    listed = (schema or {}).get("required")
    required = listed if isinstance(listed, list) else []
    known = value if isinstance(value, dict) else {}
    return [
        _make_field(name, rules if isinstance(rules, dict) else {}, name in required, known)
        for name, rules in properties.items()
    ]


def _make_field(
    name: str, rules: dict[str, Any], is_required: bool, known: dict[str, Any]
) -> InputField:
    kind = _find_kind(rules)
    made = InputField(
        name,
        kind,
        label=str(rules.get("title") or name),
        help=str(rules.get("description") or ""),
        is_required=is_required,
        schema=rules,
    )
    value = known.get(name, rules.get("default"))
    made.text = _to_text(kind, value)
    if kind == "choice":
        made.choices = [
            (json.dumps(option), str(option), option == value) for option in rules["enum"]
        ]
    return made


def _find_kind(rules: dict[str, Any]) -> str:
    wanted = rules.get("type")
    if isinstance(rules.get("enum"), list) and rules["enum"]:
        return "choice"
    if wanted == "string" and rules.get("format") == "date":
        return "date"
    if wanted in _SCALARS:
        return str(wanted)
    items = rules.get("items")
    is_plain = isinstance(items, dict) and items.get("type") in _SCALARS and "enum" not in items
    return "list" if wanted == "array" and is_plain else "json"


def _to_text(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind in {"string", "date"} and isinstance(value, str):
        return value
    if kind == "list" and isinstance(value, list):
        lines = [item if isinstance(item, str) else json.dumps(item) for item in value]
        return "\n".join(lines)
    if kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=2)
    return json.dumps(value, ensure_ascii=False)


def read_fields(fields: list[InputField], data: Any) -> dict[str, Any] | None:
    """The input that the fields say; ``None`` where some ``error`` of a field says why not."""
    value: dict[str, Any] = {}
    for each in fields:
        each.text = data.get(each.key, "").replace("\r\n", "\n")
        each.choices = [(code, word, code == each.text) for code, word, _old in each.choices]
        if each.kind == "boolean":
            each.text = "true" if each.text else "false"
        elif not each.text.strip():
            each.error = _("This is needed.") if each.is_required else ""
            continue
        try:
            value[each.name] = _to_value(each)
        except ValueError as error:
            each.error = str(error)
    return None if any(each.error for each in fields) else value


def _to_value(each: InputField) -> Any:
    if each.kind in _SCALARS:
        value = _read_scalar(each.kind, each.text, each.schema)
    elif each.kind == "date":
        value = _read_date(each.text.strip())
    elif each.kind == "choice":
        value = _read_choice(each)
    elif each.kind == "list":
        kind = each.schema["items"]["type"]
        lines = [line for line in each.text.split("\n") if line.strip()]
        value = [_read_scalar(kind, line.strip(), each.schema["items"]) for line in lines]
    else:
        value = read_json(each.text)
    return value


def _read_scalar(kind: str, text: str, rules: dict[str, Any]) -> Any:
    if kind == "string":
        return text
    if kind == "boolean":
        if text not in {"true", "false"}:
            raise ValueError(_("Write true or false, not “%(text)s”.") % {"text": text[:40]})
        return text == "true"
    try:
        # Python reads digits of other scripts, and underscores between digits.
        plain = text if text.isascii() and "_" not in text else ""
        number: int | float = int(plain) if kind == "integer" else float(plain)
    except ValueError:
        word = _("a whole number") if kind == "integer" else _("a number")
        raise ValueError(
            _("Write %(word)s, not “%(text)s”.") % {"word": word, "text": text[:40]}
        ) from None
    if number != number or number in {float("inf"), float("-inf")}:
        raise ValueError(_("JSON has no such number."))
    least, most = rules.get("minimum"), rules.get("maximum")
    if isinstance(least, int | float) and number < least:
        raise ValueError(_("At least %(number)s.") % {"number": least})
    if isinstance(most, int | float) and number > most:
        raise ValueError(_("At most %(number)s.") % {"number": most})
    return int(number) if isinstance(number, float) and text.isdecimal() else number


def _read_date(text: str) -> str:
    try:
        day: date | None = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise ValueError(_("Write a date like 2026-01-31."))
    return day.isoformat()


def _read_choice(each: InputField) -> Any:
    for option in each.schema["enum"]:
        if json.dumps(option) == each.text:
            return option
    raise ValueError(_("Choose one of the list."))


def read_json(text: str) -> Any:
    """The value of a JSON text; ``ValueError`` says what is wrong, with line and column."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ValueError(_("This is larger than %(size)s KiB.") % {"size": MAX_BYTES // 1024})
    value = None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno, "problem": error.msg}
        raise ValueError(
            _("This is not JSON: line %(line)s, column %(column)s: %(problem)s") % place
        ) from None
    except RecursionError:
        pass  # find_fault says where
    if fault := find_fault(text):
        line, column = find_place(text, fault[0])
        place = {"line": line, "column": column, "problem": fault[1]}
        raise ValueError(_("Line %(line)s, column %(column)s: %(problem)s.") % place)
    if problem := jsonvalue.find_problem(value):
        raise ValueError(_("This can't be stored as JSON: %(problem)s") % {"problem": problem})
    return value


def make_sample(schema: dict[str, Any] | None) -> Any:
    """An input of the schema's shape: its example, its defaults, or simple values."""
    if not schema:
        return {}
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        return examples[0]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    properties = schema.get("properties")
    if isinstance(properties, dict):
        return {
            name: make_sample(rules if isinstance(rules, dict) else None)
            for name, rules in properties.items()
        }
    if schema.get("type") == "array":
        items = schema.get("items")
        return [make_sample(items)] if isinstance(items, dict) else []
    plain = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}
    kind = schema.get("type")
    return plain.get(kind, {}) if isinstance(kind, str) else {}
