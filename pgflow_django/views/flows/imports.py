"""Importing a flow: the text is read, what it would change is drawn, and then confirmed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.html import escape
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.definitions.rules import show
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import Workflow
from pgflow_django.views.access import find_flow, require_import
from pgflow_django.views.flows.changes import draw_changes, list_changes
from pgflow_django.views.page import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes of a document that the page takes.
MAX_BYTES = 1024 * 1024
#: Characters of HTML that a document has on the page which says what is wrong with it.
_MAX_SHOWN = 128 * 1024
#: Seconds for which a preview can be confirmed.
_CONFIRM_WITHIN = 3600
_SALT = "pgflow_django.import"
_REPAIR_SALT = "pgflow_django.import.repair"


def import_new(page: Page) -> HttpResponse:
    """Take a document for a flow of whatever name it says; see ``import_flow``."""
    return _import(page, None)


def import_flow(page: Page) -> HttpResponse:
    """Take a document, show what it would change, and apply it when that is confirmed."""
    return _import(page, page.slug)


def _import(page: Page, slug: str | None) -> HttpResponse:
    request = page.request
    if request.method != "POST":
        return _render(page, slug)
    if "confirm" in request.POST:
        return _apply(page, slug)
    if "repair" in request.POST:
        return _repair(page, slug)
    if "back" in request.POST:
        return _render(page, slug, text=request.POST.get("text", ""))
    text, file_error = _read_text(request)
    if file_error:
        return _render(page, slug, text=text, file_error=file_error, status=422)
    return _preview(page, slug, text)


def _preview(page: Page, slug: str | None, text: str) -> HttpResponse:
    request = page.request
    preview = drafts.preview_import(text, slug=slug)
    if not preview.is_new and find_flow(page.admin, request, preview.slug) is None:
        return _render(page, slug, text=text, error=_name_is_taken(preview), status=422)
    return _show(page, slug, text, preview)


def _read_text(request: HttpRequest) -> tuple[str, str]:
    """The document's text, from the file if there is one; and what is wrong with the file."""
    typed, file = request.POST.get("text", ""), request.FILES.get("file")
    if file is None:
        return typed, ""
    if (file.size or 0) > MAX_BYTES:
        return typed, _("The file is larger than %(size)s KiB.") % {"size": MAX_BYTES // 1024}
    try:
        return file.read().decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return typed, _("The file is not UTF-8 text.")


def _show(page: Page, slug: str | None, text: str, preview: drafts.ImportPreview) -> HttpResponse:
    """Show what the import would do, with a token that stands for just that."""
    document = preview.document
    may_apply, drawing, token = preview.can_apply, "", ""
    if document is not None:
        drawing = draw_changes(preview.before, document, preview.slug)
        may_apply = may_apply and _may_apply(page, preview)
    if may_apply:
        value = {"slug": preview.slug, "document": document, "version": preview.version}
        value["user"] = str(page.request.user.pk)
        token = signing.dumps(value, salt=_SALT, compress=True)
    repair = ""
    if preview.offer:
        value = {"text": preview.offer.text, "user": str(page.request.user.pk)}
        repair = signing.dumps(value, salt=_REPAIR_SALT, compress=True)
    more = {
        "repair": repair,
        "mended": [
            say_change(operation)
            for problem in (preview.offer.applied if preview.offer else ())
            for operation in problem.fix or ()
        ],
        "text": text,
        "preview": preview,
        "drawing": drawing,
        "changes": list_changes(preview.changes),
        "token": token,
    }
    return _render(page, slug, **more, status=200 if document is not None else 422)


def _may_apply(page: Page, preview: drafts.ImportPreview) -> bool:
    if preview.is_new:
        return page.may("add")
    return page.may("change", find_flow(page.admin, page.request, preview.slug))


def _name_is_taken(preview: drafts.ImportPreview) -> str:
    """Say so of a flow that the user may not see, and nothing more of it."""
    return _("The name %(slug)s is taken. Choose another workflow_slug.") % {"slug": preview.slug}


def _repair(page: Page, slug: str | None) -> HttpResponse:
    """Go on with the repaired document, as if it had been given."""
    try:
        value = signing.loads(
            page.request.POST["repair"], salt=_REPAIR_SALT, max_age=_CONFIRM_WITHIN
        )
    except signing.BadSignature:
        error = _("This repair is too old, or not ours. Import the document once more.")
        return _render(page, slug, error=error, status=422)
    if value["user"] != str(page.request.user.pk):
        raise PermissionDenied
    return _preview(page, slug, value["text"])


def say_change(operation: Mapping[str, Any]) -> str:
    """What one operation of a JSON Patch does, as a sentence."""
    names = {
        "place": operation["path"].removesuffix("/-"),
        "source": operation.get("from"),
        "value": show(operation.get("value")),
    }
    match operation["op"]:
        case "move":
            return _("%(source)s becomes %(place)s.") % names
        case "remove":
            return _("%(place)s is taken out.") % names
        case "add":
            return _("%(place)s gets %(value)s.") % names
    return _("%(place)s becomes %(value)s.") % names


def _apply(page: Page, slug: str | None) -> HttpResponse:
    request = page.request
    try:
        value = signing.loads(request.POST["confirm"], salt=_SALT, max_age=_CONFIRM_WITHIN)
    except signing.BadSignature:
        error = _("This preview is too old, or not ours. Import the document once more.")
        return _render(page, slug, error=error, status=422)
    text = json.dumps(value["document"], ensure_ascii=False, indent=2)  # to do it once more
    if value["user"] != str(request.user.pk):
        raise PermissionDenied
    require_import(page.admin, request, value["slug"])
    try:
        drafts.apply_import(
            value["slug"], value["document"], version=value["version"], user=request.user
        )
    except drafts.DraftConflict:
        error = _("The flow was changed since the preview. Import the document once more.")
        return _render(page, slug, text=text, error=error, status=409)
    except PgflowError as error:
        return _render(page, slug, text=text, error=str(error), status=422)
    log_draft(page, value["slug"], _("Imported a document into the draft."))
    return HttpResponseRedirect(page.link("workflow_edit", value["slug"]))


def log_draft(page: Page, slug: str, message: str) -> None:
    """Note in the admin's log what was done to a flow, published or not."""
    flow = Workflow.objects.filter(pk=slug).first() or Workflow(workflow_slug=slug)
    page.admin.log_change(page.request, flow, message)


def _render(page: Page, slug: str | None, *, status: int = 200, **more: Any) -> HttpResponse:
    title = _("Import into %(flow)s") % {"flow": slug} if slug else _("Import a flow")
    # A page has room for it or not as it is written there, quotes as entities.
    is_long = len(escape(more.get("text", ""))) > _MAX_SHOWN
    if is_long:
        more["text"] = ""
    more |= {"slug": slug, "max_size": MAX_BYTES // 1024, "is_long": is_long}
    context = page.context(title, **more)
    return render(page.request, "pgflow_django/flows/import.html", context, status=status)
