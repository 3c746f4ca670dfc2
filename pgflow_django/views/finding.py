"""Finding a step by what is known of it, in the drawing and in the list of a flow or a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

#: The buttons of the form, named after the keys that press them.
_STEPS_ON = {"ArrowDown": 1, "ArrowUp": -1}


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody looks for, and what was found: the ``number``-th of ``count`` steps.

    ``step`` is ``""`` where no step has every word of the ``text``.
    """

    text: str = ""
    step: str = ""
    number: int = 0
    count: int = 0


def search(request: HttpRequest, steps: Mapping[str, str]) -> Search:
    """Find the step that a form of ``_find.html`` asks for.

    ``steps`` are in the page's order, each with all that it can be found by. While somebody types,
    the step that was found stays the one as long as it fits.
    """
    text, here = request.GET.get("find", ""), request.GET.get("found", "")
    words = text.casefold().split()
    found = [
        slug
        for slug, about in steps.items()
        if words and all(word in about.casefold() for word in words)
    ]
    if not found:
        return Search(text)
    at = 0
    if here in found:
        at = (found.index(here) + _STEPS_ON.get(request.GET.get("to", ""), 0)) % len(found)
    return Search(text, found[at], at + 1, len(found))


def answer(request: HttpRequest, found: Search) -> HttpResponse:
    """Say what was found; the page's script goes there."""
    response = render(request, "pgflow_django/editor/_found.html", {"search": found})
    if found.step:
        response["HX-Trigger"] = json.dumps({"pgflow:found": {"step": found.step}})
    return response
