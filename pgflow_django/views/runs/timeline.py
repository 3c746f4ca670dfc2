"""The tab of a run's timeline: a bar for each step, in the order in which they began."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from pgflow_django.drawing.gantt import render_bar
from pgflow_django.runs.timeline import read_timeline
from pgflow_django.storage.looking import TookTooLong, looking
from pgflow_django.views.pieces import format_duration, name_statuses
from pgflow_django.views.runs.drawing import show_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pgflow_django.drawing.gantt import Span
    from pgflow_django.runs.timeline import Timeline
    from pgflow_django.runs.view import RunView, StepView
    from pgflow_django.views.page import Page

_TICKS = 4
Facts = dict[str, Any]


def show_timeline(page: Page, view: RunView) -> Facts:
    """The variables of the tab."""
    found = _read(page, view)
    order = sorted(view.steps, key=lambda step: _began(step, found))
    return {
        "rows": [_show_row(step, found) for step in order],
        "ticks": _list_ticks(found.end - found.begin, _TICKS),
        "legend": _list_legend(span for spans in found.spans.values() for span in spans),
        "samples": [*found.sampled.items()],
    }


def show_density(page: Page, view: RunView, step: StepView) -> Facts:
    """The variables of how many tasks of a map there were at each moment, from first to last.

    Empty where none has begun, or where that takes too long. One query by keys.
    """
    try:
        with looking(page.run._state.db or "default"):  # noqa: SLF001 - Django's own name for it
            found = _read(page, replace(view, steps=(step,)))
    except TookTooLong:
        return {}
    spans = [span for span in found.spans[step.slug] if span.status != "waiting"]
    if not spans:
        return {}
    begin, end = min(span.since for span in spans), max(span.until for span in spans)
    label = _("How many tasks of %(step)s there were at each moment") % {"step": step.slug}
    bar = render_bar(spans, begin, end, label, is_map=True)
    return {
        "bar": mark_safe(bar),  # noqa: S308 - escaped
        "ticks": _list_ticks(end - begin, 2),
        "legend": _list_legend(spans),
        "sample": found.sampled.get(step.slug),
    }


def _read(page: Page, view: RunView) -> Timeline:
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - as above
    return read_timeline(run.pk, run.started_at, view, using=using)


def _list_ticks(seconds: float, parts: int) -> list[str]:
    return [format_duration(timedelta(seconds=seconds * n / parts)) for n in range(parts + 1)]


def _list_legend(spans: Iterable[Span]) -> list[tuple[str, str]]:
    drawn = {span.status for span in spans}
    return [(status, word) for status, word in name_statuses().items() if status in drawn]


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
