"""The tab of a run's timeline: a bar for each step, in the order in which they began."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from pgflow_django.drawing.gantt import render_bar
from pgflow_django.runs.timeline import read_timeline
from pgflow_django.views.pieces import format_duration, name_statuses
from pgflow_django.views.runs.drawing import show_step

if TYPE_CHECKING:
    from pgflow_django.runs.timeline import Timeline
    from pgflow_django.runs.view import RunView, StepView
    from pgflow_django.views.page import Page

_TICKS = 4
Facts = dict[str, Any]


def show_timeline(page: Page, view: RunView) -> Facts:
    """The variables of the tab."""
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    found = read_timeline(run.pk, run.started_at, view, using=using)
    seconds = found.end - found.begin
    order = sorted(view.steps, key=lambda step: _began(step, found))
    return {
        "rows": [_show_row(step, found) for step in order],
        "ticks": [
            format_duration(timedelta(seconds=seconds * tick / _TICKS))
            for tick in range(_TICKS + 1)
        ],
        "legend": [
            (status, word)
            for status, word in name_statuses().items()
            if any(span.status == status for spans in found.spans.values() for span in spans)
        ],
        "samples": [*found.sampled.items()],
    }


def _began(step: StepView, found: Timeline) -> float:
    return min((span.since for span in found.spans[step.slug]), default=found.end)


def _show_row(step: StepView, found: Timeline) -> Facts:
    shown = show_step(step)
    spans = found.spans[step.slug]
    failures = sum(span.status == "failed" for span in spans) if not step.is_map else step.failures
    facts = [
        shown["word"],
        shown["tasks"],
        _("waited %(time)s") % {"time": shown["waited"]} if shown["waited"] else "",
        _("took %(time)s") % {"time": shown["duration"]} if shown["duration"] else "",
        _("failed attempts: %(count)s") % {"count": failures} if failures else "",
    ]
    label = ", ".join(fact for fact in (step.slug, *facts) if fact)
    bar = render_bar(spans, found.begin, found.end, label, is_map=step.is_map)
    return {"step": shown, "bar": mark_safe(bar), "failures": failures}  # noqa: S308 - escaped
