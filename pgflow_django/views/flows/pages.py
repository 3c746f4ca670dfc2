"""Pages around a flow: beginning a new one, and taking it out as JSON, Python or SVG."""

from __future__ import annotations

import io
import json
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
)
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from pgflow_django import drafts
from pgflow_django.drawing import render_svg
from pgflow_django.drawing.canvas import find_layout
from pgflow_django.drawing.graph import Node
from pgflow_django.exceptions import PgflowError
from pgflow_django.registry import registry
from pgflow_django.views.access import can, is_published, require
from pgflow_django.views.frame import frame_options

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from pgflow_django.drafts import Draft

#: The guide's flow of three steps, one of them once per item.
EXAMPLE_SLUG = "example"
EXAMPLE: dict[str, Any] = {
    "workflow_slug": EXAMPLE_SLUG,
    "description": "Get numbers, double each of them, and add them up.",
    "steps": [
        {"slug": "fetch"},
        {"slug": "double", "depends_on": ["fetch"], "type": "map"},
        {"slug": "report", "depends_on": ["double"]},
    ],
}


def describe_page(
    request: HttpRequest, admin: ModelAdmin[Any], title: str, **more: Any
) -> dict[str, Any]:
    """The variables that every page of ours has, whatever it shows."""
    return {
        **admin.admin_site.each_context(request),
        "title": title,
        "opts": admin.opts,
        **frame_options(),
        **more,
    }


def find_address(admin: ModelAdmin[Any], name: str, *args: Any) -> str:
    """The address of a page by the end of its name: ``workflow_edit``, ``workflowrun_change``."""
    return reverse(f"admin:pgflow_django_{name}", args=args, current_app=admin.admin_site.name)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, admin: ModelAdmin[Any]) -> HttpResponse:
    """Ask for a name, and begin a draft of that name: empty, or the guide's example."""
    if not can(admin, request, "view"):
        raise Http404
    if not can(admin, request, "add"):
        raise PermissionDenied
    is_example = request.POST.get("begin", request.GET.get("begin")) == "example"
    name = request.POST.get("name", EXAMPLE_SLUG if is_example else "").strip()
    error = ""
    if request.method == "POST":
        document = {**EXAMPLE, "workflow_slug": name} if is_example else None
        try:
            draft = drafts.create(name, document, user=request.user)
        except PgflowError as refusal:
            error = str(refusal)
        else:
            return HttpResponseRedirect(find_address(admin, "workflow_edit", draft.slug))
    missing = [step["slug"] for step in EXAMPLE["steps"] if step["slug"] not in registry]
    context = describe_page(
        request,
        admin,
        _("New flow"),
        name=name,
        error=error,
        is_example=is_example,
        missing=missing if is_example else [],
    )
    return render(request, "pgflow_django/flows/new.html", context, status=422 if error else 200)


@require_safe
def change(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Lead from where Django's own pages take a flow to be, as in the log, to the editor."""
    flow = require(admin, request, "view", unquote(slug))
    return HttpResponseRedirect(find_address(admin, "workflow_edit", flow.workflow_slug))


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Ask before a flow is deleted, on Django's page; a mere draft is discarded in the editor."""
    flow = require(admin, request, "delete", unquote(slug))
    if not is_published(flow):
        raise Http404(_("There is no flow %(slug)s for you.") % {"slug": flow.workflow_slug})
    return admin.delete_view(request, quote(flow.workflow_slug))


def load_draft(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> Draft:
    """The draft, or what is published, of a flow that the user may see; else ``Http404``."""
    require(admin, request, "view", slug)
    return drafts.load(slug)


@require_safe
def export_json(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Give the flow as the document that the import and ``importflow`` take."""
    document = load_draft(request, admin, slug).document
    return give_file(_write(document), f"{slug}.json", "application/json")


@require_safe
def export_py(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Give the flow as Python that makes it."""
    document = load_draft(request, admin, slug).document
    try:
        text = drafts.export_python(document)
    except PgflowError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(find_address(admin, "workflow_edit", slug))
    return give_file(text, f"{slug}.py", "text/x-python")


@require_safe
def diagram(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Give the flow's drawing as an SVG file."""
    document = load_draft(request, admin, slug).document
    text = render_svg(
        find_layout(list_nodes(document)), slug, description=document.get("description") or ""
    )
    tag = f'"{sha256(text.encode()).hexdigest()[:32]}"'
    response: HttpResponse
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        response = give_file(text, f"{slug}.svg", "image/svg+xml")
        # Opened by itself it is a page: nothing in it may run, whatever a site's policy says.
        response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    response["ETag"] = tag
    response["Cache-Control"] = "private, no-cache"
    return response


def list_nodes(document: dict[str, Any]) -> tuple[Node, ...]:
    """The steps of a document as a drawing takes them."""
    rows = document.get("steps") or ()
    known = {row["slug"] for row in rows}
    return tuple(
        Node(
            row["slug"],
            tuple(slug for slug in row.get("depends_on") or () if slug in known),
            kind="map" if row.get("type") == "map" else "single",
            subtitle=row.get("uses") or "",
        )
        for row in rows
    )


def give_documents(slugs: list[str]) -> HttpResponse:
    """Give the documents of flows: of one as JSON, of several as an archive of JSON files."""
    texts = {f"{slug}.json": _write(drafts.load(slug).document) for slug in slugs}
    if len(texts) == 1:
        [(name, text)] = texts.items()
        return give_file(text, name, "application/json")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return give_file(packed.getvalue(), "flows.zip", "application/zip")


def give_file(content: str | bytes, name: str, content_type: str) -> HttpResponse:
    """Return a file that browsers store and never show as a page of the site."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _write(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
