"""The page on which people draw flows: what it changes. Every change is one small POST."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS
from pgflow_django.drafts.problems import field_of
from pgflow_django.exceptions import PgflowError, WorkflowNotFound
from pgflow_django.models import WorkflowDraft
from pgflow_django.views.editor.adding import ADDED
from pgflow_django.views.editor.checking import find_broken
from pgflow_django.views.editor.forms import (
    Asked,
    FormRefused,
    Typed,
    read_names,
    read_operation,
    read_version,
    tell,
)
from pgflow_django.views.editor.merging import INPUT, NEW_NAME, NEW_SOURCE, PATH, field_at
from pgflow_django.views.editor.page import (
    describe,
    make_scene,
    read_view,
    render_page,
)
from pgflow_django.views.editor.params import PARAM
from pgflow_django.views.editor.scene import show_fix
from pgflow_django.views.fields import id_of
from pgflow_django.views.flows.publishing import publish_draft
from pgflow_django.views.htmx import is_htmx
from pgflow_django.views.page import Page

if TYPE_CHECKING:
    from pgflow_django.drafts import Draft, Edited

#: What a replayed operation must not take from the request that was too late.
_OWN_FIELDS = {"csrfmiddlewaretoken", "version", "view", "selected"}

#: The fields of the panel.
_FIELDS = {"slug", "depends_on", NEW_NAME, NEW_SOURCE, *STEP_KEYS, *FLOW_KEYS}


def op(page: Page) -> HttpResponse:
    """Apply one operation to the draft and return all parts of the page that it changes.

    Without htmx: back to the page. A refusal (422) or an editor who came later (409) changes
    nothing.
    """
    request, slug = page.request, page.slug
    try:
        version = _read_version(request)
        if request.POST.get("op") == "discard":
            drafts.discard(slug, version, user=request.user)
            return _answer_discarded(page)
        edited = _apply(request, slug, version)
    except drafts.DraftConflict as conflict:
        return _answer_conflict(page, conflict)
    except (drafts.EditRefused, FormRefused) as refusal:
        return _answer_refused(page, refusal)
    draft = edited.draft if edited else drafts.load(slug)
    steps = _find_steps(request, draft, edited)
    return _answer(page, draft, steps, edited.message if edited else "")


def _read_version(request: HttpRequest) -> int:
    version = read_version(request.POST.get("version", ""))
    if version is None:
        told = _("The page did not say which version it shows. Reload it.")
        raise FormRefused({"version": told})
    return version


def _apply(request: HttpRequest, slug: str, version: int) -> Edited | None:
    """Do what a form asks for, all of it or nothing; ``None`` where nothing differs."""
    needs_document = request.POST.get("op", "").startswith(("save_", "paste"))
    document = drafts.load(slug).document if needs_document else {}
    asked = read_operation(request.POST, document)
    if asked.errors:
        raise FormRefused({**asked.errors, **_find_other_errors(request, slug, version, asked)})
    if not asked.is_change:
        return None
    if broken := find_broken(request.POST, document, asked):
        raise FormRefused(broken)
    try:
        return drafts.edit(slug, version, asked.op, asked.arguments, user=request.user)
    except drafts.EditRefused as refusal:
        if refusal.code != "nothing_changed":
            raise
    return None


def _find_other_errors(
    request: HttpRequest, slug: str, version: int, asked: Asked
) -> dict[str, str]:
    """What is wrong with the fields that can be read, where others can't; nothing is stored."""
    if not asked.is_change:
        return {}
    alias = router.db_for_write(WorkflowDraft)
    with transaction.atomic(using=alias):
        try:
            drafts.edit(slug, version, asked.op, asked.arguments, user=request.user)
        except drafts.EditRefused as refusal:
            return _errors_of(refusal, request.POST, drafts.load(slug).document)
        finally:
            transaction.set_rollback(True, using=alias)
    return {}


