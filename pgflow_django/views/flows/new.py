"""Beginning a flow, and the addresses under which Django takes one to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
)
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from pgflow_django import drafts
from pgflow_django.exceptions import PgflowError
from pgflow_django.registry import registry
from pgflow_django.views.access import can, is_published, require
from pgflow_django.views.page import describe_page, find_address

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

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
