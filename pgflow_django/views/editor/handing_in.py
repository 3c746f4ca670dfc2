"""Handing a draft in for somebody who may publish it, and returning it with a note."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.exceptions import PgflowError
from pgflow_django.views.access import is_published
from pgflow_django.views.editor.forms import read_version
from pgflow_django.views.editor.page import make_scene, render_page
from pgflow_django.views.page import Page


def hand_in(page: Page) -> HttpResponse:
    """Let the draft wait for somebody who publishes it."""
    return _do(page, drafts.hand_in, _("Handed in: it waits for somebody who publishes it."))


def send_back(page: Page) -> HttpResponse:
    """Return a draft that was handed in, with what to do better."""
    return _do(page, drafts.send_back, _("Returned, with your note."))


def _do(page: Page, function: Callable[..., Any], done: str) -> HttpResponse:
    """Do it, and show the page again: with what was written where it was refused."""
    request = page.request
    note = request.POST.get("note", "").replace("\r\n", "\n")
    version = read_version(request.POST.get("version", ""))
    try:
        function(page.slug, -1 if version is None else version, user=request.user, note=note)
    except PgflowError as error:
        return render_page(
            page, make_scene(page), selected=[], status=422, note=note, note_error=str(error)
        )
    if is_published(page.flow):
        page.admin.log_change(request, page.flow, done)
    messages.success(request, done)
    return HttpResponseRedirect(page.link("workflow_edit", page.slug))
