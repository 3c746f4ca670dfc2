"""Drawings of flows and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.cli.words import duration
from pgflow_django.drawing.layout import Node, compute_layout
from pgflow_django.drawing.svg import StepState, render_svg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgflow_django.runs.view import RunView, StepView


def draw_run(view: RunView) -> str:
    """A run as SVG: its flow, with each step's state."""
    nodes = [
        _node(step.slug, step.depends_on, step.function, step.description, is_map=step.is_map)
        for step in view.steps
    ]
    return render_svg(
        compute_layout(nodes),
        view.workflow_slug,
        states={step.slug: _state(step) for step in view.steps},
        description=f"run {view.id}: {view.status} after {duration(view.seconds)}",
    )


def draw_flow(flow: Mapping[str, Any]) -> str:
    """A flow, as ``flow_builder.get_flow`` gives it, as SVG."""
    nodes = [
        _node(
            step["step_slug"],
            step["depends_on"],
            step["function"],
            step["description"],
            is_map=step["step_type"] == "map",
        )
        for step in flow["steps"]
    ]
    return render_svg(compute_layout(nodes), flow["workflow_slug"], description=flow["description"])


def _node(
    slug: str, depends_on: Sequence[str], function: str | None, description: str, *, is_map: bool
) -> Node:
    return Node(
        slug,
        depends_on,
        kind="map" if is_map else "single",
        subtitle=function if function and function != slug else "",
        description=description,
    )


def _state(step: StepView) -> StepState:
    note = ""
    if step.failures and not step.is_map:
        note = f"attempt {step.attempt:,} of {step.max_attempts:,}"
    elif step.is_given:
        note = "given"
    return StepState(
        step.status,
        done=step.done,
        total=step.total,
        failed=step.failed,
        duration="" if step.seconds is None else duration(step.seconds),
        note=note,
    )
