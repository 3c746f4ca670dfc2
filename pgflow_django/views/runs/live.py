"""What a page of a run gets that asks whether anything has changed: nothing, or what it lacks.

The page says in ``X-Pgf-State`` what it shows: see ``runs.digest``. Nothing is kept for it, so that
an answer which is lost, or comes twice, changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from pgflow_django.runs.digest import Digest, digest_run, read_digest
from pgflow_django.storage.probe import probe
from pgflow_django.views.runs.drawing import RunFacts, load_run
from pgflow_django.views.runs.page import describe, explain_failure, find_look

if TYPE_CHECKING:
    from pgflow_django.views.page import Page

#: Bytes after which an answer is full, and further cards wait for the next one.
_FULL = 18_000
#: Whose cards come first.
_URGENT = ("failed", "retrying", "running")


def live(page: Page) -> HttpResponse:
    """Return what the page lacks; 204 if that is nothing.

    A page that does not say what it shows gets everything, and so does each once the run has ended.
    """
    run = page.run
    # One cheap look tells that nothing has changed; all else is read only if something has.
    found = probe(run.pk, using=run._state.db or "default")  # noqa: SLF001 - Django's own name
    state = page.request.headers.get("X-Pgf-State", "")
    if state.startswith(digest_run(run, found)):
        response = HttpResponse(status=204)
    else:
        response = _answer(page, load_run(run, found), read_digest(state))
    response["X-Pgf-Now"] = f"{found.now:.3f}"
    return response


def details(page: Page) -> HttpResponse:
    """Return what stands below the drawing: the error."""
    facts = load_run(page.run)
    context = describe(page, facts)
    context |= explain_failure(page, facts, context)
    return render(page.request, "pgflow_django/runs/_details.html", context)


def _answer(page: Page, facts: RunFacts, shown: Digest | None) -> HttpResponse:
    context = describe(page, facts)
    head = render_to_string("pgflow_django/runs/_live.html", context, page.request)
    stale = shown.find_stale(facts.digest.steps) if shown else None
    if shown is None or stale is None or facts.has_ended:
        response = HttpResponse(facts.render(find_look(page.request)) + head)
        if facts.has_ended:
            response["HX-Trigger"] = "pgf:ended"
        return response
    cards, is_all = _patch(page, facts, shown, stale, _FULL - len(head.encode()))
    response = HttpResponse(cards + head)
    if not is_all:
        response["HX-Trigger"] = "pgf:more"
    return response


def _patch(
    page: Page, facts: RunFacts, shown: Digest, stale: list[int], room: int
) -> tuple[SafeString, bool]:
    """The cards that a page lacks, at least one and what else has room, and whether that is all.

    They come in an ``<svg>`` of their own, which says what the page shows with them.
    """
    steps = facts.view.steps
    order = {status: number for number, status in enumerate(_URGENT)}
    waiting = sorted(stale, key=lambda number: order.get(steps[number].status, len(order)))
    cards: list[str] = []
    for card in facts.render_cards(find_look(page.request), [steps[n].slug for n in waiting]):
        room -= len(card.encode())
        if cards and room < 0:
            break
        cards.append(card)
    lacking = waiting[len(cards) :]
    digest = shown.patch(facts.digest, lacking)
    patch = f'<svg id="pgf-cards" data-state="{digest}">{"".join(cards)}</svg>'
    return mark_safe(patch), not lacking  # noqa: S308 - svg.py has escaped every text
