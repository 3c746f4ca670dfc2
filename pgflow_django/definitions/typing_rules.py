"""Whether what one JSON Schema describes fits another: the types of two steps, side by side.

Pure: no Django. ``no`` is said where no value of the source can pass the target, ``yes`` where each
does; all else, and what takes too long, is ``unknown``. Keywords that are not in the subset of
``schemas`` are not looked at, and keep a ``yes`` from being said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pgflow_django.definitions.schema_views import View, kind_of
from pgflow_django.definitions.schemas import KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Fit = Literal["yes", "no", "unknown"]

#: Objects and lists within one another; alternatives count half.
MAX_DEPTH = 6
#: Pairs of schemas that one comparison looks at.
_MAX_COMPARED = 2_000
#: Values of an enum that are looked at one by one.
_MAX_VALUES = 100
_NOTES = frozenset(
    {"title", "description", "default", "examples", "format", "$schema", "$id", "$comment"}
    | {"$defs", "definitions", "discriminator"}
)
_FULLY_READ = KEYWORDS | _NOTES

Bounds = tuple[tuple[float, int], tuple[float, int]]
_INFINITY = float("inf")


def fits(source: Any, target: Any) -> Fit:
    """Whether the values of the schema ``source`` pass the schema ``target``: none, all, or maybe.

    What is no schema is read as that of anything.
    """
    return Comparison().fits(View.of(source), View.of(target))


class Comparison:
    """Compares schemas, until it has compared too many; then all is unknown."""

    def __init__(self, most: int = _MAX_COMPARED) -> None:
        self._left = most
        #: By ids and depth, with the views themselves: references lead to one schema many times.
        self._known: dict[tuple[int, int, int], tuple[View, View, Fit]] = {}

    def fits(self, source: View, target: View, depth: int = 0) -> Fit:
        """See the function of this name."""
        key = (id(source.schema), id(target.schema), depth)
        if key not in self._known:
            self._known[key] = (source, target, self._fits(source, target, depth))
        return self._known[key][2]

    def _fits(self, source: View, target: View, depth: int) -> Fit:
        self._left -= 1
        if depth > 2 * MAX_DEPTH or self._left < 0:
            return "unknown"
        (source, _), (target, is_all) = source.resolve(), target.resolve()
        if target.schema is False:
            return "no"
        if source.schema is False:
            return "yes"
        if is_all and (target.schema is True or target.schema.keys() <= _NOTES):
            return "yes"
        if choices := source.choices():
            found = _agree(self.fits(choice, target, depth + 1) for choice in choices)
            if found != "unknown":
                return found
        found = self._fits_one(source, target, depth)
        return "unknown" if found == "yes" and not is_all else found

    def _fits_one(self, source: View, target: View, depth: int) -> Fit:
        """Compare, where the alternatives of the source are looked at already."""
        if isinstance(target.schema, bool):
            return "yes"
        found = self._fits_plain(source, target, depth)
        choices = target.choices()
        if not choices or found == "no":
            return found
        among = [self.fits(source, choice, depth + 1) for choice in choices]
        if all(one == "no" for one in among):
            return "no"
        # Of oneOf, a value that fits two is refused.
        return found if "yes" in among and "anyOf" in target.schema else "unknown"

    def _fits_plain(self, source: View, target: View, depth: int) -> Fit:
        """Compare without alternatives."""
        values = _values_of(source)
        if values is not None:
            self._left -= len(values)
            found = _agree(self._fits_value(value, target, depth) for value in values)
        else:
            found = self._fits_kinds(source, target, depth)
            if found != "no" and (allowed := target.values()) is not None:
                found = self._reach(allowed, source, depth)
        return found if found != "yes" or target.schema.keys() <= _FULLY_READ else "unknown"

    def _fits_value(self, value: Any, target: View, depth: int) -> Fit:
        """Whether one value passes a target without alternatives."""
        allowed = target.values()
        if allowed is not None:
            self._left -= len(allowed)
            if not any(_same(value, one) for one in allowed):
                return "no"
        return self._fits_kinds(View.of(_describe(value)), target, depth)

    def _reach(self, allowed: Sequence[Any], source: View, depth: int) -> Fit:
        """Whether one of the values that the target takes can come from the source."""
        if len(allowed) > _MAX_VALUES:
            return "unknown"
        self._left -= len(allowed)
        described = (View.of(_describe(value)) for value in allowed)
        if isinstance(source.schema, bool):
            return "unknown"
        possible = [self._fits_kinds(value, source, depth + 1) != "no" for value in described]
        return "unknown" if any(possible) else "no"

    def _fits_kinds(self, source: View, target: View, depth: int) -> Fit:
        taken = target.kinds()
        if isinstance(source.schema, bool):
            source = source.within({})
        return _agree(
            self._fits_kind(kind, source, target, depth) if kind in taken else "no"
            for kind in sorted(source.kinds())
        )

    def _fits_kind(self, kind: str, source: View, target: View, depth: int) -> Fit:
        if kind in {"integer", "fraction"}:
            return _within(_read_range(source.schema), _read_range(target.schema))
        if kind == "string":
            lengths = (_read_sizes(one.schema, "Length") for one in (source, target))
            return _within(*lengths)
        if kind == "array":
            return self._fits_array(source, target, depth)
        return self._fits_object(source, target, depth) if kind == "object" else "yes"

    def _fits_array(self, source: View, target: View, depth: int) -> Fit:
        sizes, wanted = (_read_sizes(one.schema, "Items") for one in (source, target))
        verdict = _within(sizes, wanted)
        if verdict == "no":
            return "no"
        ours, theirs = source.read_array(), target.read_array()
        shortest = max(sizes[0][0], wanted[0][0])
        for index in range(max(len(ours.first), len(theirs.first)) + 1):
            if index >= sizes[1][0]:
                break
            found = self.fits(ours.item(index), theirs.item(index), depth + 2)
            if found == "no" and index < shortest:
                return "no"
            if found != "yes":
                verdict = "unknown"
        return verdict

    def _fits_object(self, source: View, target: View, depth: int) -> Fit:
        ours, theirs = source.read_object(), target.read_object()
        must = ours.required | theirs.required
        verdict: Fit = "yes" if theirs.required <= ours.required else "unknown"
        if ours.rest is False and any(name not in ours.properties for name in theirs.required):
            return "no"
        for name in dict.fromkeys([*ours.properties, *theirs.properties, *sorted(must)]):
            found = self.fits(ours.property(name), theirs.property(name), depth + 2)
            if found == "no" and name in must:
                return "no"
            if found != "yes":
                verdict = "unknown"
        rest = self.fits(source.within(ours.rest), target.within(theirs.rest), depth + 2)
        return verdict if rest == "yes" else "unknown"


def _agree(verdicts: Iterable[Fit]) -> Fit:
    """What all of them say."""
    found = set(verdicts)
    return found.pop() if len(found) == 1 else "unknown"


def _values_of(view: View) -> list[Any] | None:
    """The values of a resolved schema, where they are few."""
    if isinstance(view.schema, bool):
        return None
    values = view.values()
    if values is not None:
        return values if len(values) <= _MAX_VALUES else None
    few: dict[str, list[Any]] = {"null": [None], "boolean": [False, True]}
    kinds = view.kinds()
    return [value for kind in sorted(kinds) for value in few[kind]] if kinds <= few.keys() else None


def _describe(value: Any, depth: int = 0) -> Any:
    """A schema that one value fits, and no others but for objects and arrays that are deep."""
    kind = kind_of(value)
    if kind in {"integer", "fraction"}:
        name = "integer" if kind == "integer" else "number"
        return {"type": name, "const": value, "minimum": value, "maximum": value}
    if kind == "string":
        sizes = {"minLength": len(value), "maxLength": len(value)}
        return {"type": kind, "const": value, **sizes}
    if kind in {"null", "boolean"}:
        return {"type": kind, "const": value}
    if depth > MAX_DEPTH:
        return {"type": kind}
    if kind == "array":
        inner = [_describe(one, depth + 1) for one in value]
        sizes = {"minItems": len(inner), "maxItems": len(inner)}
        return {"type": kind, **sizes, **({"prefixItems": inner} if inner else {})}
    return {
        "type": kind,
        "properties": {key: _describe(one, depth + 1) for key, one in value.items()},
        "required": list(value),
        "additionalProperties": False,
    }


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same to a schema: 1 is 1.0, but not true."""
    if kind_of(one) != kind_of(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _read_range(schema: dict[str, Any]) -> Bounds:
    """The least and the greatest number, each with its exclusion: ``(5, 1)`` is more than 5."""
    lows = [(_number(schema, "minimum"), 0), (_number(schema, "exclusiveMinimum"), 1)]
    highs = [(_number(schema, "maximum"), 0), (_number(schema, "exclusiveMaximum"), -1)]
    return (
        max([(low, mark) for low, mark in lows if low is not None], default=(-_INFINITY, 0)),
        min([(high, mark) for high, mark in highs if high is not None], default=(_INFINITY, 0)),
    )


def _read_sizes(schema: dict[str, Any], of: str) -> Bounds:
    """The least and the greatest length of strings or arrays."""
    low, high = _number(schema, f"min{of}"), _number(schema, f"max{of}")
    return (low or 0, 0), (_INFINITY if high is None else high, 0)


def _number(schema: dict[str, Any], keyword: str) -> float | None:
    value = schema.get(keyword)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else None


def _within(source: Bounds, target: Bounds) -> Fit:
    """Whether one range lies within another, or beside it."""
    for low, high in ((source[0], target[1]), (target[0], source[1])):
        if low[0] > high[0] or (low[0] == high[0] and low[1] - high[1] > 0):
            return "no"
    return "yes" if target[0] <= source[0] and source[1] <= target[1] else "unknown"
