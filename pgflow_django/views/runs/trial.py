"""The page that tries a draft: its input, outputs that are given, where it ends, and consent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.db import router
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django import engine
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import PgflowError, RunFailed, TrialNeedsConsent
from pgflow_django.models import WorkflowRun
from pgflow_django.runs import trials
from pgflow_django.views.access import list_runs
from pgflow_django.views.editor.page import make_scene
from pgflow_django.views.editor.scene import Scene
from pgflow_django.views.page import Page
from pgflow_django.views.runs.asking import (
    Asked,
    ask,
    describe_draft,
    is_outdated,
    prefill,
    read_asked,
    say_outdated,
)
from pgflow_django.views.runs.input_form import Form, make_form, read_form
from pgflow_django.views.runs.start import KEY_PREFIX, note_start

if TYPE_CHECKING:
    from uuid import UUID


def trial(page: Page) -> HttpResponse:
    """Ask what to try, start the trial, and lead to its page."""
    scene = make_scene(page)
    if page.request.method != "POST":
        asked = ask(scene)
        prefill(page, scene, asked)
        form = make_form(page, scene.draft.document.get("input_schema"))
        return _render(page, scene, form, asked)
    form, is_read, value = read_form(page.request, scene.draft.document.get("input_schema"))
    asked, outputs = read_asked(page, scene)
    if is_outdated(page, scene):
        form.error = say_outdated(scene)
    elif is_read and outputs is not None:
        try:
            return _start(page, scene, value, outputs, asked, form.token)
        except TrialNeedsConsent as error:
            form.error = _name_consent(error)
        except PgflowError as error:
            form.error = str(error)
    return _render(page, scene, form, asked, status=422)


def _start(
    page: Page,
    scene: Scene,
    value: Any,
    outputs: Mapping[str, Any],
    asked: Asked,
    token: str,
) -> HttpResponse:
    """Start the trial, or find the one that the same page has started, and lead to its page."""
    using = router.db_for_write(WorkflowRun)
    trial = trials.prepare(
        scene.draft,
        value,
        outputs=outputs,
        until=asked.until or None,
        allow_effects=asked.allows,
        using=using,
    )
    try:
        with engine.starting_as(name_user(page.request.user), "admin"):
            run_id = trials.start_for_workers(trial, using, key=f"{KEY_PREFIX}trial-{token}")
    except RunFailed as error:  # where runs are executed at once: its page says why
        run_id = cast("UUID", error.run_id)
    note_start(page, WorkflowRun.objects.defer("input", "output").get(pk=run_id), _("Tried."))
    run = list_runs(page.admin, page.request).filter(pk=run_id).first()
    if run is not None and page.may("view_run", run):
        return HttpResponseRedirect(page.link("workflowrun_change", run.pk))
    return HttpResponseRedirect(page.link("workflow_edit", page.slug))


def _name_consent(error: TrialNeedsConsent) -> str:
    listed = ", ".join(f"{slug} ({function})" for slug, function, _effects in error.steps)
    return _(
        "These steps change something, or don't say whether they do: %(steps)s. Give their "
        "outputs, end before them, or tick the box that lets them run."
    ) % {"steps": listed}


def _render(
    page: Page, scene: Scene, form: Form, asked: Asked, *, status: int = 200
) -> HttpResponse:
    context = page.context(
        _("Try %(flow)s") % {"flow": scene.draft.slug}, **describe_draft(page, scene, form, asked)
    )
    return render(page.request, "pgflow_django/runs/trial.html", context, status=status)
