"""Why a run stands as it does: a part of its page, and that of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.db.models.fields.json import KT
from django.db.models.functions import JSONObject, Left
from django.shortcuts import render

from pgflow_django.choices import RunState
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.why.facts import Subject
from pgflow_django.runs.why.finding import find_why
from pgflow_django.views.runs.acting import offer
from pgflow_django.views.runs.reasons import ShownReason, show_reasons

if TYPE_CHECKING:
    from django.http import HttpResponse

    from pgflow_django.views.page import Page

#: Characters that are read of each text of an error.
_READ = 400
_PINNED = ("version_id", "owner_id", "has_caller_functions", "started_at", "ended_at")


def why(page: Page) -> HttpResponse:
    """Return all reasons of the run, or with ``step`` those of that one. Six queries at most."""
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    found = find_why(
        Subject(
            run_id=run.pk,
            flow=run.workflow_slug,
            status=run.status,
            error=_read_error(run, using),
            using=using,
            **{name: getattr(run, name) for name in _PINNED},
        )
    )
    if (step := page.request.GET.get("step")) is not None:
        of_step = {"reasons": map(ShownReason, found.of_step(step))}
        return render(page.request, "pgflow_django/runs/_reasons.html", of_step)
    context = {
        "why": found,
        "reasons": show_reasons(page, found.reasons, offer(page, run.status)),
        "is_asked": True,
        "links": {name: page.link(f"workflowrun_{name}", run.pk) for name in ("change", "why")},
    }
    return render(page.request, "pgflow_django/runs/_waiting.html", context)


def _read_error(run: WorkflowRun, using: str) -> Any:
    if run.status != RunState.FAILED:
        return None
    texts = {
        name: Left(KT(f"error__{name}"), _READ)
        for name in ("code", "step_slug", "error_type", "error_message")
    }
    beginning = JSONObject(**texts, task_index=F("error__task_index"))
    rows = WorkflowRun.objects.using(using).filter(pk=run.pk)
    return rows.values_list(beginning, flat=True).first()
