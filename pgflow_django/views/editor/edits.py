"""The page on which people draw flows: what it changes. Every change is one small POST."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from pgflow_django import drafts
from pgflow_django.exceptions import PgflowError, WorkflowNotFound
from pgflow_django.views.access import list_runs, require
from pgflow_django.views.editor.forms import FieldError, read_operation
from pgflow_django.views.editor.page import (
    describe,
    load_scene,
    make_scene,
    read_view,
    render_page,
)
from pgflow_django.views.editor.scene import show_fix
from pgflow_django.views.flows.facts import count_active
from pgflow_django.views.htmx import is_htmx
from pgflow_django.views.page import find_address

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from pgflow_django.drafts import Draft, Edited

#: What a replayed operation must not take from the request that was too late.
_OWN_FIELDS = {"csrfmiddlewaretoken", "version", "view", "selected"}


@require_POST
def op(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Apply one operation to the draft and return all parts of the page that it changes.

    Without htmx: back to the page. A refusal (422) or an editor who came later (409) changes
    nothing.
    """
    require(admin, request, "change", slug)
    try:
        version = _read_version(request)
        if request.POST.get("op") == "discard":
            drafts.discard(slug, version, user=request.user)
            return _answer_discarded(request, admin, slug)
        edited = _apply(request, slug, version)
    except drafts.DraftConflict as conflict:
        return _answer_conflict(request, admin, conflict)
    except (drafts.EditRefused, FieldError) as refusal:
        return _answer_refused(request, admin, slug, refusal)
    draft = edited.draft if edited else drafts.load(slug)
    step = _find_step(request, draft, edited)
    return _answer(request, admin, draft, step, edited.message if edited else "")


def _read_version(request: HttpRequest) -> int:
    text = request.POST.get("version", "")
    if not text.isdecimal() or len(text) > 9:
        raise FieldError("version", _("The page did not say which version it shows. Reload it."))
    return int(text)


def _apply(request: HttpRequest, slug: str, version: int) -> Edited | None:
    """Apply what a form asks for, nearly always one operation; ``None`` where nothing differs."""
    edited = None
    is_whole_form = request.POST.get("op", "").startswith("save_")
    document = drafts.load(slug).document if is_whole_form else {}
    for name, arguments in read_operation(request.POST, document):
        try:
            edited = drafts.edit(slug, version, name, arguments, user=request.user)
        except drafts.EditRefused as refusal:
            if refusal.code != "nothing_changed":
                raise
        else:
            version = edited.draft.version
    return edited


def _find_step(request: HttpRequest, draft: Draft, edited: Edited | None) -> str:
    """The step that the page goes on with: the new one, or the one that was selected."""
    post = request.POST
    slugs = {row.get("slug") for row in draft.document.get("steps", ())}
    touched = [slug for slug in (edited.touched if edited else ()) if slug in slugs]
    known = {post.get("source"), post.get("target"), *post.getlist("depends_on")}
    if post.get("op") in {"add_step", "insert_on_edge", "duplicate"}:
        new = [slug for slug in touched if slug not in known and slug != post.get("step")]
        return new[0] if new else ""
    renamed = post.get("slug") if post.get("op") == "save_step" else post.get("to")
    wishes = [renamed, post.get("next"), post.get("selected"), post.get("step")]
    if post.get("op") in {"undo", "redo", "restore"}:
        wishes += touched[:1]
    return next((slug for slug in wishes if slug and slug in slugs), "")


def _answer(
    request: HttpRequest,
    admin: ModelAdmin[Any],
    draft: Draft,
    step: str,
    message: str,
    *,
    toast: str = "",
    template: str = "_answer.html",
) -> HttpResponse:
    """Return the page's parts as they are now, or without htmx send the browser to the page."""
    view = read_view(request.POST)
    if not is_htmx(request):
        if toast or message:
            messages.success(request, toast or message)
        return _go_back(admin, draft.slug, view, step)
    scene = make_scene(request, admin, draft, require(admin, request, "view", draft.slug))
    context = {
        **describe(request, admin, scene, view=view, selected=step),
        "live": toast or message,
        "toast": toast,
    }
    response = render(request, f"pgflow_django/editor/{template}", context)
    event = {"pgflow:edited": {"step": step}}
    response["HX-Trigger-After-Swap"] = json.dumps(event)
    return response


