"""The input of a task as its function gets it, put together for its reader: cut, and redacted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from pgflow_django.choices import StepType, TaskStatus
from pgflow_django.engine import TaskGroup
from pgflow_django.exceptions import ContractBroken
from pgflow_django.models import WorkflowRun, WorkflowStepTask, WorkflowVersionStep
from pgflow_django.views.payloads import SHOWN, judges_by_keys
from pgflow_django.views.stored import Stored, load
from pgflow_django.worker.claimed import ClaimedTask, Shared

if TYPE_CHECKING:
    from collections.abc import Collection

    from pgflow_django.runs.task_detail import TaskDetail
    from pgflow_django.views.page import Page

#: Tasks of a map step whose outputs are read for a step that gets all of them.
_TASKS = 20
#: Characters that are read of one output, where there are many.
_LEAST = 1024


@dataclass(slots=True)
class Assembled:
    """The input of a task. ``is_cut``: parts are missing; ``error``: why there is none."""

    value: Any = None
    is_cut: bool = False
    error: str = ""


class _Reader:
    """Reads stored values as their reader may see them, and notes whether something is missing."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.is_cut = False

    def redact(self, value: Any) -> Any:
        """The value without what is hidden."""
        admin: Any = self._page.admin
        return admin.redact_payload(self._page.request, self._page.run, value)

    def read(self, stored: Stored | None) -> Any:
        """The value, as far as it was read."""
        if stored is None:
            return None
        if not stored.is_whole:
            self.is_cut = True
            admin: Any = self._page.admin
            if not judges_by_keys(admin.redact_payload):
                return _("(too large to show here)")
        return self.redact(stored.read())


def assemble(page: Page, task: TaskDetail) -> Assembled:
    """The input of a task, from the run's input and what the steps before gave.

    For those who may see payloads. Five queries at most, each of which reads beginnings only.
    """
    run, plan, reader = page.run, task.plan, _Reader(page)
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    rows = WorkflowRun.objects.using(using).filter(pk=run.pk)
    run_input = reader.read(load(rows, "pk", "input").get(run.pk))
    own = WorkflowStepTask.objects.using(using).filter(
        run_id=run.pk, step_slug=task.step, task_index=task.index
    )
    item = load(own, "task_index", "item").get(task.index) if task.is_map else None
    is_plain = task.is_map and item is None
    wanted = plan["depends_on"] if not task.is_map or plan["inputs"] or is_plain else ()
    outputs = _read_outputs(page, reader, wanted, using)
    source = outputs.get(plan["depends_on"][0]) if plan["depends_on"] else run_input
    group = TaskGroup(
        run_id=str(run.pk),
        workflow_slug=run.workflow_slug,
        version_id=run.version_id,
        step_slug=task.step,
        step_type=plan["step_type"],
        function=plan["function"],
        params=reader.redact(plan["params"]),
        timeout=plan["timeout"],
        max_attempts=plan["max_attempts"],
        next=None,
        tasks=[],
        run_input=run_input,
        deps=outputs or None,
        broadcast=[source] if is_plain else None,
        inputs=plan["inputs"],
    )
    shared = Shared(group, has_sharers=False)
    claimed = ClaimedTask(group, task.index, 0, reader.read(item), 0, shared)
    try:
        built = reader.redact(claimed.build_input())
    except ContractBroken as error:
        return Assembled(is_cut=reader.is_cut, error=str(error))
    return Assembled(built, reader.is_cut)


def _read_outputs(
    page: Page, reader: _Reader, slugs: Collection[str], using: str
) -> dict[str, Any]:
    """What these steps gave: of a map the first of its tasks."""
    if not slugs:
        return {}
    steps = WorkflowVersionStep.objects.using(using).filter(version_id=page.run.version_id)
    maps = set(
        steps.filter(step_slug__in=slugs, step_type=StepType.MAP).values_list(
            "step_slug", flat=True
        )
    )
    tasks = WorkflowStepTask.objects.using(using).filter(
        run_id=page.run.pk,
        step_slug__in=slugs,
        task_index__lte=_TASKS,
        status=TaskStatus.COMPLETED,
    )
    rows = load(
        tasks.order_by("step_slug", "task_index"), "pk", "output", max(_LEAST, SHOWN // len(slugs))
    )
    found: dict[str, Any] = {slug: [] for slug in slugs if slug in maps}
    for (_run, slug, index), stored in rows.items():
        if slug not in maps:
            found[slug] = reader.read(stored)
        elif index < _TASKS:
            found[slug].append(reader.read(stored))
        else:
            reader.is_cut = True
    return {slug: found[slug] for slug in slugs if slug in found}
