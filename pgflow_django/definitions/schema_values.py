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

#: References and alternatives that one check may follow, and more of them for each part of a value.
_MAX_FOLLOWED = 100_000
_MAX_FOLLOWED_EACH = 4
#: Names and values of a keyword that cost as much as following one reference.
_CHEAP = 20


class Checker:
    """Checks values against a schema. Raises ``NoSchemaError`` where it is none.

    ``is_read``: the schema comes of ``read_schema``, and need not be read again.
    """

    def __init__(self, schema: Any, *, is_read: bool = False) -> None:
        known = schema if is_read else read_schema(schema).schema
        self._validator: Validator = _validator_class()(known)

    def faults(self, value: Any, most: int = 5) -> list[Fault]:
        """The first places at which a value does not fit; an empty list where it does."""
        token = _budget.set(_Budget(value))
        found: list[Fault] = []
        try:
            for error in self._validator.iter_errors(value):
                found.append(_read(error))
                if len(found) == most:
                    break
        except _TooLongError:
            text = "takes too long to be checked: its schema has too many alternatives"
            return [Fault("", text)]
        except RecursionError:
            return [Fault("", "is nested too deeply to be checked against its schema")]
        finally:
            _budget.reset(token)
        return found


class _TooLongError(Exception):
    """A check has followed more references and alternatives than anybody means."""


class _Budget:
    """What one check may still follow: more than a bound only where the value is large itself."""

    def __init__(self, value: Any) -> None:
        self._left = _MAX_FOLLOWED
        self._value: Any = value
        self._is_extended = False

    def take(self, cost: int) -> None:
        """Raise ``_TooLongError`` where there is not so much left."""
        self._left -= cost
        if self._left >= 0:
            return
        if not self._is_extended:
            self._is_extended = True
            self._left += _MAX_FOLLOWED_EACH * _count_parts(self._value)
        if self._left < 0:
            raise _TooLongError


_budget: ContextVar[_Budget] = ContextVar("budget")


def _count_parts(value: Any) -> int:
    count, left = 0, [value]
    while left:
        part = left.pop()
        count += 1
        if isinstance(part, dict):
            left += part.values()
        elif isinstance(part, list | tuple):
            left += part
    return count


@cache
def _validator_class() -> Any:
    """The class of validators that know the keywords of the subset and no others."""
    from jsonschema import Draft202012Validator as Draft
    from jsonschema import validators

    keywords: dict[str, Any] = {
        name: _charge(name, keyword)
        for name, keyword in Draft.VALIDATORS.items()
        if name in KEYWORDS
    }
    keywords["required"] = _charge("required", _check_required)
    keywords["additionalProperties"] = _check_additional
    return validators.create(
        Draft.META_SCHEMA,
        keywords,
        type_checker=Draft.TYPE_CHECKER.redefine("array", _is_array),
    )


def _is_array(_: Any, value: Any) -> bool:
    return isinstance(value, list | tuple)  # what Python's JSON writes as an array


def _charge(name: str, keyword: Callable[..., Any]) -> Callable[..., Any]:
    """The keyword, with a price for what multiplies the work: references, alternatives, lists."""

    def charged(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
        cost = len(wanted) if name == "anyOf" else int(name == "$ref")
        if isinstance(wanted, dict | list):
            cost += len(wanted) // _CHEAP
        if cost:
            _budget.get().take(cost)
        return keyword(validator, wanted, value, schema)

    return charged


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
