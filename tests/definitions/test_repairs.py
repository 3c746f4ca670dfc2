"""``repair_flow``: what can be fixed without asking is, and nothing is lost by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

import pgflow_django
from pgflow_django.definitions.durations import guess_seconds
from pgflow_django.definitions.edits.patches import MAX_OPERATIONS, apply_patch
from pgflow_django.definitions.policy import Policy
from pgflow_django.definitions.shape import canonical, read_document
from pgflow_django.flow_builder import repair_flow, validate_flow
from tests.engine.effort import EFFORT

from .documents import mutated_documents, slips
from .test_patches import doubled, holding_itself, nest


def flow(*steps: Any, **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


A, B = {"slug": "a"}, {"slug": "b"}

few = settings(max_examples=30 * EFFORT)


def test_it_is_public() -> None:
    assert pgflow_django.repair_flow is repair_flow


@pytest.mark.parametrize(
    ("document", "repaired"),
    [
        (flow(A), flow(A)),
        (
            {"name": "flow", "nodes": [{"id": "a", "timeout": "60s"}, {"id": "b", "needs": "a"}]},
            flow({**A, "timeout": 60}, {**B, "depends_on": ["a"]}),
        ),
        (flow(A, {**B, "depends_on": ["a", "a", "a"]}), flow(A, {**B, "depends_on": ["a"]})),
        (
            flow(A, {**B, "needs": ["a", None, "a", None]}, timeuot="5 min"),
            flow(A, {**B, "depends_on": ["a"]}, timeout=300),
        ),
        (
            flow(A, B, {"slug": "c", "inputs": {"x": "a", "y": "b/1", "z": "a/2"}}),
            flow(
                A, B,
                {
                    "slug": "c", "inputs": {"x": "a", "y": "b/1", "z": "a/2"},
                    "depends_on": ["a", "b"],
                },
            ),
        ),
        (
            flow(A, B, {"slug": "c", "inputs": {"x": "a"}, "depends_on": "b"}),
            flow(A, B, {"slug": "c", "inputs": {"x": "a"}, "depends_on": ["b", "a"]}),
        ),
    ],
)  # fmt: skip
def test_several_mistakes_are_repaired_in_turn(document: Any, repaired: Any) -> None:
    repair = repair_flow(document)
    assert repair.document == repaired
    assert repair.problems == []
    assert apply_patch(document, repair.patch) == repaired


def test_what_is_not_certain_is_left_and_told() -> None:
    document = flow(A, {**A, "colour": "red", "timeout": "9s", "depends_on": ["x"]})
    repair = repair_flow(document)
    assert repair.document == flow(A, {**A, "colour": "red", "timeout": 9, "depends_on": ["x"]})
    assert [problem.code for problem in repair.applied] == ["invalid_timeout"]
    assert [problem.code for problem in repair.problems] == [
        "duplicate_step_slug",
        "unknown_key",
        "missing_dependencies",
    ]


def test_a_policy_is_asked_and_its_limits_are_not_set_without_asking() -> None:
    policy = Policy(queues=("default",), max_timeout=60)
    document = flow({**A, "timeout": "5 min"}, queue="gpu")
    repair = repair_flow(document, policy=policy)
    assert repair.document == flow({**A, "timeout": 300}, queue="gpu")
    assert {problem.code for problem in repair.problems} == {
        "queue_not_allowed",
        "timeout_not_allowed",
        "unknown_function",
    }


@given(slips())
@few
def test_mistakes_with_one_way_out_are_all_repaired(pair: tuple[Any, Any]) -> None:
    valid, document = pair
    repaired = repair_flow(document).document
    assert canonical(read_document(repaired)) == canonical(read_document(valid))


@given(mutated_documents())
@few
def test_the_patch_takes_the_original_to_what_is_repaired_for_good(document: Any) -> None:
    before = json.dumps(document)
    repair = repair_flow(document)
    assert json.dumps(document) == before
    assert apply_patch(document, repair.patch) == repair.document
    assert repair.problems == validate_flow(repair.document)
    again = repair_flow(repair.document)
    assert (again.patch, again.applied, again.document) == ([], [], repair.document)
    # Nothing that was written is lost.
    left = set(scalars(repair.document))
    for kind, value in set(scalars(document)) - left:
        assert ("int", _meaning(value)) in left or ("str", _meaning(value)) in left, (kind, value)


def scalars(value: Any) -> Iterator[tuple[str, Any]]:
    """Every scalar in a value; ``null`` says nothing."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from scalars(part)
    elif value is not None:
        yield type(value).__name__, value


def _meaning(value: Any) -> Any:
    """What a scalar becomes when it is converted."""
    try:
        return int(float(value))
    except ValueError:
        return guess_seconds(value) or value.strip().casefold()


@pytest.mark.parametrize(
    "value",
    [
        *(None, 5, "x", [], {}, {1: 2}, {None: None}, {"steps": {1}}, {"steps": [{1: 1}]}),
        *(object(), {"steps": [object()], "nodes": object()}, float("nan"), b"x", [[[]]]),
        *(nest(10_000), {"steps": nest(100_000)}, holding_itself(), doubled(60)),
        {"name": "\ud800", "nodes": [{"id": "\0", "needs": "\ud800"}, {"slug": "\ud800"}]},
        {"steps": [{"slug": "a", "params": holding_itself(), "timeout": "5s"}]},
        {"steps": [{"slug": "a", "inputs": nest(200), "input_schema": nest(90)}]},
    ],
)
def test_it_takes_anything(value: Any) -> None:
    repair = repair_flow(value)
    assert apply_patch(value, repair.patch) is repair.document or repair.patch


def broken(size: int) -> Any:
    return {
        "name": "large",
        "nodes": [
            {"id": f"s_{n}", "timeout": f"{n + 1}s", "needs": [f"s_{n - 1}"] * 2 if n else None}
            for n in range(size)
        ],
    }


def test_more_fixes_than_a_patch_holds_become_one_that_replaces_the_flow() -> None:
    document = broken(2_000)
    repair = repair_flow(document)
    assert repair.problems == []
    assert len(repair.applied) > MAX_OPERATIONS
    assert [operation["path"] for operation in repair.patch] == [""]
    assert apply_patch(document, repair.patch) == repair.document


def test_where_that_is_too_large_too_the_first_ones_are_fixed() -> None:
    document = broken(2_000)
    document["description"] = "x" * 2_000_000
    first = repair_flow(document)
    assert 0 < len(first.patch) <= MAX_OPERATIONS
    assert apply_patch(document, first.patch) == first.document
    assert first.problems
