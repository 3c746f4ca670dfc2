"""Whatever is given to validation, repair and patches: an answer, no query, and linear work."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgflow_django.definitions.answers import answer
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.exceptions import EditRefused
from pgflow_django.flow_builder import repair_flow, validate_flow
from tests.drafts.test_import_bounds import MAKERS
from tests.engine.effort import EFFORT

from .documents import mutated_documents
from .test_repairs import broken

# No test here has a database: a query would fail.

few = settings(max_examples=40 * EFFORT)

#: Keys that mean something, or nearly, in a document; in a patch; and none.
KEYS = st.sampled_from([
    *("workflow_slug", "steps", "nodes", "id", "name", "slug", "depends_on", "needs", "type"),
    *("uses", "timeout", "tiemout", "inputs", "input_schema", "params", "max_attempts", "x", ""),
])  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["a", "b", "60s", "map", "run", "item", "a/b", "\ud800", "\0", "x" * 500]),
    st.binary(max_size=2),
    st.builds(object),
    st.sets(st.integers(), max_size=1),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            KEYS | LEAVES.filter(lambda key: not isinstance(key, set)), inner, max_size=5
        ),
    ),
    max_leaves=25,
)
DOCUMENTS = st.one_of(
    ANYTHING,
    st.fixed_dictionaries({"steps": st.lists(ANYTHING, max_size=4)}, optional={"name": ANYTHING}),
    st.fixed_dictionaries(
        {"nodes": st.lists(st.dictionaries(KEYS, ANYTHING, max_size=6), max_size=4)}
    ),
)
POINTERS = st.lists(KEYS | st.sampled_from(["0", "1", "-", "-1", "01"]), max_size=4).map(
    lambda tokens: "".join(f"/{token}" for token in tokens)
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])},
    optional={"path": POINTERS | LEAVES, "from": POINTERS | LEAVES, "value": ANYTHING},
)


@given(DOCUMENTS)
@few
def test_anything_is_looked_at_and_repaired(document: Any) -> None:
    problems = validate_flow(document)
    assert all(len(problem.message) < 6_000 for problem in problems)
    repair = repair_flow(document)
    if repair.patch:
        assert repr(apply_patch(document, repair.patch)) == repr(repair.document)
    assert repair_flow(repair.document).patch == []
    told = json.dumps(answer(document, validate_flow), indent=2)
    assert len(told) <= 64 * 1024


@given(mutated_documents() | DOCUMENTS, st.lists(OPERATIONS, max_size=6) | ANYTHING)
@few
def test_any_patch_is_applied_or_refused(document: Any, patch: Any) -> None:
    before = repr((document, patch))
    refused = None
    try:
        apply_patch(document, patch)
    except EditRefused as refusal:
        refused = refusal
    if refused is not None:
        assert refused.code in ("fix_does_not_fit", "patch_too_large")
        assert len(str(refused)) < 1_000
    assert repr((document, patch)) == before


def dense(size: int) -> Any:
    """Many parts that are the same objects, and one in another."""
    value: Any = [{"x": "y"}] * size
    for _ in range(40):
        value = [value] * 3
    return {"workflow_slug": "x", "steps": [{"slug": "a", "params": value}]}


def rivals(size: int) -> Any:
    """Many keys that could all stand for the same one."""
    keys = [f"{n:010b}".replace("0", "-").replace("1", "_") + "id" for n in range(size)]
    return {"steps": [{"slug": "a"}], **dict.fromkeys(keys, "x")}


def unknown(size: int) -> Any:
    """A step that waits for many steps and reads others, none of which is there."""
    names = [f"u{n}" for n in range(size)]
    inputs = {f"x{n}": "qq" for n in range(50)}
    return {"workflow_slug": "x", "steps": [{"slug": "a", "depends_on": names, "inputs": inputs}]}


def renamed(size: int) -> Any:
    """Steps with bad names, and one that reads each of them many times."""
    steps: list[Any] = [{"slug": f"a-{n}"} for n in range(size)]
    inputs = {f"x{n}": f"a-{n % size}" for n in range(20 * size)}
    return {"workflow_slug": "x", "steps": [*steps, {"slug": "z", "inputs": inputs}]}


def crossed(size: int) -> Any:
    """Steps that would wait for one another if each waited for what it reads."""
    steps = [{"slug": f"s{n}", "inputs": {"x": f"s{(n + 1) % size}"}} for n in range(size)]
    return {"workflow_slug": "x", "steps": steps}


def patched(size: int) -> list[dict[str, Any]]:
    return [{"op": "add", "path": "/steps/-", "value": {"slug": f"s_{n}"}} for n in range(size)]


def count_lines(work: Callable[[], Any]) -> int:
    """How many lines of Python some work runs through."""
    count = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("maker", [*MAKERS, broken, dense, rivals, unknown, renamed, crossed])
@pytest.mark.parametrize(
    "work", [validate_flow, repair_flow, lambda document: answer(document, validate_flow)],
    ids=["validate", "repair", "answer"],
)  # fmt: skip
def test_four_times_as_much_is_four_times_as_much_work(
    work: Callable[[Any], Any], maker: Callable[[int], Any]
) -> None:
    small, large = maker(100), maker(400)
    work(small)  # imports are none of it
    assert count_lines(lambda: work(large)) < 5 * count_lines(lambda: work(small))


def test_four_times_as_many_operations_are_four_times_as_much_work() -> None:
    document = {"workflow_slug": "x", "steps": []}
    few, many = patched(100), patched(400)
    apply_patch(document, few)
    work = count_lines(lambda: apply_patch(document, few))
    assert count_lines(lambda: apply_patch(document, many)) < 5 * work


def alternatives(levels: int, each: int) -> Any:
    """A schema that is one of a few, many times over."""
    schemas: dict[str, Any] = {
        f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * each} for n in range(levels)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**schemas, f"a{levels}": {"type": "array"}}}


def web(size: int) -> Any:
    """A schema whose parts lead to one another crosswise, without end."""
    schemas = {
        f"a{n}": {
            "anyOf": [
                {"items": {"$ref": f"#/$defs/a{(7 * n + 1) % size}"}},
                {"items": {"$ref": f"#/$defs/a{(3 * n + 2) % size}"}},
            ]
        }
        for n in range(size)
    }
    return {"$ref": "#/$defs/a0", "$defs": schemas}


def wide(size: int) -> Any:
    row = {"type": "array", "items": {"properties": {"a": {"type": "string"}}}}
    return {"properties": {f"p{n}": row for n in range(size)}}


@pytest.mark.parametrize("schema", [alternatives(5, 10), alternatives(18, 2), web(400), wide(600)])
def test_a_schema_of_any_form_is_looked_at_quickly(schema: Any) -> None:
    steps: list[Any] = [
        {"slug": "a", "type": "map", "inputs": {"x": "item/0/0/0", "y": "run/p1/0"}}
    ]
    steps += [{"slug": f"s{n}", "type": "map", "depends_on": ["a"]} for n in range(50)]
    start = time.process_time()
    validate_flow({"workflow_slug": "x", "input_schema": schema, "steps": steps})
    assert time.process_time() - start < 1


def test_few_names_are_suggested_however_many_there_are() -> None:
    [source] = [one for one in validate_flow(unknown(5_000)) if one.pointer.endswith("/x0")]
    assert len(source.suggestions) <= 3
    assert len(source.message) < 500
