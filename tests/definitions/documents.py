"""Flow documents made by Hypothesis."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from pgflow_django.definitions import options

from .samples import JSON, TEXT, any_value

Document = dict[str, Any]

SLUGS = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True).filter(lambda s: s != "run")

FLOW_OPTIONS: Any = {option.key: any_value(option) for option in options.FLOW_OPTIONS.values()}
#: But for the type, on which it depends how many dependencies there may be.
STEP_OPTIONS: Any = {
    option.key: any_value(option)
    for option in options.STEP_OPTIONS.values()
    if option.name != "step_type"
}


@st.composite
def valid_documents(draw: st.DrawFn, slug: str | None = None) -> Document:
    """Any valid document: steps in any order, options there, absent or at their default."""
    slugs = draw(st.lists(SLUGS, unique=True, max_size=8))
    steps: list[Any] = []
    for index, step_slug in enumerate(slugs):
        kind = draw(st.sampled_from([None, "single", "map"]))
        most = 1 if kind == "map" else 4
        step: Document = {
            "slug": step_slug,
            **draw(st.fixed_dictionaries({}, optional=STEP_OPTIONS)),
        }
        if index:
            before = st.sampled_from(slugs[:index])
            step["depends_on"] = draw(st.lists(before, unique=True, max_size=most))
        if kind:
            step["type"] = kind
        steps.append(step)
    document: Document = {
        "workflow_slug": slug or draw(SLUGS),
        **draw(st.fixed_dictionaries({}, optional=FLOW_OPTIONS)),
    }
    if draw(st.booleans()) or steps:
        document["steps"] = draw(st.permutations(steps))
    return document


ODD_VALUES = st.one_of(
    JSON,
    SLUGS,
    st.sampled_from(
        ["run", "map", "a b", "", 0, -1, 10**9, True, 1.5, [], {}, ["a"], [[]], [None]]
    ),
)


@st.composite
def mutated_documents(draw: st.DrawFn) -> Any:
    """A valid document with a few things in it replaced, removed, added or repeated."""
    document: Any = draw(valid_documents())
    for _ in range(draw(st.integers(1, 4))):
        document = draw(mutations(copy.deepcopy(document)))
    return document


@st.composite
def mutations(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        how = draw(st.sampled_from(["inside", "remove", "rename", "replace"]))
        old = value.pop(key)
        if how == "inside":
            value[key] = draw(mutations(old))
        elif how == "replace":
            value[key] = draw(ODD_VALUES)
        elif how == "rename":
            value[draw(TEXT) + key[1:]] = old
        return value
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        index = draw(st.integers(0, len(value) - 1))
        how = draw(st.sampled_from(["inside", "remove", "repeat", "replace"]))
        old = value.pop(index)
        new = {"inside": [draw(mutations(old))], "remove": [], "repeat": [old, old]}
        return value[:index] + new.get(how, [draw(ODD_VALUES)]) + value[index:]
    return draw(ODD_VALUES)


#: Options whose numbers are lengths of time.
TIMES = ("timeout", "base_delay", "start_delay")
#: Words of other tools for the keys of a flow and of a step.
FLOW_WORDS = {
    "steps": ["nodes", "tasks", "stages"],
    "workflow_slug": ["id", "name"],
}
STEP_WORDS = {
    "slug": ["id", "name", "step_slug"],
    "depends_on": ["needs", "dependencies"],
    "type": ["step_type"],
    "uses": ["function"],
}


@st.composite
def slips(draw: st.DrawFn) -> tuple[Document, Document]:
    """A valid document, and the same with mistakes each of which has one way out."""
    valid = draw(valid_documents())
    document = copy.deepcopy(valid)
    for row in document.get("steps", []):
        _slip_step(draw, row)
        _rename_keys(draw, row, STEP_WORDS)
    _slip_values(draw, document)
    _rename_keys(draw, document, FLOW_WORDS)
    return valid, document


def _slip_step(draw: st.DrawFn, row: Document) -> None:
    _slip_values(draw, row)
    if "type" in row and draw(st.booleans()):
        row["type"] = row["type"].upper()
    names = row.get("depends_on", [])
    if len(names) == 1 and draw(st.booleans()):
        row["depends_on"] = names[0]
    elif names and draw(st.booleans()):
        row["depends_on"] = [*names, names[0], None, names[-1]]


def _slip_values(draw: st.DrawFn, row: Document) -> None:
    for key, value in row.items():
        if type(value) is int and key not in ("params", "input_schema"):
            ways = [value, str(value), float(value), f" {value} "]
            ways += [f"{value}s", f"{value} seconds"] if key in TIMES else []
            row[key] = draw(st.sampled_from(ways))


def _rename_keys(draw: st.DrawFn, row: Document, words: dict[str, list[str]]) -> None:
    for key in [key for key in words if key in row]:
        if draw(st.booleans()):
            row[draw(st.sampled_from(words[key]))] = row.pop(key)
