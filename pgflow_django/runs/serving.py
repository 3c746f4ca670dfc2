"""Whether anybody would pick up a run of a flow."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import TextField
from django.db.models.functions import Coalesce, Now

from pgflow_django.models import Workflow, WorkflowStep, WorkflowWorker


@dataclass(frozen=True, slots=True)
class Unserved:
    """What no worker that is alive takes care of: queues, or functions on queues that are."""

    queues: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.queues or self.functions)


def find_unserved(flow: Workflow) -> Unserved:
    """The queues and functions of a flow that no worker serves just now: two queries."""
    using = flow._state.db or "default"  # noqa: SLF001 - Django's own name for it
    steps = (
        WorkflowStep.objects.using(using)
        .filter(workflow_slug=flow.workflow_slug)
        .annotate(
            on_queue=Coalesce("queue", "workflow__queue"),
            calls=Coalesce("function", "step_slug", output_field=TextField()),
        )
        .order_by("step_index")
        .values_list("on_queue", "calls")
    )
    alive = WorkflowWorker.objects.using(using).filter(lease_until__gt=Now())
    workers = [
        (set(queues), functions) for queues, functions in alive.values_list("queues", "functions")
    ]
    queues: dict[str, None] = {}
    missing: dict[str, None] = {}
    for queue, function in set(steps):
        serving = [functions for served, functions in workers if queue in served]
        if not serving:
            queues[queue] = None
        elif not any(functions is None or function in functions for functions in serving):
            missing[function] = None
    return Unserved(sorted(queues), sorted(missing))
