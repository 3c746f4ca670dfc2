"""A value of a JSON Schema's shape: for forms that begin with one, for simulated steps. Pure."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

from pgflow_django.definitions.inputs import follow
from pgflow_django.definitions.schemas import read_reference

#: Values in a sample, with the characters of long texts, and levels: schemas that hold themselves
#: have no end.
_MAX_VALUES, _MAX_DEPTH = 5_000, 32
#: Numbers from here on are no bounds that anybody means.
_HUGE = 1e300
_PLAIN = {"boolean": False, "null": None}
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uuid4": "00000000-0000-4000-8000-000000000000",
    "email": "name@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
#: What a schema without a type must be about.
_TELLING = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


class NoSampleError(ValueError):
    """Nothing is known that would fit a schema."""


def make_sample(schema: dict[str, Any] | None) -> Any:
    """A value of the schema's shape: its example, its defaults, or simple values.

    It is made to fit as far as that is easy; ``make_fitting_sample`` looks whether it does.
    """
    return _Sampler(schema).sample(schema, 0)


def make_fitting_sample(schema: dict[str, Any] | None, fits: Callable[[Any], bool]) -> Any:
    """The same, where it ``fits``. Raises ``NoSampleError``."""
    sampler = _Sampler(schema)
    value = sampler.sample(schema, 0)
    if sampler.is_sure and fits(value):
        return value
    raise NoSampleError


class _Sampler:
    """Makes the sample of one schema, with a bound on the work."""

    def __init__(self, whole: Any) -> None:
        #: Whether nothing was met that a value can't be made for: a pattern, say.
        self.is_sure = True
        self._whole = whole
        self._left = _MAX_VALUES
        #: The references that lead to where we are: behind one of them, it all begins again.
        self._within = ["#"]

    def sample(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or depth > _MAX_DEPTH:
            return {}
        for key in ("default", "const"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if isinstance(schema.get(key), list) and schema[key]:
                return schema[key][0]
        if isinstance(schema.get("$ref"), str):
            return self._follow(schema["$ref"], depth)
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list):
                return self._choose(schema[key], depth)
        return self._plain(schema, depth)

    def _choose(self, members: list[Any], depth: int) -> Any:
        """The sample of the first member that has one."""
        chosen: Any = {}
        for number, member in enumerate(one for one in members if not self._begins_again(one)):
            found, is_sure = self._try(member, depth)
            if is_sure:
                return found
            chosen = chosen if number else found
        self.is_sure = False
        return chosen

    def _try(self, schema: Any, depth: int) -> tuple[Any, bool]:
        """A sample, and whether that one is sure."""
        before, self.is_sure = self.is_sure, True
        found = self.sample(schema, depth + 1)
        is_sure, self.is_sure = self.is_sure, before
        return found, is_sure

    def _begins_again(self, schema: Any) -> bool:
        return isinstance(schema, dict) and schema.get("$ref") in self._within

    def _follow(self, reference: str, depth: int) -> Any:
        if reference in self._within:
            return {}
        self._within.append(reference)
        found = self.sample(_find(reference, self._whole), depth + 1)
        self._within.pop()
        return found

    def _plain(self, schema: dict[str, Any], depth: int) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._text(schema)
            case "integer" | "number" as kind:
                return self._number(schema, is_whole=kind == "integer")
            case kind:
                return _PLAIN.get(kind, {})

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        declared, required = schema.get("properties"), schema.get("required")
        rules = dict(declared) if isinstance(declared, dict) else {}
        needed = required if isinstance(required, list) else []
        for name in needed:
            if isinstance(name, str):
                rules.setdefault(name, schema.get("additionalProperties"))
        made = {}
        for name, rule in rules.items():
            made[name], is_sure = self._try(rule, depth)
            if not is_sure and name not in needed:
                del made[name]
            elif not is_sure:
                self.is_sure = False
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        first, items = schema.get("prefixItems"), schema.get("items")
        rules = list(first) if isinstance(first, list) else []
        least, most = _count(schema.get("minItems"), 0), _count(schema.get("maxItems"), _MAX_VALUES)
        if not rules and isinstance(items, dict) and not self._begins_again(items):
            least = max(least, 1)
        if least > self._left:
            self.is_sure = False
            least = 1
        rules += [items] * (least - len(rules))
        return [self.sample(rule, depth + 1) for rule in rules[:most]]

    def _text(self, schema: dict[str, Any]) -> str:
        if "pattern" in schema:
            self.is_sure = False
        text = _FORMATS.get(str(schema.get("format")), "")
        missing = _count(schema.get("minLength"), 0) - len(text)
        if missing > self._left:
            self.is_sure = False
            return text
        self._left -= max(0, missing)
        return text + "x" * missing

    def _number(self, schema: dict[str, Any], *, is_whole: bool) -> int | float:
        """0, or the number nearest to a bound that keeps all rules."""
        step = _exact(schema.get("multipleOf")) or Fraction(1 if is_whole else 0)
        low, high = _exact(schema.get("minimum")), _exact(schema.get("maximum"))
        above, below = (
            _exact(schema.get("exclusiveMinimum")),
            _exact(schema.get("exclusiveMaximum")),
        )
        ends = [end for end in (low, above, high, below) if end is not None]
        tried = [Fraction(0)]
        for end in ends:
            rounded = (ceil(end / step) * step, floor(end / step) * step) if step else (end,)
            tried += [one + way * (step or 1) for one in rounded for way in (0, 1, -1)]
        if not step and len(ends) > 1:
            tried.append((ends[0] + ends[-1]) / 2)
        for one in tried:
            if (
                (low is None or one >= low)
                and (above is None or one > above)
                and (high is None or one <= high)
                and (below is None or one < below)
                and not (is_whole and one.denominator > 1)
            ):
                return int(one) if one.denominator == 1 else float(one)
        self.is_sure = False
        return 0


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = kind[0]
    if isinstance(kind, str) and "properties" not in schema:
        return kind
    return next((name for name, words in _TELLING.items() if words & schema.keys()), "")


def _count(value: Any, otherwise: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else otherwise


def _exact(value: Any) -> Fraction | None:
    """A number without the errors of floating point; ``None`` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(str(value)) if abs(value) < _HUGE else None


def _find(reference: str, whole: Any) -> Any:
    """What a reference within the schema leads to; nothing for one that leads elsewhere."""
    path = read_reference(reference)
    try:
        return None if path is None else follow(whole, path)
    except LookupError:
        return None
