"""Finding flows, in the database and in code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.choices import Origin
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.shape import function_of
from pgflow_django.exceptions import StepFunctionMissing
from pgflow_django.flows import Flow, code_flows
from pgflow_django.models import Workflow
from pgflow_django.registry import registry
from pgflow_django.storage.definitions import workflow_not_found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def find_flow(slug: str, *, using: str) -> str | type[Flow]:
    """The flow in code of this name, or its slug where it is stored only.

    Code wins, since it is what the site means now; unless somebody else stored a flow of that
    name. Raises ``WorkflowNotFound`` with the nearest names.
    """
    origins = Workflow.objects.using(using).filter(workflow_slug=slug)
    origin = origins.values_list("origin", flat=True).first()
    code = {flow.slug: flow for flow in code_flows()}.get(slug)  # of several, the last
    if code is not None and origin in {None, Origin.CODE}:
        return code
    if origin is None:
        raise workflow_not_found(slug, using=using)
    return slug


def suggest_functions(error: StepFunctionMissing) -> Iterator[str]:
    """What the steps without a function probably meant."""
    for step, name in error.missing:
        if names := nearest_names(name, registry.names()):
            yield f'Step "{step}", function "{name}":{did_you_mean(names)}'


def missing_functions(flow: Mapping[str, Any]) -> dict[str, str]:
    """``{step slug: function}`` of what ``flow_builder.get_flow`` gave and nobody registered."""
    functions = {step["step_slug"]: function_of(step) for step in flow["steps"]}
    return {slug: name for slug, name in functions.items() if name not in registry}
