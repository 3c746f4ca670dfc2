"""What a step of the editor returned last, for those who may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgflow_django.choices import TaskStatus
from pgflow_django.models import WorkflowRun, WorkflowStepTask
from pgflow_django.views.access import find_admin, list_runs
from pgflow_django.views.editor.scene import Scene
from pgflow_django.views.page import Page
from pgflow_django.views.payloads import show
from pgflow_django.views.stored import Stored, load

if TYPE_CHECKING:
    pass

#: Characters of an output that the panel shows, and tasks of a map step; the run shows the rest.
SHOWN = 600
_TASKS = 3
_RIGHTS = ("view_run", "view_payload")
_MAX_LENGTH = 32 * 1024  # of a stored output that is looked at


@dataclass(frozen=True, slots=True)
class LastOutput:
    """An output as text, ``""`` where it is too large, and the address of its run."""

    text: str
    run_url: str


def find_last_output(page: Page, scene: Scene, slug: str) -> LastOutput | None:
    """What the step ``slug`` returned in the flow's newest run; ``None`` if that is not to be seen.

    Two queries at most, for published flows only.
    """
    runs = find_admin(page.admin, WorkflowRun)
    if runs is None or slug not in scene.rows or not scene.draft.published_version:
        return None
    known = list_runs(page.admin, page.request).filter(workflow_slug=scene.draft.slug)
    run = known.order_by("-id").first()
    if run is None or not all(page.may(what, run) for what in _RIGHTS):
        return None
    outputs = _load_outputs(run, slug, known.db)
    if not outputs:
        return None
    url = page.link("workflowrun_change", run.pk)
    if not all(output.is_whole for output in outputs):  # told, not shown
        return LastOutput("", url)
    value: Any = outputs[0].read()
    if scene.rows[slug].get("type") == "map":
        value = [output.read() for output in outputs]
    text = show(runs.redact_payload(page.request, run, value)).text  # type: ignore[attr-defined]
    return LastOutput(text if len(text) <= SHOWN else f"{text[:SHOWN]}\n…", url)


def _load_outputs(run: WorkflowRun, slug: str, alias: str) -> list[Stored]:
    """The outputs of a step's first tasks, as far as they are short."""
    tasks = WorkflowStepTask.objects.using(alias).filter(
        run_id=run.pk, step_slug=slug, status=TaskStatus.COMPLETED
    )
    found = load(tasks.order_by("task_index")[:_TASKS], "task_index", "output", _MAX_LENGTH)
    return list(found.values())
