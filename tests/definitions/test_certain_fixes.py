"""Fixes that are certain make no document worse; what may be something else is not certain."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.flow_builder import repair_flow, validate_flow
from tests.engine.effort import EFFORT

from .documents import mutated_documents, slips


def flow(*steps: Any, **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


A, B = {"slug": "a"}, {"slug": "b"}


@pytest.mark.parametrize(
    "steps",
    [
        [{**A, "inputs": {"r": "b"}}, {**B, "depends_on": ["a"]}],
        [{**A, "inputs": {"r": "b"}}, {**B, "inputs": {"r": "a"}}],
        [{**A, "depends_on": "b"}, {**B, "depends_on": ["a"]}],
        [{**A, "needs": "b"}, {**B, "dependsOn": ["a"]}],
        [{**A, "needs": ["c"]}, {**B, "depends_on": "a"}, {"slug": "c", "inputs": {"x": "b/y"}}],
        [{**A, "needs": "a"}],
    ],
)
def test_no_certain_fix_closes_a_cycle(steps: list[Any]) -> None:
    document = flow(*steps)
    repair = repair_flow(document)
    assert repair.document == document
    assert [p for p in repair.problems if p.code == "missing_dependencies" and p.fix] == []
    assert not {"cycle_detected", "self_dependency"} & {p.code for p in repair.problems}


def test_what_is_beside_a_cycle_is_still_repaired() -> None:
    steps = [{**A, "needs": "b"}, {**B, "depends_on": ["a"]}, {"slug": "c", "needs": "a"}]
    assert repair_flow(flow(*steps)).document["steps"][2] == {"slug": "c", "depends_on": ["a"]}


@pytest.mark.parametrize(
    "document",
    [
        flow(A, description_de="x"),
        flow({**A, "params2": {"n": 1}}),
        flow({**A, "timeout_s": 5}),
        flow({**A, "timeouts_": 5, "queue1": "q"}),
        flow(A, timeout="1 2 m"),
        flow(A, timeout="1m 1m"),
        flow(A, timeout="5s 2h"),
        flow(A, timeout="5 0"),
        flow({**A, "requires": "pandas"}),
        flow({**A, "needs": "gpu"}),
        flow({**A, "after": ["gpu"]}),
        flow(A, {**B, "needs": ["a", "gpu"]}),
        flow({**A, "depends_on": "gpu"}),
        flow(A, {**B, "needs": "b"}),
    ],
)
def test_what_may_mean_something_else_is_not_certain(document: Any) -> None:
    assert [p for p in validate_flow(document) if p.certain] == []


@pytest.mark.parametrize("key", ["timeouts", "timeot", "timeoot", "tiemout", "Timeout", "time_out"])
def test_a_slip_of_the_pen_is_one_letter(key: str) -> None:
    assert repair_flow(flow({**A, key: 5})).document == flow({**A, "timeout": 5})


#: What hides behind keys that nobody reads is told only once these have their names.
HIDING = ("unknown_key", "invalid_depends_on")


@given(mutated_documents() | slips().map(lambda pair: pair[1]))
@settings(max_examples=60 * EFFORT)
def test_a_certain_fix_leaves_fewer_problems_and_no_new_kind(document: Any) -> None:
    before = validate_flow(document)
    for problem in before:
        if problem.certain and problem.fix and problem.code not in HIDING:
            after = validate_flow(apply_patch(document, problem.fix))
            assert len(after) < len(before), problem
            assert {p.code for p in after if p.severity == "error"} <= {p.code for p in before}
