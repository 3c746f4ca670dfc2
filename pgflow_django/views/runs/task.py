"""The page of one task: every attempt at it, what it was given, and what it gave."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.http import Http404
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django.models import WorkflowStepTask
from pgflow_django.runs.task_detail import AttemptView, TaskDetail, load_task
from pgflow_django.runs.tracebacks import split_traceback
from pgflow_django.storage.looking import TookTooLong, looking
from pgflow_django.views.payloads import redact_places, show
from pgflow_django.views.pieces import class_of, format_duration, short_id
from pgflow_django.views.runs.acting import ACTS, offer, offer_step
from pgflow_django.views.runs.assembling import assemble
from pgflow_django.views.runs.query import MAX_INDEX
from pgflow_django.views.runs.snippet import write_error, write_test
from pgflow_django.views.runs.tasks import name_task_statuses
from pgflow_django.views.stored import load, show_stored

if TYPE_CHECKING:
    from django.http import HttpResponse

    from pgflow_django.views.page import Page

Facts = dict[str, Any]


def task(page: Page, step: str, index: int) -> HttpResponse:
    """Show a task of the run."""
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    found, facts = None, {}
    try:
        with looking(using):
            if index <= MAX_INDEX:
                found = load_task(run.pk, run.version_id, run.round, step, index, using=using)
            if found is not None:
                facts = _show_values(page, found, using)
    except TookTooLong:
        facts = {"took_too_long": True}
    if found is None and not facts:
        raise Http404(_("This run has no such task."))
    name = f"{step} {index}" if found is None or found.is_map else step
    context = page.context(
        name,
        subtitle=f"{run.workflow_slug} {short_id(run.pk)}",
        run=run,
        name=name,
        short_id=short_id(run.pk),
        page_link=page.link("workflowrun_change", run.pk),
        **facts,
    )
    return render(page.request, "pgflow_django/runs/task.html", context)


def _show_values(page: Page, found: TaskDetail, using: str) -> Facts:
    """The variables of the page of a task."""
    run = page.run
    failed = next((each for each in found.attempts if each.outcome == "failed"), None)
    status = {"started": "running", "queued": "waiting"}.get(found.status, found.status)
    if found.status == "queued" and failed and failed.retry_at:
        status = "retrying"
    facts: Facts = {
        "task": found,
        "css": class_of(status),
        "word": name_task_statuses()[status],
        "attempts": [_show_attempt(page, each) for each in found.attempts],
        "error_text": write_error(found, failed) if failed else "",
        "may_see_payload": page.may("view_payload", run),
        **offer(page, run.status),
        **offer_step(page, found.step, status, found.index if found.is_map else None),
        "links": {name: page.link(f"workflowrun_{name}", run.pk) for name in ACTS},
    }
    if not facts["may_see_payload"]:
        return facts
    given = assemble(page, found)
    facts["given"] = given
    if not given.error:
        error = f"{failed.error_type}: {failed.message}" if failed else ""
        facts["input"] = show(given.value)
        facts["test_text"] = write_test(run.pk, found, given.value, error)
    rows = WorkflowStepTask.objects.using(using).filter(
        run_id=run.pk, step_slug=found.step, task_index=found.index
    )
    output = load(rows, "task_index", "output").get(found.index)
    if output is not None:
        facts["output"] = show_stored(page.request, page.admin, run, output)
    return facts


def _show_attempt(page: Page, attempt: AttemptView) -> Facts:
    words = {**name_task_statuses(), "cancelled": _("cut off")}
    admin: Any = page.admin
    hide = partial(admin.redact_payload, page.request, page.run)
    may_see = attempt.problems and page.may("view_payload", page.run)
    return {
        "attempt": attempt,
        "css": attempt.outcome,
        "word": words[attempt.outcome],
        "waited": _show(attempt.waited),
        "took": _show(attempt.seconds),
        "trace": split_traceback(attempt.traceback),
        "places": redact_places(attempt.problems, hide) if may_see else {},
    }


def _show(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(timedelta(seconds=seconds))
