"""The page on which people draw flows: what it shows. ``editor_edits`` has what it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from pgflow_django import drafts
from pgflow_django.views.access import can, require
from pgflow_django.views.editor.last_output import find_last_output
from pgflow_django.views.editor.panel import describe_panel
from pgflow_django.views.editor.scene import (
    DIRECTIONS,
    Scene,
    list_missing,
    list_palette,
    read_look,
)
from pgflow_django.views.page import find_address, frame_options

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from pgflow_django.drafts import Draft

VIEWS = ("diagram", "list")
_LINKS = ("edit", "canvas", "panel", "op", "validate", "publish", "presence")
_FOREIGN_LINKS = ("history", "export_json", "export_py", "import", "diagram", "run")


def load_scene(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> Scene:
    """The draft that may be seen, and whether it may be changed; otherwise ``Http404``."""
    workflow = require(admin, request, "view", slug)
    draft = drafts.load(slug)
    return make_scene(request, admin, draft, workflow)


def make_scene(request: HttpRequest, admin: ModelAdmin[Any], draft: Draft, workflow: Any) -> Scene:
    """The scene of a draft for this reader."""
    is_editable = can(admin, request, "change", workflow) and not draft.is_read_only
    return Scene(draft, is_editable, read_look(request), workflow)


def describe(
    request: HttpRequest, admin: ModelAdmin[Any], scene: Scene, *, view: str, selected: str = ""
) -> dict[str, Any]:
    """The variables that all parts of the editor share."""
    selected = selected if selected in scene.rows else ""
    workflow = scene.workflow
    may_publish = can(admin, request, "publish", workflow) and not scene.draft.is_read_only
    return {
        "scene": scene,
        "draft": scene.draft,
        "original": workflow,
        "view": view,
        "selected": selected,
        "may_publish": may_publish,
        "may_run": can(admin, request, "run", workflow) and bool(scene.draft.published_version),
        "links": find_links(admin, scene.draft.slug),
        **describe_panel(scene, selected),
        "last_output": find_last_output(request, admin, scene, selected),
    }


def find_links(admin: ModelAdmin[Any], slug: str) -> dict[str, str]:
    """The addresses of the flow's pages by name, as far as the site has them."""
    links = {}
    for name in (*_LINKS, *_FOREIGN_LINKS):
        try:
            links[name] = find_address(admin, f"workflow_{name}", slug)
        except NoReverseMatch:
            continue
    return links


def read_view(data: Any) -> str:
    """Which of the two views a request is about."""
    return data["view"] if data.get("view") in VIEWS else "diagram"


@require_safe
def edit(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Show the whole editor, or the flow without anything to change it with."""
    scene = load_scene(request, admin, slug)
    return render_page(request, admin, scene, selected=request.GET.get("step", ""))


def render_page(
    request: HttpRequest,
    admin: ModelAdmin[Any],
    scene: Scene,
    *,
    selected: str,
    status: int = 200,
    **extra: Any,
) -> HttpResponse:
    """Return the whole page, ``extra`` being what a refused operation adds to it."""
    view = read_view(request.POST if request.method == "POST" else request.GET)
    context = {
        **admin.admin_site.each_context(request),
        **describe(request, admin, scene, view=view, selected=selected),
        "title": scene.draft.slug,
        "opts": admin.opts,
        **frame_options(),
        "directions": list(zip(DIRECTIONS, _name_directions(), strict=True)),
        "palette": list_palette(scene) if scene.is_editable else [],
        "missing": list_missing(scene) if scene.is_editable else [],
        **extra,
    }
    return render(request, "pgflow_django/editor/edit.html", context, status=status)


def _name_directions() -> list[str]:
    return [_("What fits better"), _("Left to right"), _("Top to bottom")]


@require_safe
def canvas(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Return the drawing alone."""
    return HttpResponse(load_scene(request, admin, slug).render())


@require_safe
def panel(request: HttpRequest, admin: ModelAdmin[Any], slug: str) -> HttpResponse:
    """Return what the side panel shows of a step, or of the flow."""
    scene = load_scene(request, admin, slug)
    context = describe(
        request, admin, scene, view=read_view(request.GET), selected=request.GET.get("step", "")
    )
    return render(request, "pgflow_django/editor/_panel.html", context)
