"""How the newest trial of a draft stands, for those who may see it: for its cards and panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from pgflow_django.definitions.shape import function_of
from pgflow_django.drawing.states import StepState
from pgflow_django.exceptions import RunNotFound
from pgflow_django.models.querysets import IS_TRIAL
from pgflow_django.runs.view import RunView, StepView, load
from pgflow_django.views.access import list_runs, showing_errors
from pgflow_django.views.page import Page
from pgflow_django.views.pieces import class_of, name_run_status
from pgflow_django.views.runs.drawing import draw_state, show_step


@dataclass(frozen=True)
class Trial:
    """A trial of the draft, and which of its steps the draft still has as they were."""

    url: str
    view: RunView
    rows: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def word(self) -> str:
        """The word for its status."""
        return name_run_status(self.view.status)

    @property
    def css(self) -> str:
        """The class that colours its status."""
        return class_of(self.view.status)

    @cached_property
    def mark(self) -> str:
        """A short text that is another one whenever the trial would look different."""
        return sha256(repr(self.view).encode()).hexdigest()[:24]

    @cached_property
    def steps(self) -> dict[str, StepView]:
        """The steps by slug, without those that do something else by now."""
        return {step.slug: step for step in self.view.steps if self._is_same(step)}

    @cached_property
    def shown(self) -> dict[str, dict[str, Any]]:
        """The steps as templates show them."""
        return {slug: show_step(step) for slug, step in self.steps.items()}

    @property
    def states(self) -> dict[str, StepState]:
        """How the steps stand, for the drawing."""
        return {slug: draw_state(step) for slug, step in self.steps.items()}

    def _is_same(self, step: StepView) -> bool:
        row = self.rows.get(step.slug)
        if row is None or step.is_given:
            return row is not None
        return (step.function, step.is_map) == (function_of(row), row.get("type") == "map")


def find_trial(page: Page, slug: str, rows: Mapping[str, Mapping[str, Any]]) -> Trial | None:
    """The newest trial of this flow that the user may see, if there is one."""
    known = list_runs(page.admin, page.request).filter(IS_TRIAL, workflow_slug=slug)
    run = known.order_by("-id").first()
    if run is None or not page.may("view_run", run):
        return None
    try:
        with showing_errors(page.admin, page.request, run):
            view = load(run.pk, using=known.db)
    except RunNotFound:  # it was deleted just now
        return None
    return Trial(page.link("workflowrun_change", run.pk), view, rows)
