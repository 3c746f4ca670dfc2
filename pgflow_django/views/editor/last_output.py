"""What steps of the editor returned last, for those who may see it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pgflow_django.choices import TaskStatus
from pgflow_django.models import WorkflowRun, WorkflowStepTask
from pgflow_django.views.access import find_admin, list_runs
from pgflow_django.views.editor.scene import Scene
from pgflow_django.views.page import Page
from pgflow_django.views.payloads import show
from pgflow_django.views.stored import Stored, load

#: Characters of an output that the panel shows, and tasks of a map step; the run shows the rest.
SHOWN = 600
_TASKS = 3
_RIGHTS = ("view_run", "view_payload")
_MAX_LENGTH = 32 * 1024  # of a stored output that is looked at


@dataclass(frozen=True, slots=True)
class LastOutput:
    """An output, as text too (``""`` where it is too large), and the address of its run."""

    text: str
    run_url: str
    value: Any = None


def find_last_outputs(page: Page, scene: Scene, slugs: Collection[str]) -> dict[str, LastOutput]:
    """What these steps returned in the flow's newest run, as far as that is to be seen.

    Two queries at most, for published flows only.
    """
    runs = find_admin(page.admin, WorkflowRun)
    wanted = [slug for slug in dict.fromkeys(slugs) if slug in scene.rows]
    if runs is None or not wanted or not scene.draft.published_version:
        return {}
    known = list_runs(page.admin, page.request).filter(workflow_slug=scene.draft.slug)
    run = known.order_by("-id").first()
    if run is None or not all(page.may(what, run) for what in _RIGHTS):
        return {}
    url = page.link("workflowrun_change", run.pk)
    found = {}
    for slug, outputs in _load_outputs(run, wanted, known.db).items():
        if not all(output.is_whole for output in outputs):  # told, not shown
            found[slug] = LastOutput("", url)
            continue
        value: Any = outputs[0].read()
        if scene.rows[slug].get("type") == "map":
            value = [output.read() for output in outputs]
        value = runs.redact_payload(page.request, run, value)  # type: ignore[attr-defined]
        text = show(value).text
        found[slug] = LastOutput(text if len(text) <= SHOWN else f"{text[:SHOWN]}\n…", url, value)
    return found


def _load_outputs(run: WorkflowRun, slugs: list[str], alias: str) -> dict[str, list[Stored]]:
    """The outputs of the first tasks of steps, as far as they are short."""
    tasks = WorkflowStepTask.objects.using(alias).filter(
        run_id=run.pk,
        step_slug__in=slugs,
        status=TaskStatus.COMPLETED,
        task_index__lt=_TASKS,
    )
    found: dict[str, list[Stored]] = {}
    loaded = load(tasks.order_by("step_slug", "task_index"), "pk", "output", _MAX_LENGTH)
    for (_run, slug, _index), output in loaded.items():
        found.setdefault(slug, []).append(output)
    return found
