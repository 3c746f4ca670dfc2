"""Who changed a flow, what and when; how the states differ; and the way back to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from pgflow_django import drafts
from pgflow_django.exceptions import EditRefused
from pgflow_django.models import WorkflowRevision
from pgflow_django.views.access import can, require
from pgflow_django.views.flows.changes import draw_changes, list_changes
from pgflow_django.views.flows.export import load_draft
from pgflow_django.views.page import describe_page, find_address
from pgflow_django.views.pieces import show_time

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin


def _describe(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> dict[str, Any]:
    draft = load_draft(request, admin, slug)
    workflow = require(admin, request, "view", slug)
    may_restore = can(admin, request, "change", workflow) and not draft.is_read_only
    return {
        "draft": draft,
        "original": workflow,
        "may_restore": may_restore,
        "op_link": find_address(admin, "workflow_op", slug),
    }


@require_safe
def history(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """List the revisions of the flow's draft, the newest first."""
    context = describe_page(
        request,
        admin,
        _("History of %(flow)s") % {"flow": slug},
        **_describe(request, admin, slug),
        revisions=[(each, show_time(each.at)) for each in drafts.history(slug)],
    )
    return render(request, "pgflow_django/flows/history.html", context)


@require_safe
def diff(request: HttpRequest, admin: ModelAdmin[Any], slug: str, seq: int) -> HttpResponse:
    """Show what one revision changed."""
    described = _describe(request, admin, slug)
    revision = next((each for each in drafts.history(slug) if each.seq == seq), None)
    if revision is None:
        raise Http404(_("This revision is not kept any more."))
    try:
        changes = drafts.compare(slug, seq)
    except EditRefused as error:
        raise Http404(str(error)) from error
    stored = WorkflowRevision.objects.filter(draft_id=slug)
    chosen = get_object_or_404(stored, seq=seq)
    parent = stored.filter(seq=chosen.parent).first() if chosen.parent is not None else None
    before = parent.document if parent else None
    is_first = parent is None
    context = describe_page(
        request,
        admin,
        revision.label,
        **described,
        revision=revision,
        is_first=is_first,
        changes=[] if is_first else list_changes(changes),
        drawing=draw_changes(chosen.document if is_first else before, chosen.document, slug),
    )
    return render(request, "pgflow_django/flows/diff.html", context)
