"""The page of workers: who is alive, and what each is doing. It only looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import router
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django.models import WorkflowWorker
from pgflow_django.runs.workers import Work, WorkerView, list_workers
from pgflow_django.storage.trouble import worker_command
from pgflow_django.views.access import list_runs
from pgflow_django.views.htmx import is_htmx
from pgflow_django.views.page import Page
from pgflow_django.views.pieces import format_duration, short_id, show_time

#: Names of functions, and steps that a worker is at, which the page shows of each worker.
_FUNCTIONS, _STEPS = 12, 3
#: Workers that the page shows.
_WORKERS = 500


@dataclass(frozen=True, slots=True)
class Doing:
    """What a worker is at. ``link`` and ``name`` are empty where the user may not see the run."""

    name: str
    run: str
    link: str
    tasks: int
    since: str


@dataclass(frozen=True, slots=True)
class Row:
    """A worker as the page shows it."""

    worker: WorkerView
    heartbeat: str
    doing: Sequence[Doing]
    more: int

    @property
    def kind(self) -> str:
        """What kind of process it is, in words."""
        words = {"celery": _("Celery"), "in_process": _("in a program")}
        return words.get(self.worker.kind, self.worker.kind)

    @property
    def started(self) -> str:
        """When it was started, as people say it."""
        return show_time(self.worker.started_at)

    @property
    def functions(self) -> Sequence[str]:
        """The functions that are named; none where it can run any."""
        return (self.worker.functions or ())[:_FUNCTIONS]

    @property
    def more_functions(self) -> int:
        """How many functions are not named."""
        return max(0, len(self.worker.functions or ()) - _FUNCTIONS)


def workers(page: Page) -> HttpResponse:
    """Show every worker that is registered; to htmx only the part that changes."""
    rows = _make_rows(page, list_workers(using=router.db_for_read(WorkflowWorker)))
    context = page.context(
        _("Workers"),
        rows=rows[:_WORKERS],
        left_out=max(0, len(rows) - _WORKERS),
        alive=sum(row.worker.is_alive for row in rows),
        able=_count_able(row.worker for row in rows),
        silent=sum(not row.worker.is_alive for row in rows),
        busy=sum(row.worker.is_alive and bool(row.worker.doing) for row in rows),
        command=worker_command(),
        may_see_flows=page.may("view"),
        link=page.link("workflowworker_changelist"),
    )
    name = "_list" if is_htmx(page.request) else "workers"
    return render(page.request, f"pgflow_django/workers/{name}.html", context)


def _count_able(workers: Iterable[WorkerView]) -> int:
    """How many can take tasks. A Celery worker has a line more than it has loops, for itself."""
    able = [worker for worker in workers if worker.is_alive and worker.queues]
    lines = Counter(worker.node for worker in able if worker.node)
    return len(able) - sum(count > 1 for count in lines.values())


def _make_rows(page: Page, found: Sequence[WorkerView]) -> list[Row]:
    """The workers for this user: those that are alive first, then by node."""
    shown = [work for worker in found for work in worker.doing[:_STEPS]]
    visible = _find_visible(page, {work.run_id for work in shown})
    rows = [
        Row(
            worker,
            format_duration(timedelta(seconds=worker.silent)),
            [_describe(page, worker, work, visible) for work in worker.doing[:_STEPS]],
            max(0, len(worker.doing) - _STEPS),
        )
        for worker in found
    ]
    return sorted(rows, key=lambda row: not row.worker.is_alive)


def _find_visible(page: Page, runs: Iterable[UUID]) -> set[UUID]:
    """Which of these runs the user may see."""
    if not page.may("view_run"):
        return set()
    found = list_runs(page.admin, page.request).filter(pk__in=runs)
    return {run.pk for run in found if page.may("view_run", run)}


def _describe(page: Page, worker: WorkerView, work: Work, visible: set[UUID]) -> Doing:
    since = format_duration(worker.now - work.since)
    if work.run_id not in visible:
        return Doing("", "", "", work.tasks, since)
    index = f"[{work.task_index}]" if work.task_index and work.tasks == 1 else ""
    return Doing(
        f"{work.workflow_slug}.{work.step_slug}{index}",
        short_id(work.run_id),
        page.link("workflowrun_change", work.run_id),
        work.tasks,
        since,
    )
