"""What the validator lets pass runs, and what is renamed runs alike: random documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pgflow_django import executor, flow_builder, simulate_flow, step_function, validate_flow
from pgflow_django.definitions.edits import apply
from pgflow_django.definitions.policy import Policy
from pgflow_django.registry import registry
from tests.engine.database import clean
from tests.engine.effort import EFFORT

Document = dict[str, Any]

WHOLE = {"type": "integer"}
TEXT = {"type": "string"}
#: What functions read and return: a schema, and a value that fits.
KINDS: dict[str, tuple[Any, Any]] = {
    "whole": (WHOLE, 7),
    "text": (TEXT, "x"),
    "wholes": ({"type": "array", "items": WHOLE}, [1, 2]),
    "texts": ({"type": "array", "items": TEXT}, ["a", "b", "c"]),
    "object": (
        {
            "type": "object",
            "required": ["rows", "n"],
            "properties": {"rows": {"type": "array", "items": TEXT}, "n": WHOLE},
        },
        {"rows": ["a"], "n": 1},
    ),
}
LISTS = {"wholes": "whole", "texts": "text"}
OF_LIST = {item: kind for kind, item in LISTS.items()}
#: What is said to fit no list; of two kinds of lists nobody knows, since both may be empty.
NO_LISTS = sorted(KINDS.keys() - LISTS.keys())
INPUT = {"x": 5, "words": ["p", "q"]}
INPUT_SCHEMA = {
    "type": "object",
    "required": ["x", "words"],
    "properties": {"x": WHOLE, "words": KINDS["texts"][0]},
}


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    """Leave no function behind."""
    before = dict(registry._functions)
    yield
    registry._functions.clear()
    registry._functions.update(before)


@dataclass
class Drawn:
    """A random document while it grows: the kind of what each step returns, and its sources."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    kinds: dict[str, str | None] = field(default_factory=dict)

    def sources(self, row: dict[str, Any], of_item: str | None) -> dict[str, str | None]:
        """What a step may name, with its kind; ``None`` for one of no kind of ours."""
        found: dict[str, str | None] = {
            "run/x": "whole",
            "run/words": "texts",
            "run/words/1": "text",
        }
        if row["type"] == "map":
            return {**found, "item": of_item, "index": "whole"}
        for slug in row["depends_on"]:
            found[slug] = self.kinds[slug]
            if self.kinds[slug] == "object":
                found |= {f"{slug}/rows": "texts", f"{slug}/rows/0": "text", f"{slug}/n": "whole"}
        return found


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Up to six steps that mostly read what fits, and now and then anything."""
    drawn = Drawn()
    for number in range(draw(st.integers(1, 6))):
        lists = [slug for slug, kind in drawn.kinds.items() if kind in LISTS]
        is_map = bool(lists) and draw(st.booleans())
        row: dict[str, Any] = {"slug": f"s{number}", "type": "map" if is_map else "single"}
        of_item = None
        if is_map:
            source = draw(st.sampled_from(lists))
            row["depends_on"] = [source]
            of_item = LISTS[str(drawn.kinds[source])]
        else:
            known = list(drawn.kinds)
            some = (
                st.lists(st.sampled_from(known), unique=True, max_size=3) if known else st.just([])
            )
            row["depends_on"] = draw(some)
        known_sources = drawn.sources(row, of_item)
        needs = {}
        row["inputs"] = {}
        for name in draw(st.lists(st.sampled_from(["a", "b"]), unique=True)):
            source = draw(st.sampled_from(sorted(known_sources)))
            row["inputs"][name] = source
            fitting = known_sources[source]
            is_wild = fitting is None or draw(st.integers(0, 11)) == 11
            needs[name] = draw(st.sampled_from(NO_LISTS)) if is_wild else str(fitting)
        kind = draw(st.sampled_from(sorted(KINDS)))
        row["uses"] = register(number, kind, needs)
        drawn.kinds[row["slug"]] = OF_LIST.get(kind) if is_map else kind
        drawn.rows.append({key: value for key, value in row.items() if value not in ({}, [])})
    return {
        "workflow_slug": "agreed",
        "max_attempts": 1,
        "input_schema": INPUT_SCHEMA,
        "steps": drawn.rows,
    }


def register(number: int, kind: str, needs: dict[str, str]) -> str:
    """Register a function that reads this, and returns what it declares."""
    name = f"agreed.{number}"
    schema, value = KINDS[kind]
    registry.unregister(name)

    def call(input: dict[str, Any]) -> Any:
        assert {key: input[key] for key in needs}.keys() == needs.keys()
        return value

    properties = {key: KINDS[needed][0] for key, needed in needs.items()}
    step_function(
        name,
        input={"type": "object", "required": sorted(needs), "properties": properties},
        output=schema,
        effects="none",
    )(call)
    return name


def output_of(document: Document) -> dict[str, Any]:
    clean()
    flow_builder.create_flow_from_spec(document)
    return executor.execute_dynamic("agreed", INPUT)


@settings(max_examples=12 * EFFORT, deadline=None)
@given(document=documents(), data=st.data())
def test_what_passes_with_a_policy_runs_to_its_end_also_renamed(
    document: Document, data: st.DataObject
) -> None:
    problems = validate_flow(document, policy=Policy())
    assume(not any(problem.severity == "error" for problem in problems))
    output = output_of(document)
    found = simulate_flow(document, INPUT)
    assert found.ok
    assert found.output is not None
    assert found.output.keys() == output.keys()

    slugs = [row["slug"] for row in document["steps"]]
    slug = data.draw(st.sampled_from(slugs))
    renamed = apply(document, "rename_step", {"step": slug, "to": "other"}).document
    assert validate_flow(renamed, policy=Policy()) == []
    assert output_of(renamed) == {
        "other" if leaf == slug else leaf: value for leaf, value in output.items()
    }
