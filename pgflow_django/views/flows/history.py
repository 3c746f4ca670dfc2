"""Who changed a flow, what and when; how the states differ; and the way back to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.exceptions import EditRefused
from pgflow_django.models import WorkflowRevision
from pgflow_django.views.flows.changes import draw_changes, list_changes
from pgflow_django.views.flows.versions import Versions, read_version, say_version
from pgflow_django.views.page import Page
from pgflow_django.views.pieces import show_time
from pgflow_django.views.programs import Program, read_program

if TYPE_CHECKING:
    from pgflow_django.drafts import Revision


def _describe(page: Page) -> dict[str, Any]:
    draft = drafts.load(page.slug)
    return {
        "draft": draft,
        "original": page.flow,
        "may_restore": page.may("change", page.flow) and not draft.is_read_only,
        "op_link": page.link("workflow_op", page.slug),
        "compare_link": page.link("workflow_compare", page.slug),
    }


def history(page: Page) -> HttpResponse:
    """List the revisions of the flow's draft, the newest first."""
    described = _describe(page)
    versions = Versions(described["draft"])
    context = page.context(
        _("History of %(flow)s") % {"flow": page.slug},
        **described,
        versions=versions.offer(*versions.choose(page.request.GET)),
        revisions=[
            (each, show_time(each.at), _find_program(each)) for each in drafts.history(page.slug)
        ],
    )
    return render(page.request, "pgflow_django/flows/history.html", context)


def _find_program(revision: Revision) -> Program | None:
    """The program that made a revision, if one did."""
    return read_program(revision.provenance) if revision.provenance else None


def diff(page: Page, seq: int) -> HttpResponse:
    """Show what one revision changed."""
    described = _describe(page)
    revision = next((each for each in drafts.history(page.slug) if each.seq == seq), None)
    if revision is None:
        raise Http404(_("This revision is not kept any more."))
    try:
        changes = drafts.compare(page.slug, seq)
    except EditRefused as error:
        raise Http404(str(error)) from error
    stored = WorkflowRevision.objects.filter(draft_id=page.slug)
    chosen = get_object_or_404(stored, seq=seq)
    parent = stored.filter(seq=chosen.parent).first() if chosen.parent is not None else None
    before = parent.document if parent else None
    is_first = parent is None
    context = page.context(
        revision.label,
        **described,
        revision=revision,
        program=_find_program(revision),
        is_first=is_first,
        changes=[] if is_first else list_changes(changes),
        drawing=draw_changes(chosen.document if is_first else before, chosen.document, page.slug),
    )
    return render(page.request, "pgflow_django/flows/diff.html", context)


def compare(page: Page) -> HttpResponse:
    """Show how two versions of the flow differ, or a version and the draft."""
    described = _describe(page)
    versions = Versions(described["draft"])
    before, after = versions.choose(page.request.GET)
    shown: dict[str, Any] = {"versions": versions.offer(before, after)}
    title = _("Compare versions")
    try:
        found = drafts.compare_versions(page.slug, read_version(before), read_version(after))
    except EditRefused as refusal:
        shown["error"] = str(refusal)
    else:
        title = _("%(flow)s from %(before)s to %(after)s") % {
            "flow": page.slug,
            "before": say_version(before),
            "after": say_version(after),
        }
        shown |= {
            "is_of_runs": found.is_of_runs,
            "changes": list_changes(found.changes),
            "drawing": draw_changes(found.before, found.after, page.slug),
        }
    context = page.context(title, **described, **shown)
    status = 404 if "error" in shown else 200
    return render(page.request, "pgflow_django/flows/compare.html", context, status=status)