def _go_back(admin: ModelAdmin[Any], slug: str, view: str, step: str) -> HttpResponse:
    address = find_address(admin, "workflow_edit", slug)
    query = {"view": view, **({"step": step} if step else {})}
    return HttpResponseRedirect(f"{address}?{urlencode(query)}")


def _answer_discarded(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Go on with the published definition, or with the list where there is none."""
    try:
        draft = drafts.load(slug)
    except WorkflowNotFound:
        address = find_address(admin, "workflow_changelist")
        if is_htmx(request):
            return HttpResponse(status=204, headers={"HX-Redirect": address})
        return HttpResponseRedirect(address)
    message = _("The changes since the last publishing are gone.")
    return _answer(request, admin, draft, "", message, toast=message)


def _answer_refused(
    request: HttpRequest, admin: ModelAdmin[Any], slug: str, refusal: Any
) -> HttpResponse:
    """Say why nothing was changed: beside the field, and in a message that offers a way out."""
    details = {
        "message": str(getattr(refusal, "message", "") or refusal),
        "field": getattr(refusal, "field", "") or "",
        "fix": show_fix(fix) if (fix := getattr(refusal, "fix", None)) else None,
    }
    return _answer_problem(request, admin, slug, 422, "_refused.html", {"refusal": details})


def _answer_conflict(
    request: HttpRequest, admin: ModelAdmin[Any], conflict: drafts.DraftConflict
) -> HttpResponse:
    """Say what others did since this page was drawn, and offer to do this once more on top."""
    is_publish = request.POST.get("op") == "publish"
    replayed = [
        (name, value)
        for name, values in request.POST.lists()
        if name not in _OWN_FIELDS and not (is_publish and name == "op")
        for value in values
    ]
    details = {
        "draft": conflict.draft,
        "messages": conflict.messages,
        "edited_by": conflict.edited_by,
        "replayed": replayed,
        "is_publish": is_publish,
        # On top of somebody else's edit, undo would take that back, not one's own.
        "may_replay": request.POST.get("op") not in {"undo", "redo"},
    }
    slug = conflict.draft.slug
    return _answer_problem(request, admin, slug, 409, "_conflict.html", {"conflict": details})


def _answer_problem(
    request: HttpRequest,
    admin: ModelAdmin[Any],
    slug: str,
    status: int,
    template: str,
    details: dict[str, Any],
) -> HttpResponse:
    scene = load_scene(request, admin, slug)
    selected = request.POST.get("step") or request.POST.get("selected", "")
    if not is_htmx(request):
        return render_page(request, admin, scene, selected=selected, status=status, **details)
    view = read_view(request.POST)
    context = {**describe(request, admin, scene, view=view, selected=selected), **details}
    response = render(request, f"pgflow_django/editor/{template}", context, status=status)
    response["HX-Reswap"] = "none"
    return response


@require_POST
def validate(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Return the problems of the draft as they are now: functions may have come or gone."""
    scene = load_scene(request, admin, slug)
    return _answer(request, admin, scene.draft, request.POST.get("selected", ""), "")


@require_POST
def publish(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Make the draft the version that new runs get; runs in flight keep theirs."""
    require(admin, request, "publish", slug)
    try:
        published = drafts.publish(slug, _read_version(request), user=request.user)
    except drafts.DraftConflict as conflict:
        return _answer_conflict(request, admin, conflict)
    except (PgflowError, FieldError) as refusal:
        return _answer_refused(request, admin, slug, refusal)
    draft = drafts.load(slug)
    toast = _("Published version %(version)s.") % {"version": draft.published_version}
    older = list_runs(admin, request).exclude(version=published.workflow.version)
    if runs := count_active(older, [slug]).get(slug):
        toast += " " + ngettext(
            "%(runs)s run goes on with the version that it started with.",
            "%(runs)s runs go on with the version that they started with.",
            runs,
        ) % {"runs": runs}
    admin.log_change(request, published.workflow, toast)
    step = request.POST.get("selected", "")
    return _answer(request, admin, draft, step, "", toast=toast, template="_published.html")


@require_POST
def presence(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Note that this reader has the page open, and say how many others have."""
    require(admin, request, "change", slug)
    key = request.session.session_key or ""
    drafts.touch_presence(slug, request.user, key)
    context = {"others": drafts.others_present(slug, key)}
    return render(request, "pgflow_django/editor/_presence.html", context)