def _errors_of(refusal: Exception, post: QueryDict, document: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong by field, as far as fields are to blame."""
    if isinstance(refusal, FormRefused):
        return dict(refusal.errors)
    if isinstance(refusal, drafts.EditRefused) and not refusal.problems:
        return {refusal.field: str(refusal)} if refusal.field else {}
    slugs = [row.get("slug") for row in document.get("steps", ())]
    step = slugs.index(post["step"]) if post.get("step") in slugs else -1
    errors: dict[str, str] = {}
    for problem in getattr(refusal, "problems", ()):  # the first one of a field counts
        if field := field_at(problem.pointer, step, post) or field_of(problem):
            errors.setdefault(field, problem.message)
    return errors


def _find_steps(request: HttpRequest, draft: Draft, edited: Edited | None) -> list[str]:
    """The steps that the page goes on with: new ones, or those that were selected."""
    post, op = request.POST, request.POST.get("op")
    slugs = {row.get("slug") for row in draft.document.get("steps", ())}
    touched = [slug for slug in (edited.touched if edited else ()) if slug in slugs]
    if op in {"duplicate", "paste"}:
        return touched
    if op in {"add_step", "insert_on_edge"}:
        return touched[:1]
    renamed = "slug" if op == "save_step" else "to"
    wishes = [read_names(post, name) for name in (renamed, "next", "selected", "step")]
    if op in {"undo", "redo", "restore"}:
        wishes.append(touched[:1])
    found = ([slug for slug in names if slug in slugs] for names in wishes)
    return next(filter(None, found), [])


def _answer(
    page: Page,
    draft: Draft,
    steps: list[str],
    message: str,
    *,
    toast: str = "",
    template: str = "_answer.html",
) -> HttpResponse:
    """Return the page's parts as they are now, or without htmx send the browser to the page."""
    request = page.request
    view = read_view(request.POST)
    if not is_htmx(request):
        if toast or message:
            messages.success(request, toast or message)
        return _go_back(page, view, steps)
    context = {
        **describe(page, make_scene(page, draft), view=view, selected=steps),
        "live": toast or message,
        "toast": toast,
    }
    response = render(request, f"pgflow_django/editor/{template}", context)
    event = {"pgflow:edited": {"steps": steps}}
    response["HX-Trigger-After-Swap"] = json.dumps(event)
    return response


def _go_back(page: Page, view: str, steps: list[str]) -> HttpResponse:
    address = page.link("workflow_edit", page.slug)
    query = {"view": view, **({"step": " ".join(steps)} if steps else {})}
    return HttpResponseRedirect(f"{address}?{urlencode(query)}")


def _answer_discarded(page: Page) -> HttpResponse:
    """Go on with the published definition, or with the list where there is none."""
    try:
        draft = drafts.load(page.slug)
    except WorkflowNotFound:
        address = page.link("workflow_changelist")
        if is_htmx(page.request):
            return HttpResponse(status=204, headers={"HX-Redirect": address})
        return HttpResponseRedirect(address)
    message = _("The changes since the last publishing are gone.")
    return _answer(page, draft, [], message, toast=message)


def _answer_refused(page: Page, refusal: Exception) -> HttpResponse:
    """Say why nothing was changed: beside the fields, and in a message that offers a way out."""
    post = page.request.POST
    errors = _errors_of(refusal, post, drafts.load(page.slug).document)
    message = tell(errors) if len(errors) > 1 else str(refusal)
    fix = getattr(refusal, "fix", None)
    placed = {"text": message} if post.get("op") == "paste" else _place(post, errors)
    details = {
        "message": message,
        "errors": placed,
        # A form's only error stands beside its field; a key that is pressed may have no form.
        "is_told": not fix and len(placed) == len(errors) == 1 and post["op"].startswith("save_"),
        "fix": show_fix(fix) if fix else None,
    }
    return _answer_problem(page, 422, "_refused.html", {"refusal": details}, Typed(post, errors))


def _place(post: QueryDict, errors: dict[str, str]) -> dict[str, str]:
    """The errors of fields by the ends of their ids, as far as the page that asked has them."""
    op = post.get("op", "")
    if op.startswith("save_") or op == "update_step":
        return {id_of(name): error for name, error in errors.items() if _has_field(post, name)}
    if op == "add_step" and read_view(post) == "list":
        return {f"add-{name}": error for name, error in errors.items() if name in ADDED}
    return {}


def _has_field(post: QueryDict, name: str) -> bool:
    """Whether a form has a field of this name, or the row that it belongs to."""
    if name.startswith(INPUT):
        has_row = post.get("op") == "save_inputs"  # one of its buttons was pressed
        return has_row or name in post or f"{PATH}{name.removeprefix(INPUT)}" in post
    return name in post and (name in _FIELDS or name.startswith(PARAM))


def _answer_conflict(page: Page, conflict: drafts.DraftConflict) -> HttpResponse:
    """Say what others did since this page was drawn, and offer to do this once more on top."""
    request = page.request
    is_publish = request.POST.get("op") == "publish"
    slugs = {row["slug"] for row in conflict.draft.document["steps"]}
    named = [
        slug for name in ("step", "source", "target") for slug in read_names(request.POST, name)
    ]
    gone = ", ".join(slug for slug in named if slug not in slugs)
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
        "is_own": conflict.edited_by == request.user.get_username(),
        "replayed": replayed,
        "is_publish": is_publish,
        "gone": gone,
        # On top of somebody else's edit, undo would take that back, not one's own.
        "may_replay": not gone and request.POST.get("op") not in {"undo", "redo"},
    }
    return _answer_problem(page, 409, "_conflict.html", {"conflict": details})


def _answer_problem(
    page: Page, status: int, template: str, details: dict[str, Any], typed: Typed | None = None
) -> HttpResponse:
    request, scene = page.request, make_scene(page)
    selected = read_names(request.POST, "step") or read_names(request.POST, "selected")
    details["pasted"] = request.POST.get("text", "")
    if not is_htmx(request):
        return render_page(page, scene, selected=selected, typed=typed, status=status, **details)
    view = read_view(request.POST)
    context = {**describe(page, scene, view=view, selected=selected), **details}
    response = render(request, f"pgflow_django/editor/{template}", context, status=status)
    response["HX-Reswap"] = "none"
    return response


def validate(page: Page) -> HttpResponse:
    """Return the problems of the draft as they are now: functions may have come or gone."""
    return _answer(page, drafts.load(page.slug), read_names(page.request.POST, "selected"), "")


def publish(page: Page) -> HttpResponse:
    """Make the draft the version that new runs get; runs in flight keep theirs."""
    try:
        toast = publish_draft(page, _read_version(page.request))
    except drafts.DraftConflict as conflict:
        return _answer_conflict(page, conflict)
    except (PgflowError, FormRefused) as refusal:
        return _answer_refused(page, refusal)
    draft = drafts.load(page.slug)
    selected = read_names(page.request.POST, "selected")
    return _answer(page, draft, selected, "", toast=toast, template="_published.html")


def presence(page: Page) -> HttpResponse:
    """Note that this reader has the page open, and say how many others have."""
    request, slug = page.request, page.slug
    key = request.session.session_key or ""
    drafts.touch_presence(slug, request.user, key)
    context = {"others": drafts.others_present(slug, key)}
    return render(request, "pgflow_django/editor/_presence.html", context)
