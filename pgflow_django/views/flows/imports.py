"""Importing a flow: the text is read, what it would change is drawn, and then confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from pgflow_django import drafts
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import Workflow
from pgflow_django.views.access import can, find_flow, require
from pgflow_django.views.flows.changes import draw_changes, list_changes
from pgflow_django.views.page import describe_page, find_address

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

#: Bytes of a document that the page takes.
MAX_BYTES = 1024 * 1024
#: Characters of HTML that a document has on the page which says what is wrong with it.
_MAX_SHOWN = 128 * 1024
#: Seconds for which a preview can be confirmed.
_CONFIRM_WITHIN = 3600
_SALT = "pgflow_django.import"


@require_http_methods(["GET", "HEAD", "POST"])
def import_flow(
    request: HttpRequest, admin: ModelAdmin[Any], slug: str | None = None
) -> HttpResponse:
    """Take a document, show what it would change, and apply it when that is confirmed."""
    _require(request, admin, slug)
    if request.method != "POST":
        return _render(request, admin, slug)
    if "confirm" in request.POST:
        return _apply(request, admin, slug)
    text, error = _read_text(request)
    if error:
        return _render(request, admin, slug, error=error, status=422)
    preview = drafts.preview_import(text, slug=slug)
    if not preview.is_new and find_flow(admin, request, preview.slug) is None:
        return _render(request, admin, slug, text=text, error=_name_is_taken(preview), status=422)
    return _show(request, admin, slug, text, preview)


def _require(request: HttpRequest, admin: ModelAdmin[Any], slug: str | None) -> None:
    """Raise unless the user may change the flow, or add one of a new name."""
    if slug is not None and not _is_new(slug):
        require(admin, request, "change", slug)
        return
    if not can(admin, request, "view"):
        raise Http404
    if not can(admin, request, "add"):
        raise PermissionDenied


def _is_new(slug: str) -> bool:
    try:
        drafts.load(slug)
    except PgflowError:
        return True
    return False


def _read_text(request: HttpRequest) -> tuple[str, str]:
    """The document's text, from the file if there is one; and what is wrong with it."""
    file = request.FILES.get("file")
    if file is not None and (file.size or 0) > MAX_BYTES:
        return "", _("The file is larger than %(size)s KiB.") % {"size": MAX_BYTES // 1024}
    if file is None:
        return request.POST.get("text", ""), ""
    try:
        return file.read().decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return "", _("The file is no text in UTF-8.")


def _show(
    request: HttpRequest,
    admin: ModelAdmin[Any],
    slug: str | None,
    text: str,
    preview: drafts.ImportPreview,
) -> HttpResponse:
    """Show what the import would do, with a token that stands for just that."""
    document = preview.document
    may_apply, drawing, token = preview.can_apply, "", ""
    if document is not None:
        drawing = draw_changes(preview.before, document, preview.slug)
        may_apply = may_apply and _may_apply(request, admin, preview)
    if may_apply:
        value = {"slug": preview.slug, "document": document, "version": preview.version}
        token = signing.dumps({**value, "user": request.user.pk}, salt=_SALT, compress=True)
    more = {
        "text": text,
        "preview": preview,
        "drawing": drawing,
        "changes": list_changes(preview.changes),
        "token": token,
    }
    return _render(request, admin, slug, **more, status=200 if document is not None else 422)


def _may_apply(request: HttpRequest, admin: ModelAdmin[Any], preview: drafts.ImportPreview) -> bool:
    if preview.is_new:
        return can(admin, request, "add")
    return can(admin, request, "change", find_flow(admin, request, preview.slug))


def _name_is_taken(preview: drafts.ImportPreview) -> str:
    """Say so of a flow that the user may not see, and nothing more of it."""
    return _("The name %(slug)s is taken. Choose another workflow_slug.") % {"slug": preview.slug}


def _apply(request: HttpRequest, admin: ModelAdmin[Any], slug: str | None) -> HttpResponse:
    try:
        value = signing.loads(request.POST["confirm"], salt=_SALT, max_age=_CONFIRM_WITHIN)
    except signing.BadSignature:
        error = _("This preview is too old, or not ours. Import the document once more.")
        return _render(request, admin, slug, error=error, status=422)
    if value["user"] != request.user.pk:
        raise PermissionDenied
    _require(request, admin, value["slug"])
    try:
        drafts.apply_import(
            value["slug"], value["document"], version=value["version"], user=request.user
        )
    except drafts.DraftConflict:
        error = _("The flow was changed since the preview. Import the document once more.")
        return _render(request, admin, slug, error=error, status=409)
    except PgflowError as error:
        return _render(request, admin, slug, error=str(error), status=422)
    log_draft(request, admin, value["slug"], _("Imported a document into the draft."))
    return HttpResponseRedirect(find_address(admin, "workflow_edit", value["slug"]))


def log_draft(request: HttpRequest, admin: ModelAdmin[Any], slug: str, message: str) -> None:
    """Note in the admin's log what was done to a flow, published or not."""
    flow = Workflow.objects.filter(pk=slug).first() or Workflow(workflow_slug=slug)
    admin.log_change(request, flow, message)


def _render(
    request: HttpRequest,
    admin: ModelAdmin[Any],
    slug: str | None,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    title = _("Import into %(flow)s") % {"flow": slug} if slug else _("Import a flow")
    # A page has room for it or not as it is written there, quotes as entities.
    is_long = len(escape(more.get("text", ""))) > _MAX_SHOWN
    if is_long:
        more["text"] = ""
    more |= {"slug": slug, "max_size": MAX_BYTES // 1024, "is_long": is_long}
    context = describe_page(request, admin, title, **more)
    return render(request, "pgflow_django/flows/import.html", context, status=status)
