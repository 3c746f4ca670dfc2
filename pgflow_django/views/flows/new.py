"""Beginning a flow, and the addresses under which Django takes one to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import quote
from django.http import (
    Http404,
    HttpResponse,
    HttpResponseRedirect,
)
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.exceptions import PgflowError
from pgflow_django.registry import registry
from pgflow_django.views.access import is_published, require
from pgflow_django.views.page import Page

if TYPE_CHECKING:
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


def new(page: Page) -> HttpResponse:
    """Ask for a name, and begin a draft of that name: empty, the guide's example, or a copy."""
    request = page.request
    source = _find_source(page)
    is_example = request.POST.get("begin", request.GET.get("begin")) == "example"
    document = source.document if source else EXAMPLE if is_example else None
    error = ""
    if request.method == "POST":
        name = request.POST.get("name", "").strip()
        try:
            draft = drafts.create(name, document, user=request.user)
        except PgflowError as refusal:
            error = str(refusal)
        else:
            return HttpResponseRedirect(page.link("workflow_edit", draft.slug))
    else:
        name = drafts.name_copy(source.slug) if source else EXAMPLE_SLUG if is_example else ""
    missing = [step["slug"] for step in EXAMPLE["steps"] if step["slug"] not in registry]
    context = page.context(
        _("Duplicate %(flow)s") % {"flow": source.slug} if source else _("New flow"),
        name=name,
        error=error,
        source=source,
        is_example=is_example,
        missing=missing if is_example else [],
    )
    return render(request, "pgflow_django/flows/new.html", context, status=422 if error else 200)


def _find_source(page: Page) -> Draft | None:
    """The flow that is to be copied, as its editor shows it, if the request names one."""
    request = page.request
    slug = request.POST.get("from", request.GET.get("from", ""))
    if not slug:
        return None
    require(page.admin, request, "view", slug)
    return drafts.load(slug)


def change(page: Page) -> HttpResponse:
    """Lead from where Django's own pages take a flow to be, as in the log, to the editor."""
    return HttpResponseRedirect(page.link("workflow_edit", page.slug))


def delete(page: Page) -> HttpResponse:
    """Ask before a flow is deleted, on Django's page; a mere draft is discarded in the editor."""
    if not is_published(page.flow):
        raise Http404(_("There is no flow %(slug)s for you.") % {"slug": page.slug})
    return page.admin.delete_view(page.request, quote(page.slug))
