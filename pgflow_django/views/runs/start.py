"""The page that starts a run: its input as a form or as JSON, and who would work it off."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django import drafts, executor
from pgflow_django.definitions.samples import make_sample
from pgflow_django.exceptions import PgflowError, RunFailed
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.serving import find_unserved
from pgflow_django.storage.trouble import worker_command
from pgflow_django.views.access import find_admin, is_published, list_runs, lock_run
from pgflow_django.views.editor.forms import read_version
from pgflow_django.views.fields import MAX_BYTES, Field, read_json
from pgflow_django.views.flows.publishing import publish_draft
from pgflow_django.views.page import Page
from pgflow_django.views.payloads import SHOWN, drop_hidden
from pgflow_django.views.schema_fields import find_faults, make_fields, read_fields
from pgflow_django.views.stored import load

if TYPE_CHECKING:
    pass

#: Before the token of a page in the key of the run that it starts.
KEY_PREFIX = "admin-"
_TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class Form:
    """What the page asks, and what was answered."""

    fields: list[Field]
    is_json: bool
    text: str = ""
    error: str = ""
    token: str = ""

    @property
    def has_both(self) -> bool:
        """Whether the input can be given in either way."""
        return bool(self.fields)


def start(page: Page) -> HttpResponse:
    """Ask for the input of a run, start it once, and lead to its page."""
    request, flow = page.request, page.flow
    if not is_published(flow):
        raise Http404(
            _("There is no flow %(slug)s to run: publish it first.") % {"slug": page.slug}
        )
    if request.method != "POST":
        schema = flow.input_schema
        value = _find_value(page)
        fields = make_fields(schema, value)
        is_json = not fields or request.GET.get("mode") == "json"
        shown = value if value is not None else make_sample(schema)
        text = json.dumps(shown, ensure_ascii=False, indent=2)
        form = Form(fields, is_json, text, token=uuid4().hex)
        return _render(page, form)
    schema = _find_schema(page)
    form = Form(make_fields(schema), request.POST.get("mode") == "json")
    is_read, value = _read(request, form)
    if is_read and form.is_json:
        form.error = "\n".join(find_faults(schema, value))
    if is_read and not flow.is_active:
        form.error = _name_switch()
    elif is_read and not form.error:
        try:
            _publish(page)
            return _start(page, value, form.token)
        except PgflowError as error:
            form.error = str(error)
    return _render(page, form)


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


def _read(request: HttpRequest, form: Form) -> tuple[bool, Any]:
    """The input that was sent, if it is one; what is wrong with it is in the form then."""
    token = request.POST.get("token", "")
    form.token = token if _TOKEN.fullmatch(token) else uuid4().hex
    form.text = request.POST.get("input", "")
    if not form.fields:
        form.is_json = True
    size = sum(
        len(text.encode("utf-8", "replace"))
        for name in request.POST
        for text in request.POST.getlist(name)
    )
    if size > MAX_BYTES + 10_000:
        form.error = _("This is larger than %(size)s KiB.") % {"size": MAX_BYTES // 1024}
        form.text = ""
        return False, None
    if form.is_json:
        try:
            return True, read_json(form.text.strip() or "{}")
        except ValueError as error:
            form.error = str(error)
            return False, None
    value = read_fields(form.fields, request.POST)
    return value is not None, value


def _start(page: Page, value: Any, token: str) -> HttpResponse:
    """Start the run, or find the one that the same page has started, and lead to its page."""
    key, flow = KEY_PREFIX + token, page.flow
    with contextlib.suppress(RunFailed):  # where runs are executed at once: its page says why
        executor.start_flow(flow.workflow_slug, value, key=key)
    run = WorkflowRun.objects.defer("input", "output").get(
        workflow_slug=flow.workflow_slug, key=key
    )
    _note_start(page, run)
    is_known = list_runs(page.admin, page.request).filter(pk=run.pk).exists()
    if is_known and page.may("view_run", run):
        return HttpResponseRedirect(page.link("workflowrun_change", run.pk))
    return HttpResponseRedirect(page.link("workflow_changelist"))


def _note_start(page: Page, run: WorkflowRun) -> None:
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
            runs.log_addition(page.request, run, _("Started."))


def _find_value(page: Page) -> Any:
    """The input to begin with: of the run that was asked for, of the last one, or ``None``."""
    request, flow = page.request, page.flow
    wish = request.GET.get("from", "")
    runs = find_admin(page.admin, WorkflowRun)
    if wish == "sample" or runs is None or not page.may("view_payload"):
        return None
    past = list_runs(page.admin, request).filter(workflow_slug=flow.workflow_slug).order_by("-id")
    try:
        run = past.filter(pk=UUID(wish)).first() if wish else past.first()
    except ValueError:
        return None
    if run is None or not page.may("view_payload", run):
        return None
    stored = load(past.filter(pk=run.pk), "pk", "input").get(run.pk)
    if stored is None or not stored.is_whole:
        return None
    value = drop_hidden(runs.redact_payload(request, run, stored.read()))  # type: ignore[attr-defined]
    return value if len(json.dumps(value)) <= SHOWN else None


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
