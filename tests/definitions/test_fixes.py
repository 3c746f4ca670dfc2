"""Which fixes are certain: those that lose nothing and are the only ones."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.flow_builder import validate_flow


def flow(*steps: Any, **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


A, B = {"slug": "a"}, {"slug": "b"}


@pytest.mark.parametrize(
    ("document", "fixed"),
    [
        *(
            ({"workflow_slug": "flow", key: [A]}, flow(A))
            for key in ("nodes", "tasks", "stages", "stepss", "Steps")
        ),
        *(
            ({key: "flow", "steps": [A]}, flow(A))
            for key in ("id", "name", "slug", "flow_slug", "workflow-slug")
        ),
        ({"name": "My flow", "steps": [A]}, flow(A, workflow_slug="My flow")),
        (
            {"id": "flow", "name": "My flow", "steps": [A]},
            {"workflow_slug": "flow", "name": "My flow", "steps": [A]},
        ),
        (flow({"id": "a"}), flow(A)),
        (flow({"name": "a"}), flow(A)),
        (flow(A, {**B, "needs": "a"}), flow(A, {**B, "depends_on": "a"})),
        (flow(A, {**B, "dependsOn": ["a"]}), flow(A, {**B, "depends_on": ["a"]})),
        (flow(A, {**B, "depends_on": "a"}), flow(A, {**B, "depends_on": ["a"]})),
        (flow(A, {**B, "depends_on": ["a", "a"]}), flow(A, {**B, "depends_on": ["a"]})),
        (flow(A, {**B, "depends_on": ["a", None]}), flow(A, {**B, "depends_on": ["a"]})),
        (flow({**A, "depends_on": None}), flow(A)),
        (flow(A, max_attempt=3), flow(A, max_attempts=3)),
        (flow({**A, "tiemout": "5s"}), flow({**A, "timeout": "5s"})),
        *(
            (flow(A, timeout=text), flow(A, timeout=seconds))
            for text, seconds in {
                "5": 5, " 60 ": 60, "60.0": 60, "60s": 60, "90 sec": 90, "60 Seconds": 60,
                "5m": 300, "5 min": 300, "2 minutes": 120, "1h30m": 5400, "1.5h": 5400,
                "1 day": 86_400,
            }.items()
        ),
        (flow(A, timeout=60.0), flow(A, timeout=60)),
        (flow(A, timeout=None), flow(A)),
        (flow(A, max_attempts="5"), flow(A, max_attempts=5)),
        (flow({**A, "type": "MAP"}), flow({**A, "type": "map"})),
        (
            flow(A, {**B, "inputs": {"rows": "a/1"}}),
            flow(A, {**B, "inputs": {"rows": "a/1"}, "depends_on": ["a"]}),
        ),
    ],
)  # fmt: skip
def test_a_fix_is_certain_where_it_loses_nothing_and_is_the_only_one(
    document: Any, fixed: Any
) -> None:
    first = next(p for p in validate_flow(document) if p.fix and p.certain)
    assert apply_patch(document, first.fix or []) == fixed
    assert first.to_dict()["certain"] is True


@pytest.mark.parametrize(
    "document",
    [
        flow(A, colour="red"),
        flow({**A, "name": "x"}),
        flow({**A, "uses": "f", "function": "f"}),
        {"id": "flow", "name": "other", "steps": [A]},
        {"workflow_slug": "flow", "steps": [], "nodes": [A]},
        {"workflow_slug": "flow", "nodes": [A], "tasks": [B]},
        {"workflow_slug": "flow", "nodes": {"a": {}}},
        flow(A, max_attempt="many"),
        flow(A, time=10),
        flow(A, workflow_slug="a b"),
        flow({"slug": "1 a"}),
        flow(A, A),
        flow(A, timeout=10**9),
        flow(A, timeout="0s"),
        flow(A, timeout="1.5s"),
        flow(A, timeout="soon"),
        flow(A, timeout=True),
        flow(A, max_attempts="5s"),
        flow({**A, "type": "mapp"}),
        flow({**A, "initial_tasks": 3}),
        flow({**A, "uses": "tests.nmubers"}),
        flow({"slug": "fetch"}, {**B, "depends_on": ["fetsh"]}),
        flow(A, {**B, "depends_on": ["b"]}),
        flow(A, {**B, "depends_on": [5]}),
        flow(A, {**B, "depends_on": ""}),
        flow(A, {**B, "depends_on": "a, c"}),
        flow({"slug": "ab"}, {**B, "depends_on": ["ab"], "inputs": {"x": "abb"}}),
        flow(A, {**B, "type": "map", "inputs": {"x": "a"}}),
    ],
)
def test_a_fix_that_loses_or_chooses_something_is_not_certain(document: Any) -> None:
    problems = validate_flow(document)
    assert problems
    assert [p for p in problems if p.certain] == []


def test_what_a_step_waits_for_is_not_overwritten_by_what_it_reads() -> None:
    step = {**B, "depends_on": "c", "inputs": {"x": "a"}}
    fixes = [p.fix for p in validate_flow(flow(A, step, {"slug": "c"})) if p.fix]
    assert fixes == [[{"op": "replace", "path": "/steps/1/depends_on", "value": ["c"]}]]


def test_a_fix_is_never_more_than_a_patch_may_be() -> None:
    waiting = [{"slug": f"b_{n}", "depends_on": ["a b"]} for n in range(1_001)]
    [problem] = validate_flow(flow({"slug": "a b"}, *waiting))
    assert (problem.suggestions, problem.fix) == (["a_b"], None)
