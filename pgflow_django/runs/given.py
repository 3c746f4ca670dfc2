"""Outputs of steps that the caller of a trial or of a simulation gives.

Service layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pgflow_django import jsonvalue
from pgflow_django.conf import settings
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import FlowDefinition, StepDefinition
from pgflow_django.exceptions import InvalidInput
from pgflow_django.registry import registry


def read_outputs(flow: FlowDefinition, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs as JSON gives them back, by step.

    Raises ``InvalidInput`` (``invalid_outputs``) for what no step of a resolved flow could return:
    no JSON, no list of a map step. What a step's function declares is not asked.
    """
    if not isinstance(outputs, Mapping):
        raise _refuse(f"outputs must be an object {{step: output}}, not {show(outputs)}.")
    steps = {step.slug: step for step in flow.steps}
    given = {}
    for slug, output in outputs.items():
        if slug not in steps:
            hint = did_you_mean(nearest_names(slug, steps))
            raise _refuse(f"outputs names {show(slug)}, but there is no such step.{hint}")
        text = jsonvalue.encode(
            output,
            subject=f'output of step "{slug}"',
            not_json=_refuse,
            too_large=_refuse,
            limit=settings.MAX_OUTPUT_BYTES,
        )
        given[slug] = json.loads(text)
        if _is_map(steps[slug]) and not isinstance(given[slug], list):
            raise _refuse(
                f'The output of map step "{slug}" is {show(output)}, but must be the list of what '
                "its tasks gave."
            )
    return given


def refuse_wrong_types(flow: FlowDefinition, given: Mapping[str, Any]) -> None:
    """Raise ``InvalidInput`` where an output breaks what the step's function declares of it."""
    for step in flow.steps:
        if step.slug not in given:
            continue
        function = registry.get(step.options["function"])
        part = function.contract.output if function and function.contract else None
        if part is None:
            continue
        value = given[step.slug]
        for index, output in enumerate(value if _is_map(step) else [value]):
            place = f"/{index}" if _is_map(step) else ""
            faults = part.misfits(output)
            if not faults:
                continue
            places = "; ".join(
                f"{place}{fault.pointer} {fault.message}".strip() for fault in faults
            )
            raise _refuse(
                f'The output that is given for step "{step.slug}" is not what its function '
                f'"{step.options["function"]}" returns: {places}'
            )


def _is_map(step: StepDefinition) -> bool:
    return bool(step.options["step_type"] == "map")


def _refuse(message: str) -> InvalidInput:
    return InvalidInput(message, code="invalid_outputs")
