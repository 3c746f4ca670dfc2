"""Taking a flow out: as JSON, Python or SVG."""

from __future__ import annotations

import io
import json
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
)
from django.views.decorators.http import require_safe

from pgflow_django import drafts
from pgflow_django.drawing import render_svg
from pgflow_django.drawing.canvas import find_layout
from pgflow_django.drawing.graph import Node
from pgflow_django.exceptions import PgflowError
from pgflow_django.views.access import require
from pgflow_django.views.page import find_address, give_file

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from pgflow_django.drafts import Draft


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


def _write(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
