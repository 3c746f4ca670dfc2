"""What a trial runs of a flow: some steps are given, and what only these need is left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pgflow_django.definitions.shape import FlowDefinition, StepDefinition

#: The built-in function of a step whose output is given.
GIVEN = "pgflow.given"
#: What in its params tells such a step from a constant of the flow's own.
MARK = "in_trial"


def cut(flow: FlowDefinition, outputs: Mapping[str, Any], until: str | None) -> FlowDefinition:
    """The steps of a resolved flow that a trial has, in their order.

    A step with an output in ``outputs`` waits for nothing and calls nothing. What comes after
    ``until`` is left out, and so is what nothing else needs then.
    """
    steps = {step.slug: step for step in flow.steps}
    needed = {until} if until is not None else _leaves(flow)
    left = list(needed)
    while left:
        slug = left.pop()
        waits = () if slug in outputs else steps[slug].depends_on
        left += [name for name in waits if name not in needed]
        needed.update(waits)
    kept = [step for step in flow.steps if step.slug in needed]
    queues = {step.options["queue"]: None for step in kept if step.slug not in outputs}
    queue = next(iter(queues), None)
    return replace(
        flow,
        steps=tuple(
            _give(step, outputs[step.slug], queue) if step.slug in outputs else step
            for step in kept
        ),
    )


def _leaves(flow: FlowDefinition) -> set[str]:
    waited_for = {name for step in flow.steps for name in step.depends_on}
    return {step.slug for step in flow.steps} - waited_for


def _give(step: StepDefinition, output: Any, queue: str | None) -> StepDefinition:
    """The step as a single one that returns its output.

    In a queue that the trial needs anyway: who serves its own may not be there, and any worker can.
    """
    given = {
        "step_type": "single",
        "initial_tasks": None,
        "start_delay": 0,
        "inputs": None,
        "function": GIVEN,
        "params": {"value": output, MARK: True},
    }
    if queue is not None:
        given["queue"] = queue
    return StepDefinition(step.slug, (), {**step.options, **given})


def write_rows(flow: FlowDefinition) -> list[dict[str, Any]]:
    """The steps as rows of ``workflow_version_steps``, without their version."""
    dependents: dict[str, list[str]] = {step.slug: [] for step in flow.steps}
    for step in flow.steps:
        for name in step.depends_on:
            dependents[name].append(step.slug)
    return [
        {
            "step_slug": step.slug,
            "step_index": index,
            "depends_on": list(step.depends_on),
            "dependents": dependents[step.slug],
            **step.options,
        }
        for index, step in enumerate(flow.steps)
    ]
