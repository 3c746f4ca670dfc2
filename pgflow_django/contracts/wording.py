"""What pydantic has against a value, in the words of a schema: first without the value itself."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, get_args

from pgflow_django import jsonvalue
from pgflow_django.definitions.schemas import Fault, escape_token
from pgflow_django.definitions.shown import show_json

if TYPE_CHECKING:
    from pydantic import ValidationError

#: Places that an error names.
MAX_PLACES = 5
_POINTER_LENGTH = 300
_MESSAGE_LENGTH = 300

#: What pydantic says of the wrong type, in the words of a schema.
_WORDS = {
    "string_type": "should be a string",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "list_type": "should be a list",
    "dict_type": "should be an object",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dataclass_type": "should be an object",
    "none_required": "should be null",
    "json_invalid": "should be valid JSON",
    "iteration_error": "should be something whose items can be read",
    "mapping_type": "should be an object",
    "get_attribute_error": "should have the attributes that are declared",
    "no_such_attribute": "should have the attributes that are declared",
    "bytes_invalid_encoding": "should be in the declared encoding",
    "datetime_object_invalid": "should be a valid datetime",
}
#: How its other sentences begin: "Input should …", "String should …".
_SUBJECT = re.compile(r"^(?:Value error,|Assertion failed,|[A-Z]\w*) (?=\S)")
#: What of them comes of the value.
_OF_VALUE = re.compile(r" after validation, not \d+$| required, got .*$")
_BY_VALIDATOR = "is refused by a validator"
#: The one field of a root model, which no JSON has.
_ROOT = "root"


def clip(fault: Fault) -> Fault:
    """The fault as it can be stored."""
    return Fault(
        jsonvalue.storable_text(fault.pointer, limit=_POINTER_LENGTH),
        jsonvalue.storable_text(fault.rule, limit=_MESSAGE_LENGTH),
        jsonvalue.storable_text(fault.value, limit=_MESSAGE_LENGTH),
        jsonvalue.storable_text(fault.said, limit=_MESSAGE_LENGTH),
    )


def read_errors(error: ValidationError, value: Any) -> list[Fault]:
    """The first places that pydantic names, each once."""
    found: dict[str, Fault] = {}
    for one in error.errors(include_url=False):
        pointer = _find_place(one["loc"], value, is_missing=one["type"] == "missing")
        found.setdefault(pointer, clip(Fault(pointer, *_say(one))))
        if len(found) == MAX_PLACES:
            break
    return list(found.values())


def _find_place(location: tuple[int | str, ...], value: Any, *, is_missing: bool) -> str:
    """A pointer of pydantic's location, which also names the members of unions."""
    pointer = ""
    for number, token in enumerate(location, 1):
        is_root = getattr(type(value), "__pydantic_root_model__", False) and token == _ROOT
        try:
            value = _look_into(value, token)
        except (LookupError, TypeError, AttributeError):
            if not (is_missing and number == len(location)):
                continue
        if is_root:
            continue
        pointer += f"/{escape_token(token)}"
    return pointer


def _look_into(value: Any, token: int | str) -> Any:
    kind = type(value)
    fields = getattr(kind, "__pydantic_fields__", getattr(kind, "__dataclass_fields__", ()))
    return getattr(value, str(token)) if token in fields else value[token]


def _say(one: Any) -> tuple[str, str, str]:
    """What is wrong, the value, and both in one sentence where it is another."""
    kind = one["type"]
    if kind == "missing":
        return "is missing", "", ""
    if kind == "extra_forbidden":
        return "is a key that is not declared", "", ""
    said = _SUBJECT.sub("", one["msg"]).partition("; ")[0]
    if kind in {"value_error", "assertion_error"}:
        return _BY_VALIDATOR, "", said
    value = show_json(one["input"])
    if kind in _WORDS:
        return _WORDS[kind], value, ""
    rule = _leave_out_value(one, said)
    return rule, value, "" if rule == said else f"{said}, is {value}"


def _leave_out_value(one: Any, said: str) -> str:
    """A sentence without what stands in it of the value."""
    if one["type"] not in _known_kinds():
        return _BY_VALIDATOR  # in its own words
    context = one.get("ctx", {})
    if "tag" in context:
        return f"should have one of the tags {context['expected_tags']}"
    if "error" in context:
        return said.removesuffix(str(context["error"])).rstrip(" ,:")
    return _OF_VALUE.sub("", said)


@cache
def _known_kinds() -> frozenset[str]:
    """The errors of pydantic itself."""
    from pydantic_core import core_schema

    return frozenset(get_args(core_schema.ErrorType))
