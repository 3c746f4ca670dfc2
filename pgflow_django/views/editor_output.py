"""What a step of the editor returned last, for those who may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F, Func, IntegerField
from django.http import HttpRequest

from pgflow_django.admin.permissions import can, find_admin, list_runs
from pgflow_django.choices import TaskStatus
from pgflow_django.models import WorkflowRun, WorkflowStepTask
from pgflow_django.views.flow_pages import find_address
from pgflow_django.views.payloads import show
from pgflow_django.views.scene import Scene

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

#: Characters of an output that the panel shows, and tasks of a map step; the run shows the rest.
SHOWN = 600
_TASKS = 3
_RIGHTS = ("view_run", "view_payload")
_MAX_BYTES = 32 * 1024  # stored outputs larger than that are not even read


@dataclass(frozen=True, slots=True)
class LastOutput:
    """An output as text, ``""`` where it is too large, and the address of its run."""

    text: str
    run_url: str


def find_last_output(
    request: HttpRequest, admin: ModelAdmin[Any], scene: Scene, slug: str
) -> LastOutput | None:
    """What the step ``slug`` returned in the flow's newest run; ``None`` if that is not to be seen.

    Three queries at most, for published flows only.
    """
    runs = find_admin(admin, WorkflowRun)
    if runs is None or slug not in scene.rows or not scene.draft.published_version:
        return None
    known = list_runs(admin, request).filter(workflow_slug=scene.draft.slug)
    run = known.order_by("-id").first()
    if run is None or not all(can(admin, request, what, run) for what in _RIGHTS):
        return None
    outputs = _load_outputs(run, slug, known.db)
    if not outputs:
        return None
    url = find_address(admin, "workflowrun_change", run.pk)
    if any(size > _MAX_BYTES for _output, size in outputs):  # told, not shown
        return LastOutput("", url)
    value: Any = outputs[0][0]
    if scene.rows[slug].get("type") == "map":
        value = [output for output, _size in outputs]
    text = show(runs.redact_payload(request, run, value)).text  # type: ignore[attr-defined]
    return LastOutput(text if len(text) <= SHOWN else f"{text[:SHOWN]}\n…", url)


def _load_outputs(run: WorkflowRun, slug: str, alias: str) -> list[tuple[Any, int]]:
    """The outputs of a step's first tasks with their stored sizes in bytes."""
    tasks = WorkflowStepTask.objects.using(alias).filter(
        run_id=run.pk, step_slug=slug, status=TaskStatus.COMPLETED
    )
    size = Func(F("output"), function="pg_column_size", output_field=IntegerField())
    sizes = list(tasks.order_by("task_index").values_list("task_index", size)[:_TASKS])
    if any(stored > _MAX_BYTES for _index, stored in sizes):
        return [(None, stored) for _index, stored in sizes]
    shown = tasks.filter(task_index__in=[index for index, _stored in sizes])
    return [(output, 0) for output in shown.order_by("task_index").values_list("output", flat=True)]
