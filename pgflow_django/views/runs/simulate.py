"""The page that tells how a draft would run, without calling anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pgflow_django.exceptions import PgflowError
from pgflow_django.runs.simulating import simulate_flow
from pgflow_django.runs.simulation import Seconds, SimulatedStep, Simulation
from pgflow_django.views.editor.functions import name_effects
from pgflow_django.views.editor.page import make_scene
from pgflow_django.views.page import Page
from pgflow_django.views.pieces import NOTHING, format_duration
from pgflow_django.views.runs.asking import ask, describe_draft, read_asked
from pgflow_django.views.runs.input_form import make_form, read_form

#: Steps that are shown, and characters of an output.
_STEPS, _SHOWN = 300, 160
#: Problems that are told.
_TOLD = 10


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step of a simulation, in words."""

    wave: int
    slug: str
    function: str
    tasks: str
    effects: str
    seconds: str
    output: str
    origin: str


def simulate(page: Page) -> HttpResponse:
    """Ask for an input, and show what would come of it."""
    scene = make_scene(page)
    schema = scene.draft.document.get("input_schema")
    if page.request.method == "POST":
        form, is_read, value = read_form(page.request, schema)
        asked, outputs = read_asked(page, scene)
    else:
        form, asked, outputs = make_form(page, schema), ask(scene), {}
        is_read, value = True, json.loads(form.text)
    context: dict[str, Any] = {}
    if is_read and outputs is not None:
        try:
            found = simulate_flow(scene.draft.document, value, outputs=outputs)
            context = describe_simulation(found)
        except PgflowError as error:
            form.error = str(error)
    has_error = not context
    context |= describe_draft(page, scene, form, asked)
    title = _("Simulate %(flow)s") % {"flow": scene.draft.slug}
    return render(
        page.request,
        "pgflow_django/runs/simulate.html",
        page.context(title, **context),
        status=422 if has_error else 200,
    )


def describe_simulation(found: Simulation) -> dict[str, Any]:
    """The variables of the part of a page that shows a simulation."""
    steps = sorted(found.steps, key=lambda step: step.wave)
    return {
        "steps": [_show(step) for step in steps[:_STEPS]],
        "more_steps": max(0, len(steps) - _STEPS),
        "found": found,
        "found_problems": found.problems[:_TOLD] if found.steps else (),
        "totals": _say_totals(found) if found.steps else "",
        "output": _shorten(found.output) if found.output else "",
    }


def _show(step: SimulatedStep) -> ShownStep:
    return ShownStep(
        step.wave + 1,
        step.slug,
        step.function,
        "?" if step.tasks is None else f"{step.tasks}",
        name_effects().get(step.effects) or _("does not say what it changes"),
        _say_seconds(step.seconds),
        "" if step.output_from == "unknown" else _shorten(step.output),
        _name_origins()[step.output_from],
    )


def _name_origins() -> dict[str, str]:
    return {
        "given": _("given"),
        "computed": _("computed"),
        "example": _("an example of its function"),
        "schema": _("made up from what its function declares"),
        "empty": _("there is nothing to do"),
        "unknown": _("unknown"),
    }


def _say_seconds(seconds: Seconds) -> str:
    if seconds.source == "none":
        return NOTHING
    if seconds.source == "timeout":
        return _("at most %(time)s") % {"time": _format(seconds.p95)}
    return _("%(middle)s, seldom %(long)s") % {
        "middle": _format(seconds.p50),
        "long": _format(seconds.p95),
    }


def _format(seconds: float) -> str:
    return format_duration(timedelta(seconds=seconds))


def _say_totals(found: Simulation) -> str:
    totals = found.totals
    count = ngettext("%(count)s task", "%(count)s tasks", totals.tasks) % {"count": totals.tasks}
    if any(step.tasks is None for step in found.steps):
        count = _("at least %(count)s") % {"count": count}
    return _(
        "%(count)s, %(most)s with all attempts, %(once)s at once. From start to end: %(time)s."
    ) % {
        "count": count,
        "most": totals.tasks_at_most,
        "once": totals.most_at_once,
        "time": _say_seconds(totals.critical_path_seconds),
    }


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
