"""Where the outputs of steps can be read: the model's property and the view."""

from __future__ import annotations

import json

from pgflow_django import executor
from pgflow_django.models import WorkflowStepState
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.database import query


def test_outputs_of_completed_steps_are_in_the_property_and_in_the_view(
    register: Register,
) -> None:
    build("flow", {"numbers": [], "double*": ["numbers"], "none*": ["numbers"], "sum": ["double"]})
    register(
        {
            "numbers": lambda i: [1, 2, 3],
            "double": lambda i: i["item"] * 2,
            "none": lambda i: None,
            "sum": lambda i: sum(i["double"]),
        }
    )
    run = executor.start_flow("flow", {})
    before = WorkflowStepState.objects.get(run_id=run.id, step_slug="sum")
    assert before.output is None
    assert executor.drain()
    expected = {"numbers": [1, 2, 3], "double": [2, 4, 6], "none": [None] * 3, "sum": 12}
    states = WorkflowStepState.objects.filter(run_id=run.id)
    assert {state.step_slug: state.output for state in states} == expected
    viewed = "select step_slug, output::text from pgflow.step_outputs"
    assert {slug: json.loads(text) for slug, text in query(viewed)} == expected


def test_a_map_over_nothing_has_an_empty_list_as_output(register: Register) -> None:
    build("flow", {"each*": []})
    register({"each": lambda i: 1})
    run = executor.start_flow("flow", [])
    assert WorkflowStepState.objects.get(run_id=run.id).output == []
