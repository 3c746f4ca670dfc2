"""Core schemas of pydantic's, changed to what a contract asks of a type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, Flag
from typing import Any

Core = dict[str, Any]

#: Where other core schemas stand in one, or are held by name, in a list or with a label.
_WITHIN = (
    "schema",
    "choices",
    "computed_fields",
    "definitions",
    "extras_schema",
    "fields",
    "items_schema",
    "json_schema",
    "keys_schema",
    "lax_schema",
    "python_schema",
    "return_schema",
    "steps",
    "strict_schema",
    "values_schema",
)
#: Those of them that are for the same value.
_SAME_VALUE = {"schema", "json_schema", "lax_schema", "python_schema", "strict_schema"}
_OBJECTS = {"model-fields", "typed-dict", "dataclass-args"}


def iterate(core: Core) -> Iterator[Core]:
    """A core schema and all that stand in it."""
    found: list[Core] = []

    def note(one: Core) -> Core:
        found.append(one)
        return one

    rebuild(core, note)
    return iter(found)


def makes_members(kind: type[Enum]) -> bool:
    """Whether an enum has other values than those of its members."""
    made: Any = kind._missing_
    plain: Any = Enum._missing_
    return issubclass(kind, Flag) or made.__func__ is not plain.__func__


def rebuild(core: Core, change: Callable[[Core], Core]) -> Core:
    """A core schema in which each has been changed, the inner ones first."""
    new = {key: _rebuild_held(core[key], change) for key in _WITHIN if key in core}
    return change({**core, **new})


def _rebuild_held(held: Any, change: Callable[[Core], Core]) -> Any:
    if isinstance(held, list):
        return [_rebuild_held(one, change) for one in held]
    if isinstance(held, tuple):  # a choice, and its label
        return (_rebuild_held(held[0], change), *held[1:])
    if not isinstance(held, dict):
        return held
    if isinstance(held.get("type"), str):
        return rebuild(held, change)
    return {name: _rebuild_held(one, change) for name, one in held.items()}


def open_top(core: Core) -> Core:
    """The same for an object that may hold other keys; objects within it are as they were."""
    known = {one["ref"]: one for one in core.get("definitions", ())}
    opened: Core = _open(core, known)
    return opened


def _open(core: Any, known: dict[str, Core]) -> Any:
    kind = core["type"]
    if kind == "definition-ref" and core["schema_ref"] in known:
        # A copy without the name: where it stands within itself, the first one counts.
        rest = {ref: one for ref, one in known.items() if ref != core["schema_ref"]}
        return _open(known[core["schema_ref"]], rest)
    new = {key: value for key, value in core.items() if key != "ref"}
    if kind in _OBJECTS:
        new.pop("extras_schema", None)
        return {**new, "extra_behavior": "ignore"}
    if kind in {"union", "tagged-union"}:
        new["choices"] = _open_choices(core["choices"], known)
    elif kind == "chain":
        new["steps"] = [_open(core["steps"][0], known), *core["steps"][1:]]
    elif kind != "json":
        new |= {key: _open(core[key], known) for key in _SAME_VALUE if key in core}
    return new


def _open_choices(choices: Any, known: dict[str, Core]) -> Any:
    if isinstance(choices, dict):
        return {tag: _open(one, known) for tag, one in choices.items()}
    return [
        (_open(one[0], known), one[1]) if isinstance(one, tuple) else _open(one, known)
        for one in choices
    ]


def read_at_once(core: Core) -> Core:
    """What is iterated, whose items would be checked by and by, as a list."""

    def change(one: Core) -> Core:
        if one["type"] != "generator":
            return one
        iterated = {
            "type": "function-after",
            "function": {"type": "no-info", "function": list},
            "schema": {"type": "generator"},
        }
        listed = {key: value for key, value in one.items() if key != "ref"}
        listed["type"] = "list"
        # Objects that are made elsewhere hold what is still to be iterated.
        written = {"type": "function-plain", "function": list, "return_schema": listed}
        chain = {"type": "chain", "steps": [iterated, listed], "serialization": written}
        return {**chain, "ref": one["ref"]} if "ref" in one else chain

    return rebuild(core, change)
