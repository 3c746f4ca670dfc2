"""The page that starts a run: its input as a form or as JSON, and who would work it off."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django import drafts, engine, executor
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import PgflowError, RunFailed
from pgflow_django.models import WorkflowRun
from pgflow_django.runs import control
from pgflow_django.runs.serving import find_unserved
from pgflow_django.storage.trouble import worker_command
from pgflow_django.views.access import find_admin, is_published, list_runs, lock_run
from pgflow_django.views.editor.forms import read_version
from pgflow_django.views.fields import MAX_BYTES
from pgflow_django.views.flows.publishing import publish_draft
from pgflow_django.views.page import Page
from pgflow_django.views.runs.input_form import Form, make_form, read_form

#: Before the token of a page in the key of the run that it starts.
KEY_PREFIX = "admin-"


def start(page: Page) -> HttpResponse:
    """Ask for the input of a run, start it once, and lead to its page."""
    request, flow = page.request, page.flow
    if not is_published(flow):
        raise Http404(
            _("There is no flow %(slug)s to run: publish it first.") % {"slug": page.slug}
        )
    if request.method != "POST":
        return _render(page, make_form(page, flow.input_schema))
    form, is_read, value = read_form(request, _find_schema(page))
    if is_read and not flow.is_active:
        form.error = _name_switch()
    elif is_read:
        try:
            _publish(page)
            return _start(page, value, form.token)
        except PgflowError as error:
            form.error = str(error)
    return _render(page, form)


def _find_original(page: Page) -> WorkflowRun | None:
    """The run whose input the page began with, if its reader sees that: it is run again."""
    try:
        run_id = UUID(page.request.GET.get("from", ""))
    except ValueError:
        return None
    runs = list_runs(page.admin, page.request).filter(workflow_slug=page.flow.workflow_slug)
    run = runs.filter(pk=run_id).first()
    if run is not None and run.is_trial:
        return None
    may = run is not None and page.may("view_run", run) and page.may("view_payload", run)
    return run if may else None


def _find_schema(page: Page) -> dict[str, Any] | None:
    """What the input must be: as the draft says where that is to be published first."""
    if "publish" not in page.request.POST:
        return page.flow.input_schema
    if not page.may("publish", page.flow):
        raise PermissionDenied
    return drafts.load(page.slug).document.get("input_schema")


def _publish(page: Page) -> None:
    """Publish the draft that the page has told of, where that was asked for."""
    if "publish" in page.request.POST:
        version = read_version(page.request.POST["publish"])
        done = publish_draft(
            page, -1 if version is None else version
        )  # no draft has the version -1
        messages.success(page.request, done)


def _name_switch() -> str:
    """Why a flow that is switched off starts no runs, and what to do."""
    return _(
        "This flow is switched off: no new runs of it start. "
        "Actions in the list of flows switch it on."
    )


def _start(page: Page, value: Any, token: str) -> HttpResponse:
    """Start the run, or find the one that the same page has started, and lead to its page."""
    key, flow = KEY_PREFIX + token, page.flow
    original = _find_original(page)
    # Where runs are executed at once, its page says why it failed.
    with (
        engine.starting_as(name_user(page.request.user), "admin"),
        contextlib.suppress(RunFailed),
    ):
        if original is None:
            executor.start_flow(flow.workflow_slug, value, key=key)
        else:
            control.rerun(original.pk, input=value, key=key, by=name_actor(page))
    run = WorkflowRun.objects.defer("input", "output").get(
        workflow_slug=flow.workflow_slug, key=key
    )
    note_start(page, run, _("Started."))
    return lead_to(page, run)


def name_actor(page: Page) -> str:
    """Who acts here, as events keep it."""
    return f"admin:{name_user(page.request.user)}"


def lead_to(page: Page, run: WorkflowRun) -> HttpResponse:
    """To the page of a run that was started here, if its reader may see it."""
    is_known = list_runs(page.admin, page.request).filter(pk=run.pk).exists()
    if is_known and page.may("view_run", run):
        return HttpResponseRedirect(page.link("workflowrun_change", run.pk))
    return HttpResponseRedirect(page.link("workflow_changelist"))


def note_start(page: Page, run: WorkflowRun, message: str) -> None:
    """Note in the admin's log that the run was started here, once for each run."""
    runs = find_admin(page.admin, WorkflowRun)
    if runs is None:
        return
    user = page.request.user
    alias = router.db_for_write(WorkflowRun)
    with transaction.atomic(using=alias):
        lock_run(run.pk, alias)  # another click may be about to note it
        known = LogEntry.objects.filter(content_type=get_content_type_for_model(run))
        if not known.filter(user=user.pk, object_id=str(run.pk)).exists():
            runs.log_addition(page.request, run, message)


def _render(page: Page, form: Form) -> HttpResponse:
    flow, draft = page.flow, drafts.load(page.slug)
    has_error = bool(form.error or any(each.error for each in form.fields))
    context = page.context(
        _("Run %(flow)s") % {"flow": flow},
        flow=flow,
        original=flow,
        may_see_workers=page.may("view_workers"),
        form=form,
        draft=draft if draft.has_changes and not draft.is_read_only else None,
        may_publish=page.may("publish", flow),
        unserved=find_unserved(flow),
        command=worker_command(),
        switched_off="" if flow.is_active or form.error else _name_switch(),
        max_size=MAX_BYTES // 1024,
    )
    status = 422 if has_error else 200
    return render(page.request, "pgflow_django/runs/start.html", context, status=status)
