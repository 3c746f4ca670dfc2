"""The page on which people draw flows: what it shows. ``editor_edits`` has what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.views.editor.adding import make_add_fields
from pgflow_django.views.editor.forms import Typed, read_names, read_version
from pgflow_django.views.editor.last_output import find_last_outputs
from pgflow_django.views.editor.panel import describe_panel
from pgflow_django.views.editor.scene import (
    DIRECTIONS,
    Scene,
    list_missing,
    list_palette,
    read_look,
)
from pgflow_django.views.editor.sources import find_heads
from pgflow_django.views.editor.trials import find_trial
from pgflow_django.views.finding import answer, search
from pgflow_django.views.htmx import STOP_POLLING, is_htmx
from pgflow_django.views.page import Page, find_comparison, find_copy_form

if TYPE_CHECKING:
    from pgflow_django.drafts import Draft

VIEWS = ("diagram", "list")
_LINKS = ("edit", "find", "canvas", "panel", "op", "validate", "publish", "presence", "trial")
_FOREIGN_LINKS = (
    "history",
    "export_json",
    "export_py",
    "import",
    "diagram",
    "run",
    "try",
    "simulate",
    "describe",
    "hand_in",
    "return",
    "review",
)


def make_scene(page: Page, draft: Draft | None = None) -> Scene:
    """The draft as this reader may see and change it; the one that there is now by default."""
    draft = drafts.load(page.slug) if draft is None else draft
    is_editable = page.may("change", page.flow) and not draft.is_read_only
    scene = Scene(draft, is_editable, read_look(page.request), page.flow)
    scene.trial = find_trial(page, draft.slug, scene.rows)
    return scene


def describe(
    page: Page, scene: Scene, *, view: str, selected: Sequence[str], typed: Typed | None = None
) -> dict[str, Any]:
    """The variables that all parts of the editor share.

    ``typed`` is what stands in a form that was refused.
    """
    gone = [slug for slug in selected if slug not in scene.rows]
    selected = [slug for slug in selected if slug in scene.rows]
    shown = selected if len(selected) == 1 else []
    outputs = find_last_outputs(page, scene, [*shown, *find_heads(scene, shown)])
    draft = scene.draft
    may_publish = page.may("publish", page.flow) and not draft.is_read_only
    has_news = draft.has_changes and bool(scene.rows) and draft.handed_in is None
    return {
        "scene": scene,
        "draft": scene.draft,
        "original": page.flow,
        "view": view,
        "selected": selected,
        "gone": "" if selected else ", ".join(gone),
        "is_part": is_htmx(page.request),
        "may_publish": may_publish,
        "may_hand_in": scene.is_editable and has_news and not may_publish,
        "may_describe": scene.is_editable and page.may("describe", page.flow),
        "may_run": page.may("run", page.flow) and bool(scene.draft.published_version),
        "may_try": page.may("run", page.flow) and not scene.draft.is_read_only,
        "links": find_links(page, scene.draft),
        **describe_panel(scene, selected, typed, outputs),
        "add_fields": make_add_fields(scene, typed) if view == "list" else [],
        "last_output": outputs.get(*shown) if shown else None,
        "tried": scene.trial.shown.get(*shown) if scene.trial and shown else None,
    }


def find_links(page: Page, draft: Draft) -> dict[str, str]:
    """The addresses of the flow's pages by name, as far as the site has them."""
    links = {}
    for name in (*_LINKS, *_FOREIGN_LINKS):
        try:
            links[name] = page.link(f"workflow_{name}", page.slug)
        except NoReverseMatch:
            continue
    if draft.published_version and draft.has_changes:
        links["changes"] = find_comparison(page.admin, page.slug, draft.published_version, "draft")
    if page.may("add"):
        links["duplicate"] = find_copy_form(page.admin, page.slug)
    return links


def read_view(data: Any) -> str:
    """Which of the two views a request is about."""
    return data["view"] if data.get("view") in VIEWS else "diagram"


def edit(page: Page) -> HttpResponse:
    """Show the whole editor, or the flow without anything to change it with."""
    return render_page(page, make_scene(page), selected=read_names(page.request.GET, "step"))


def render_page(
    page: Page,
    scene: Scene,
    *,
    selected: Sequence[str],
    status: int = 200,
    typed: Typed | None = None,
    **extra: Any,
) -> HttpResponse:
    """Return the whole page, ``typed`` and ``extra`` being what a refused operation adds to it."""
    request = page.request
    view = read_view(request.POST if request.method == "POST" else request.GET)
    context = {
        **page.context(
            scene.draft.slug,
            **describe(page, scene, view=view, selected=selected, typed=typed),
        ),
        "directions": list(zip(DIRECTIONS, _name_directions(), strict=True)),
        "palette": list_palette(scene) if scene.is_editable else [],
        "missing": list_missing(scene) if scene.is_editable else [],
        **extra,
    }
    return render(request, "pgflow_django/editor/edit.html", context, status=status)


def _name_directions() -> list[str]:
    return [_("What fits better"), _("Left to right"), _("Top to bottom")]


def find(page: Page) -> HttpResponse:
    """Find a step by its name, its function or its description, and go there."""
    request, scene = page.request, make_scene(page)
    found = search(request, scene.texts)
    if is_htmx(request):
        return answer(request, found)
    return render_page(page, scene, selected=[found.step], search=found)


def canvas(page: Page) -> HttpResponse:
    """Return the drawing alone."""
    return HttpResponse(make_scene(page).render())


def panel(page: Page) -> HttpResponse:
    """Return what the side panel shows of a step, of several, or of the flow."""
    request = page.request
    # Many names are too much for an address.
    data = request.POST if request.method == "POST" else request.GET
    selected = read_names(data, "step")
    context = describe(page, make_scene(page), view=read_view(data), selected=selected)
    return render(request, "pgflow_django/editor/_panel.html", {**context, "is_alone": True})


def trial(page: Page) -> HttpResponse:
    """Return what the newest trial changes of the page; 204 where it is as in ``since``.

    Where the draft is another one by now, the page shows nothing new until it is asked to.
    """
    request, scene = page.request, make_scene(page)
    mark = scene.trial.mark if scene.trial else ""
    version = read_version(request.GET.get("version", ""))
    if request.GET.get("since") == mark:
        return HttpResponse(status=204)
    if version not in {None, scene.draft.version}:
        return HttpResponse(status=STOP_POLLING, headers={"HX-Reswap": "none"})
    selected = read_names(request.GET, "step")
    context = describe(page, scene, view=read_view(request.GET), selected=selected)
    if scene.trial and scene.trial.view.has_ended:
        context["live"] = _("The trial has ended: %(status)s") % {"status": scene.trial.word}
    return render(request, "pgflow_django/editor/_trial.html", context)
