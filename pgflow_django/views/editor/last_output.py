"""What steps of the editor returned last, for those who may see it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgflow_django.choices import TaskStatus
from pgflow_django.models import WorkflowRun, WorkflowStepTask, WorkflowVersionStep
from pgflow_django.models.querysets import IS_GIVEN, IS_NO_TRIAL, IS_TRIAL
from pgflow_django.views.access import find_admin, list_runs
from pgflow_django.views.editor.scene import Scene
from pgflow_django.views.page import Page
from pgflow_django.views.payloads import show
from pgflow_django.views.stored import Stored, load

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

#: Characters of an output that the panel shows, and tasks of a map step; the run shows the rest.
SHOWN = 600
TASKS = 3
_RIGHTS = ("view_run", "view_payload")
_MAX_LENGTH = 32 * 1024  # of a stored output that is looked at


@dataclass(frozen=True, slots=True)
class LastOutput:
    """An output, as text too (``""`` where it is too large), and the address of its run."""

    text: str
    run_url: str
    value: Any = None
    is_trial: bool = False


def find_last_outputs(page: Page, scene: Scene, slugs: Collection[str]) -> dict[str, LastOutput]:
    """What these steps returned last, as far as that is to be seen.

    In the flow's newest run, or else in the newest that is no trial, which may be without them. Of
    a flow that was never published, trials only: others are those of an earlier flow of its name.
    """
    runs = find_admin(page.admin, WorkflowRun)
    wanted = [slug for slug in dict.fromkeys(slugs) if slug in scene.rows]
    if runs is None or not wanted:
        return {}
    known = list_runs(page.admin, page.request).filter(workflow_slug=scene.draft.slug)
    kinds = [IS_TRIAL]
    if scene.draft.published_version:
        kinds = [IS_TRIAL | IS_NO_TRIAL, IS_NO_TRIAL]
    found: dict[str, LastOutput] = {}
    for kind in kinds:
        left = [slug for slug in wanted if slug not in found]
        run = known.filter(kind).order_by("-id").first() if left else None
        if run is not None and all(page.may(what, run) for what in _RIGHTS):
            found |= _read_outputs(page, runs, scene, run, left)
    return found


def _read_outputs(
    page: Page, runs: ModelAdmin[Any], scene: Scene, run: WorkflowRun, slugs: list[str]
) -> dict[str, LastOutput]:
    """What these steps returned in this run."""
    url = page.link("workflowrun_change", run.pk)
    alias = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    given = _find_given(run, alias) if run.is_trial else set()
    found = {}
    for slug, outputs in _load_outputs(run, slugs, alias).items():
        if not all(output.is_whole for output in outputs):  # told, not shown
            found[slug] = LastOutput("", url, is_trial=run.is_trial)
            continue
        value: Any = outputs[0].read()
        if scene.rows[slug].get("type") == "map" and slug not in given:
            value = [output.read() for output in outputs]
        value = runs.redact_payload(page.request, run, value)  # type: ignore[attr-defined]
        text = show(value).text
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}\n…"
        found[slug] = LastOutput(shown, url, value, run.is_trial)
    return found


def _find_given(run: WorkflowRun, alias: str) -> set[str]:
    """The steps of a trial whose whole output was given, whatever they are in the draft."""
    steps = WorkflowVersionStep.objects.using(alias).filter(version_id=run.version_id)
    return set(steps.filter(IS_GIVEN).values_list("step_slug", flat=True))


def _load_outputs(run: WorkflowRun, slugs: list[str], alias: str) -> dict[str, list[Stored]]:
    """The outputs of the first tasks of steps, as far as they are short."""
    tasks = WorkflowStepTask.objects.using(alias).filter(
        run_id=run.pk,
        step_slug__in=slugs,
        status=TaskStatus.COMPLETED,
        task_index__lt=TASKS,
    )
    found: dict[str, list[Stored]] = {}
    loaded = load(tasks.order_by("step_slug", "task_index"), "pk", "output", _MAX_LENGTH)
    for (_run, slug, _index), output in loaded.items():
        found.setdefault(slug, []).append(output)
    return found
