"""Checks JSON values against schemas, and says in words where they don't fit.

Pure: no ORM. No pattern and no remote reference is evaluated, and one check takes a bounded number
of steps, whatever the schema says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.schemas import KEYWORDS, Fault, read_schema, to_pointer
from pgflow_django.definitions.shown import show_json

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

#: References and alternatives that one check may follow.
_MAX_FOLLOWED = 100_000
_left: ContextVar[list[int]] = ContextVar("left")


class Checker:
    """Checks values against a schema. Raises ``NoSchemaError`` where it is none.

    ``is_read``: the schema comes of ``read_schema``, and need not be read again.
    """

    def __init__(self, schema: Any, *, is_read: bool = False) -> None:
        known = schema if is_read else read_schema(schema).schema
        self._validator: Validator = _validator_class()(known)

    def faults(self, value: Any, most: int = 5) -> list[Fault]:
        """The first places at which a value does not fit; an empty list where it does."""
        token = _left.set([_MAX_FOLLOWED])
        found: list[Fault] = []
        try:
            for error in self._validator.iter_errors(value):
                found.append(_read(error))
                if len(found) == most:
                    break
        except _TooLongError:
            text = "takes too long to be checked: its schema has too many alternatives"
            return [Fault("", text)]
        finally:
            _left.reset(token)
        return found


class _TooLongError(Exception):
    """A check has followed more references and alternatives than anybody means."""


@cache
def _validator_class() -> Any:
    """The class of validators that know the keywords of the subset and no others."""
    from jsonschema import Draft202012Validator as Draft
    from jsonschema import validators

    keywords: dict[str, Any] = {
        name: _count(keyword) for name, keyword in Draft.VALIDATORS.items() if name in KEYWORDS
    }
    keywords["required"] = _check_required
    keywords["additionalProperties"] = _count(_check_additional)
    return validators.create(
        Draft.META_SCHEMA,
        keywords,
        type_checker=Draft.TYPE_CHECKER.redefine("array", _is_array),
    )


def _is_array(_: Any, value: Any) -> bool:
    return isinstance(value, list | tuple)  # what Python's JSON writes as an array


def _count(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        left = _left.get()
        left[0] -= 1
        if left[0] < 0:
            raise _TooLongError
        return keyword(*arguments)

    return counted


def _check_required(_: Any, names: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    from jsonschema.exceptions import ValidationError

    if isinstance(value, dict):
        for name in names:
            if name not in value:
                yield ValidationError("is missing", path=[name])


def _check_additional(
    validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    from jsonschema.exceptions import ValidationError

    if not isinstance(value, dict):
        return
    declared = schema.get("properties", {})
    for name in value:
        if name in declared:
            continue
        if wanted is False:
            yield ValidationError("is a key that is not declared", path=[name])
        else:
            yield from validator.descend(value[name], wanted, path=name)


_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_WORDS = {
    "minimum": "should be at least {}",
    "maximum": "should be at most {}",
    "exclusiveMinimum": "should be more than {}",
    "exclusiveMaximum": "should be less than {}",
    "minLength": "should have at least {} characters",
    "maxLength": "should have at most {} characters",
    "minItems": "should have at least {} items",
    "maxItems": "should have at most {} items",
    "const": "should be {}",
    "anyOf": "should fit one of the alternatives",
}


def _read(error: Any) -> Fault:
    pointer, keyword = to_pointer(error.absolute_path), error.validator
    if keyword in {"required", "additionalProperties"}:
        return Fault(pointer, str(error.message))
    if keyword is None:
        return Fault(pointer, "is not allowed")
    return Fault(pointer, _say_rule(keyword, error.validator_value), show_json(error.instance))


def _say_rule(keyword: str, wanted: Any) -> str:
    if keyword == "type":
        names = [wanted] if isinstance(wanted, str) else wanted
        return f"should be {' or '.join(_TYPES.get(name, str(name)) for name in names)}"
    if keyword == "enum":
        return f"should be one of {', '.join(map(show_json, wanted[:10]))}"
    if keyword in _WORDS:
        return _WORDS[keyword].format(show_json(wanted))
    return f"should keep the rule {keyword}"
