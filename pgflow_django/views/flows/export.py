"""Taking a flow out: as JSON, Python or SVG."""

from __future__ import annotations

import io
import json
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import (
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
)

from pgflow_django import drafts
from pgflow_django.drawing import render_svg
from pgflow_django.drawing.canvas import find_layout
from pgflow_django.drawing.graph import Node
from pgflow_django.exceptions import PgflowError
from pgflow_django.views.page import Page, give_file

if TYPE_CHECKING:
    pass


def export_json(page: Page) -> HttpResponse:
    """Give the flow as the document that the import and ``importflow`` take."""
    document = drafts.load(page.slug).document
    return give_file(_write(document), f"{page.slug}.json", "application/json")


def export_py(page: Page) -> HttpResponse:
    """Give the flow as Python that makes it."""
    document = drafts.load(page.slug).document
    try:
        text = drafts.export_python(document)
    except PgflowError as error:
        messages.error(page.request, str(error))
        return HttpResponseRedirect(page.link("workflow_edit", page.slug))
    return give_file(text, f"{page.slug}.py", "text/x-python")


def diagram(page: Page) -> HttpResponse:
    """Give the flow's drawing as an SVG file."""
    document = drafts.load(page.slug).document
    text = render_svg(
        find_layout(list_nodes(document)), page.slug, description=document.get("description") or ""
    )
    tag = f'"{sha256(text.encode()).hexdigest()[:32]}"'
    response: HttpResponse
    if page.request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        response = give_file(text, f"{page.slug}.svg", "image/svg+xml")
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
            description=row.get("description") or "",
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
