"""The form that asks for the input of a run, or of a trial: fields of a schema, or JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.utils.translation import gettext as _

from pgflow_django.definitions.samples import make_sample
from pgflow_django.models import WorkflowRun
from pgflow_django.views.access import find_admin, list_runs
from pgflow_django.views.fields import MAX_BYTES, Field, read_json
from pgflow_django.views.payloads import SHOWN, drop_hidden
from pgflow_django.views.schema_fields import find_faults, make_fields, read_fields
from pgflow_django.views.stored import load

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pgflow_django.views.page import Page

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


def make_form(page: Page, schema: Any) -> Form:
    """The form as it begins: with the input of the run that was asked for, or the last one's."""
    value = find_value(page)
    fields = make_fields(schema, value)
    is_json = not fields or page.request.GET.get("mode") == "json"
    shown = value if value is not None else make_sample(schema)
    return Form(fields, is_json, json.dumps(shown, ensure_ascii=False, indent=2), token=uuid4().hex)


def read_form(request: HttpRequest, schema: Any) -> tuple[Form, bool, Any]:
    """The form as it was sent, whether there is an input in it that fits the schema, and that."""
    form = Form(make_fields(schema), request.POST.get("mode") == "json")
    is_read, value = _read(request, form)
    if is_read and form.is_json:
        form.error = "\n".join(find_faults(schema, value))
    return form, is_read and not form.error, value


def read_token(request: HttpRequest) -> str:
    """What tells a page's second click from another page's; a new one where there is none."""
    token = request.POST.get("token", "")
    return token if _TOKEN.fullmatch(token) else uuid4().hex


def _read(request: HttpRequest, form: Form) -> tuple[bool, Any]:
    """The input that was sent, if it is one; what is wrong with it is in the form then."""
    form.token = read_token(request)
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


def find_value(page: Page) -> Any:
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
