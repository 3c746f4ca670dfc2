"""Step functions that every site has. Like those of other apps, they are found by this name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.contracts import Example
from pgflow_django.definitions.joining import JOIN
from pgflow_django.definitions.joining import join as join_outputs
from pgflow_django.definitions.trials import GIVEN
from pgflow_django.models import WorkflowRun, WorkflowVersionStep
from pgflow_django.registry import step_function

if TYPE_CHECKING:
    from pgflow_django.context import StepContext


@step_function(
    JOIN,
    output={"type": "array"},
    tags=["join", "list"],
    effects="none",
    examples=[Example(input={"one": [1, 2], "other": [3]}, output=[1, 2, 3])],
)
def join(input: dict[str, Any], context: StepContext) -> list[Any]:
    """Join what the steps before return into one list: lists end to end, all else as items.

    In the order of the step's ``depends_on``, which is that in which the flow has its steps.
    """
    using = context._lines.using  # noqa: SLF001 - for steps of our own
    runs = WorkflowRun.objects.using(using).filter(id=context.run_id)
    step = WorkflowVersionStep.objects.using(using).get(
        version_id__in=runs.values("version_id"), step_slug=context.step_slug
    )
    return join_outputs(input[slug] for slug in step.depends_on)


@step_function(
    GIVEN,
    params={
        "type": "object",
        "required": ["value"],
        "properties": {"value": {}},
    },
    tags=["constant"],
    effects="none",
    examples=[Example(params={"value": [1, 2]}, output=[1, 2])],
)
def given(input: dict[str, Any]) -> Any:
    """Return the value in its params, as it is.

    Trials put it in the place of steps whose outputs are given; in a flow it is a constant.
    """
    return input["params"]["value"]
