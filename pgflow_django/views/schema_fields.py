"""The form that asks for a run's input: fields from the flow's schema, or JSON as text.

Fields are made for the part of JSON Schema that a form can show: an object whose properties are
text, numbers, truth values, dates, choices, or lists of these. Everything else is written as JSON.
"""

from __future__ import annotations

import json
from datetime import date
from functools import partial
from typing import Any, Literal, get_args

from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from pgflow_django.definitions.rules import Control, Kind
from pgflow_django.jsonvalue import same
from pgflow_django.views.fields import Choice, Field, read_json, to_text

Scalar = Literal["string", "integer", "number", "boolean"]
_SCALARS: tuple[Scalar, ...] = get_args(Scalar)
#: A schema with more properties than this is easier to fill in as JSON.
_MAX_FIELDS = 40


def make_fields(schema: dict[str, Any] | None, value: Any = None) -> list[Field]:
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
        _make_field(number, name, rules if isinstance(rules, dict) else {}, name in required, known)
        for number, (name, rules) in enumerate(properties.items(), 1)
    ]


def _make_field(
    number: int, name: str, rules: dict[str, Any], is_required: bool, known: dict[str, Any]
) -> Field:
    kind = _find_kind(rules)
    value = known.get(name, rules.get("default"))
    choices = [Choice("", "\N{EN DASH}")] if kind == "choice" and not is_required else []
    if kind == "choice":
        choices += [
            Choice(json.dumps(each), str(each), same(each, value)) for each in rules["enum"]
        ]
    words = [str(rules.get("description") or ""), _say_how(kind)]
    return Field(
        f"f-{name}",  # no other control of the form can have this name
        Control(kind),
        str(rules.get("title") or name),
        f"in-{number}",
        text=to_text(kind, value),
        help=" ".join(filter(None, words)),
        is_required=is_required,
        choices=choices,
        read=partial(_to_value, kind, rules),
    )


def _say_how(kind: Kind) -> str:
    """How to fill in a field that does not show it."""
    if kind == "list":
        return _("One per line.")
    return _("As JSON.") if kind == "json" else ""


def _find_kind(rules: dict[str, Any]) -> Kind:
    wanted = rules.get("type")
    if isinstance(rules.get("enum"), list) and rules["enum"]:
        return "choice"
    if wanted == "string" and rules.get("format") == "date":
        return "date"
    for scalar in _SCALARS:
        if wanted == scalar:
            return scalar
    items = rules.get("items")
    is_plain = isinstance(items, dict) and items.get("type") in _SCALARS and "enum" not in items
    return "list" if wanted == "array" and is_plain else "json"


def read_fields(fields: list[Field], data: Any) -> dict[str, Any] | None:
    """The input that the fields say; ``None`` where some ``error`` of a field says why not."""
    value: dict[str, Any] = {}
    for each in fields:
        each.choose(data.get(each.name, "").replace("\r\n", "\n"))
        if each.kind == "boolean":
            each.text = "true" if each.text else "false"
        elif not each.text.strip():
            each.error = _("This is needed.") if each.is_required else ""
            continue
        try:
            value[each.name.removeprefix("f-")] = each.read(each.text)
        except ValueError as error:
            each.error = str(error)
    return None if any(each.error for each in fields) else value


def find_faults(schema: dict[str, Any] | None, value: Any) -> list[str]:
    """What the form of a schema would refuse in a value that was written as JSON, in its words.

    Nothing where there is no form: then nobody has promised anything.
    """
    fields = make_fields(schema)
    if not fields:
        return []
    if not isinstance(value, dict):
        return [_("Write a JSON object, not “%(text)s”.") % {"text": _shorten(value)}]
    faults = []
    for each in fields:
        name = each.name.removeprefix("f-")
        rules = (schema or {})["properties"][name]
        try:
            _check(each, rules if isinstance(rules, dict) else {}, value.get(name, _ABSENT))
        except ValueError as error:
            faults.append(f"{name}: {error}")
    return faults


#: In place of a value that is not there.
_ABSENT = object()


def _check(field: Field, rules: dict[str, Any], value: Any) -> None:
    """Raise ``ValueError`` where the field could not have given this value."""
    is_empty = value is _ABSENT or value == []
    if isinstance(value, str) and field.kind in {"string", "date"}:
        is_empty = not value.strip()
    if is_empty and (field.is_required or value is _ABSENT):
        if field.is_required:
            raise ValueError(_("This is needed."))
    elif field.kind in _SCALARS:
        _check_scalar(field.kind, rules, value)
    elif field.kind == "list":
        if not isinstance(value, list):
            raise ValueError(_("Write a list, not “%(text)s”.") % {"text": _shorten(value)})
        for item in value:
            _check_scalar(rules["items"]["type"], rules["items"], item)
    elif field.kind == "date" and not is_empty:
        _read_date(value if isinstance(value, str) else "")
    elif field.kind == "choice":
        _read_choice(rules["enum"], json.dumps(value))


#: Types of JSON, as Python has them, by their names in a schema.
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def _check_scalar(kind: str, rules: dict[str, Any], value: Any) -> None:
    if type(value) not in _TYPES[kind]:
        raise _not_a(kind, _shorten(value))
    if kind != "string":
        _read_scalar(kind, json.dumps(value), rules)


def _shorten(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:40]


def _not_a(kind: str, text: str) -> ValueError:
    """What to raise for a text that says no value of this kind."""
    word = {
        "string": _("text"),
        "boolean": _("true or false"),
        "integer": _("a whole number"),
        "number": _("a number"),
    }[kind]
    return ValueError(_("Write %(word)s, not “%(text)s”.") % {"word": word, "text": text[:40]})


def _to_value(kind: Kind, rules: dict[str, Any], text: str) -> Any:
    if kind in _SCALARS:
        value = _read_scalar(kind, text, rules)
    elif kind == "date":
        value = _read_date(text.strip())
    elif kind == "choice":
        value = _read_choice(rules["enum"], text)
    elif kind == "list":
        items = rules["items"]
        lines = [line for line in text.split("\n") if line.strip()]
        value = [_read_scalar(items["type"], line.strip(), items) for line in lines]
    else:
        value = read_json(text)
    return value


def _read_scalar(kind: str, text: str, rules: dict[str, Any]) -> Any:
    if kind == "string":
        return text
    if kind == "boolean":
        if text not in {"true", "false"}:
            raise _not_a(kind, text)
        return text == "true"
    try:
        # Python reads digits of other scripts, and underscores between digits.
        plain = text if text.isascii() and "_" not in text else ""
        number: int | float = int(plain) if kind == "integer" else float(plain)
    except ValueError:
        raise _not_a(kind, text) from None
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


def _read_choice(values: list[Any], text: str) -> Any:
    for value in values:
        if json.dumps(value) == text:
            return value
    raise ValueError(_("Choose one of the list."))
