"""The tab that shows the last runs of a flow beside one another, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.runs.grid import Grid, read_grid
from pgflow_django.views.access import list_runs
from pgflow_django.views.pieces import class_of, name_run_status, name_statuses, short_id

if TYPE_CHECKING:
    from pgflow_django.models import WorkflowRun
    from pgflow_django.runs.view import RunView
    from pgflow_django.views.page import Page

#: Steps that are shown unless somebody wants all.
MOST = 40
Facts = dict[str, Any]


def show_grid(page: Page, view: RunView) -> Facts:
    """The variables of the tab."""
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    found = read_grid(run, list_runs(page.admin, page.request), using=using)
    runs = [each for each in found.runs if page.may("view_run", each)]
    links = {each.pk: page.link("workflowrun_change", each.pk) for each in runs}
    slugs = _order_steps(found, view)
    shown = slugs if page.request.GET.get("all") else slugs[:MOST]
    return {
        "columns": [_show_run(each, links[each.pk], is_this=each.pk == run.pk) for each in runs],
        "rows": [
            {
                "slug": slug,
                "cells": [
                    _show_cell(found.statuses.get((each.pk, slug)), links[each.pk], slug)
                    | {"is_this": each.pk == run.pk}
                    for each in runs
                ],
            }
            for slug in shown
        ],
        "more_steps": len(slugs) - len(shown),
        "all_link": f"{page.link('workflowrun_change', run.pk)}?tab=grid&all=1",
    }


def _order_steps(found: Grid, view: RunView) -> list[str]:
    """The steps of this run, then those of others; where there are many, failing ones first."""
    slugs = dict.fromkeys(step.slug for step in view.steps)
    slugs |= dict.fromkeys(slug for _, slug in sorted(found.statuses, key=str))
    if len(slugs) <= MOST:
        return [*slugs]
    return sorted(slugs, key=lambda slug: slug not in found.failed)


def _show_run(run: WorkflowRun, link: str, *, is_this: bool) -> Facts:
    return {
        "run": run,
        "name": short_id(run.pk),
        "css": class_of(run.status),
        "word": name_run_status(run.status),
        "link": f"{link}?tab=grid",
        "is_this": is_this,
    }


def _show_cell(status: str | None, link: str, slug: str) -> Facts:
    if status is None:
        return {"css": ""}
    shown: Any = class_of(status)
    return {"css": shown, "word": name_statuses()[shown], "link": f"{link}?tab=grid&step={slug}"}
