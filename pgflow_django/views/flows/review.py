"""The page on which somebody decides about a draft that was handed in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.agents.approval import ApprovalRefused, require_approval
from pgflow_django.agents.policy import policy
from pgflow_django.definitions.edits import compare
from pgflow_django.definitions.shape import function_of
from pgflow_django.exceptions import DraftConflict, PgflowError
from pgflow_django.flow_builder import validate_flow
from pgflow_django.registry import registry
from pgflow_django.runs.simulating import simulate_flow
from pgflow_django.views.access import is_published
from pgflow_django.views.editor.forms import read_version
from pgflow_django.views.editor.functions import Function, describe_function, name_effects
from pgflow_django.views.flows.changes import draw_changes, list_changes
from pgflow_django.views.flows.publishing import publish_draft
from pgflow_django.views.page import Page
from pgflow_django.views.programs import list_programs
from pgflow_django.views.runs.input_form import make_form
from pgflow_django.views.runs.simulate import describe_simulation

if TYPE_CHECKING:
    from pgflow_django.definitions.problems import Problem
    from pgflow_django.drafts import Draft, Revision

#: What functions do to the world, the most serious first; with these, somebody has to look.
_EFFECTS = ("external", "writes", "unknown", "reads", "none")
_SERIOUS = {"external", "writes", "unknown"}
#: Problems and changes that are told.
_TOLD, _CHANGES = 20, 300


@dataclass(slots=True)
class Called:
    """A function that the draft calls, and the steps that do."""

    about: Function
    steps: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """The functions with the same effects."""

    effects: str
    title: str
    functions: list[Called]

    @property
    def is_serious(self) -> bool:
        """Whether they change something, or may."""
        return self.effects in _SERIOUS


def review(page: Page) -> HttpResponse:
    """Show what was handed in, by whom, and what it would do."""
    return _render(page)


def approve(page: Page) -> HttpResponse:
    """Publish what was handed in, as the page has shown it."""
    version = _read_version(page)
    if (refused := _refuse_others(page, version)) is not None:
        return refused
    try:
        done = publish_draft(page, version)
    except DraftConflict as conflict:
        return _render(page, status=409, is_outdated=True, told=conflict.messages)
    except PgflowError as error:
        return _render(page, status=422, error=str(error))
    messages.success(page.request, done)
    return HttpResponseRedirect(page.link("workflow_edit", page.slug))


def send_back(page: Page) -> HttpResponse:
    """Return what was handed in, with what to do better."""
    note = page.request.POST.get("note", "").replace("\r\n", "\n")
    version = _read_version(page)
    if (refused := _refuse_others(page, version, note)) is not None:
        return refused
    try:
        drafts.send_back(page.slug, version, user=page.request.user, note=note)
    except DraftConflict as conflict:
        told = conflict.messages
        return _render(page, status=409, is_outdated=True, note=note, told=told)
    except PgflowError as error:
        return _render(page, status=422, note=note, note_error=str(error))
    done = _("Returned, with your note.")
    if is_published(page.flow):
        page.admin.log_change(page.request, page.flow, done)
    messages.success(page.request, done)
    return HttpResponseRedirect(page.link("workflow_review", page.slug))


def _read_version(page: Page) -> int:
    version = read_version(page.request.POST.get("version", ""))
    return -1 if version is None else version


def _refuse_others(page: Page, version: int, note: str = "") -> HttpResponse | None:
    """The page again where what it has shown does not wait any more: that is what one decides on.

    An edit takes a draft back; somebody else may have published or returned it.
    """
    draft = drafts.load(page.slug)
    if draft.handed_in is not None and draft.version == version:
        return None
    return _render(page, status=409, is_outdated=True, note=note)


def _render(page: Page, *, status: int = 200, **extra: Any) -> HttpResponse:
    draft = drafts.load(page.slug)
    revisions = _list_since_publishing(drafts.history(page.slug))
    programs = list_programs(revision.provenance for revision in revisions)
    may_publish = page.may("publish", page.flow) and draft.handed_in is not None
    context = page.context(
        _("Review of %(flow)s") % {"flow": draft.slug},
        draft=draft,
        original=page.flow,
        programs=programs,
        may_publish=may_publish,
        refusal=_find_refusal(page) if may_publish else "",
        links={
            name: page.link(f"workflow_{name}", page.slug)
            for name in ("edit", "history", "simulate", "approve", "review_return")
        },
        **_describe_changes(draft),
        groups=_group_functions(draft),
        **_find_problems(draft, is_of_program=bool(programs)),
        **_simulate(page, draft),
        **extra,
    )
    return render(page.request, "pgflow_django/flows/review.html", context, status=status)


def _list_since_publishing(revisions: list[Revision]) -> list[Revision]:
    """The edits since the flow was published last, of all: newest first."""
    since = []
    for revision in revisions:
        if revision.is_published:
            break
        since.append(revision)
    return since


def _find_refusal(page: Page) -> str:
    """Why this user, who has the permission, may not publish this draft after all."""
    try:
        require_approval(page.slug, page.request.user)
    except ApprovalRefused as refusal:
        return str(refusal)
    return ""


def _describe_changes(draft: Draft) -> dict[str, Any]:
    """What the draft changes of the flow, as a drawing and as a table."""
    before = None
    if draft.published_version is not None:
        before = drafts.compare_versions(draft.slug, draft.published_version).before
    changes = [] if before is None else compare(before, draft.document)
    return {
        "is_new": before is None,
        "changes": list_changes(changes[:_CHANGES]),
        "more_changes": max(0, len(changes) - _CHANGES),
        "drawing": draw_changes(before, draft.document, draft.slug)
        if draft.document.get("steps")
        else "",
    }


def _group_functions(draft: Draft) -> list[Group]:
    """The functions that the draft calls by what they do to the world, the most serious first."""
    called: dict[str, Called] = {}
    for row in draft.document.get("steps", ()):
        name = function_of(row)
        called.setdefault(name, Called(describe_function(name))).steps.append(row["slug"])
    words = {**name_effects(), "unknown": _("does not say what it changes")}
    groups = {effects: Group(effects, words[effects], []) for effects in _EFFECTS}
    for name in sorted(called):
        groups[_effects_of(name)].functions.append(called[name])
    return [group for group in groups.values() if group.functions]


def _effects_of(name: str) -> str:
    effects = str(registry.effects_of(name))
    return effects if effects in _EFFECTS else "unknown"


def _find_problems(draft: Draft, *, is_of_program: bool) -> dict[str, Any]:
    """What is wrong with the draft, and what of it the policy for programs does not allow."""
    plain = validate_flow(draft.document)
    found: dict[str, list[Problem]] = {"problems": plain[:_TOLD], "policy_problems": []}
    if is_of_program:
        known = {(each.code, each.pointer) for each in plain if each.severity == "error"}
        strict = validate_flow(draft.document, policy=policy())
        found["policy_problems"] = [
            each
            for each in strict
            if each.severity == "error" and (each.code, each.pointer) not in known
        ][:_TOLD]
    told = {(each.code, each.pointer) for each in found["policy_problems"]}
    found["problems"] = [
        each for each in found["problems"] if (each.code, each.pointer) not in told
    ]
    return found


def _simulate(page: Page, draft: Draft) -> dict[str, Any]:
    """How it would run, with the input of the newest run, or with one that is made up."""
    text = make_form(page, draft.document.get("input_schema")).text
    try:
        found = simulate_flow(draft.document, json.loads(text))
    except PgflowError as error:
        return {"simulation_error": str(error)}
    return {**describe_simulation(found), "found_problems": ()}
