"""The tabs below a run's drawing: links, of which the page shows one and asks for no other.

The address of the page says which: ``change/?tab=tasks&step=pack``. To htmx the same address gives
the tab alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django.runs.view import RunView, load
from pgflow_django.storage.looking import TookTooLong, looking
from pgflow_django.views.htmx import is_htmx
from pgflow_django.views.runs.data import show_data
from pgflow_django.views.runs.drawing import show_step
from pgflow_django.views.runs.grid import show_grid
from pgflow_django.views.runs.log import show_log
from pgflow_django.views.runs.query import BadQuery, count_search
from pgflow_django.views.runs.tasks import show_tasks
from pgflow_django.views.runs.timeline import show_timeline

if TYPE_CHECKING:
    from pgflow_django.views.page import Page

#: The element that has the tabs, as htmx names it.
_PLACE = "pgf-tabs"
#: Steps that are listed unless somebody wants all, and those of which none waits for that.
MOST_STEPS = 50
_WRONG = {"failed", "retrying"}

Facts = dict[str, Any]


class Tab(NamedTuple):
    """A tab: what it shows of a run, and what one must be allowed to see it, beside the run."""

    build: Callable[[Page, RunView], Facts]
    asks: str = ""


def _list_steps(page: Page, view: RunView) -> Facts:
    """The steps in their order; where there are many the first, after those that went wrong."""
    steps = view.steps
    if len(steps) > MOST_STEPS and not page.request.GET.get("all"):
        steps = tuple(sorted(steps, key=lambda step: step.status not in _WRONG)[:MOST_STEPS])
    return {
        "steps": [show_step(step) for step in steps],
        "more_steps": len(view.steps) - len(steps),
        "all_link": f"{page.link('workflowrun_change', page.run.pk)}?tab=list&all=1",
    }


#: By the names in addresses, which templates have, too; the first is shown where none is named.
TABS: Mapping[str, Tab] = {
    "list": Tab(_list_steps),
    "tasks": Tab(show_tasks),
    "timeline": Tab(show_timeline),
    "log": Tab(show_log),
    "data": Tab(show_data, "view_payload"),
    "grid": Tab(show_grid),
}


def _name_tabs() -> dict[str, str]:
    return {
        "list": _("Steps"),
        "tasks": _("Tasks"),
        "timeline": _("Timeline"),
        "log": _("Log"),
        "data": _("Data"),
        "grid": _("Last runs"),
    }


def is_wanted_alone(page: Page) -> bool:
    """Whether htmx asks for the tab, and for nothing else of the page."""
    return is_htmx(page.request) and page.request.headers.get("HX-Target") == _PLACE


def answer(page: Page) -> HttpResponse:
    """Return the tabs with the one that the address names. Raises as ``show`` does."""
    run = page.run
    view = load(run.pk, using=run._state.db or "default")  # noqa: SLF001 - Django's own name
    return respond(page, "pgflow_django/runs/_tabs.html", {"run": run, **show(page, view)})


def respond(page: Page, template: str, context: Facts) -> HttpResponse:
    """Return what has the variables of ``show``, with the status and the headers of the tab."""
    response = render(page.request, template, context, status=context["status"])
    for name, value in context["headers"].items():
        response[name] = value
    return response


def show(page: Page, view: RunView) -> Facts:
    """The variables of the tab that the address names; ``status`` and ``headers`` of an answer.

    Raises ``PermissionDenied`` where its reader may not see it.
    """
    name = page.request.GET.get("tab") or next(iter(TABS))
    words, link = _name_tabs(), page.link("workflowrun_change", page.run.pk)
    facts: Facts = {
        "tabs": {name: words[name] for name, tab in TABS.items() if _may_see(page, tab)},
        "tab": name,
        "page_link": link,
        "here": f"{link}?{page.request.GET.urlencode()}",
        "tab_template": f"pgflow_django/runs/tabs/{name}.html",
        "status": HTTPStatus.OK,
        "headers": {},
    }
    try:
        tab = _find_tab(page, name)
        count_search(page.request)  # a look that is given up has counted
        with looking(page.run._state.db or "default"):  # noqa: SLF001 - as above
            return facts | tab.build(page, view)
    except TookTooLong:
        return {**facts, "took_too_long": True}
    except BadQuery as error:
        told = {"refused": str(error), "status": error.status, "headers": error.headers}
        return {**facts, **told, "is_still": True}


def _find_tab(page: Page, name: str) -> Tab:
    tab = TABS.get(name)
    if tab is None:
        raise BadQuery(_("There is no tab of this name."))
    if not _may_see(page, tab):
        raise PermissionDenied
    return tab


def _may_see(page: Page, tab: Tab) -> bool:
    return not tab.asks or page.may(tab.asks, page.run)
