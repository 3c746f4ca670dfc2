"""The page of a run: its drawing in the colours of its states, kept up to date by polling."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django.choices import RunState, TaskStatus
from pgflow_django.exceptions import RunNotFound
from pgflow_django.models import Workflow, WorkflowRun, WorkflowStepTask
from pgflow_django.runs.explaining import explain
from pgflow_django.views.access import find_flow, is_published, list_runs
from pgflow_django.views.editor.scene import DIRECTIONS, Look, read_look
from pgflow_django.views.finding import answer, search
from pgflow_django.views.htmx import is_htmx
from pgflow_django.views.page import Page, find_comparison, give_file
from pgflow_django.views.payloads import redact_dict, redact_places
from pgflow_django.views.pieces import short_id
from pgflow_django.views.programs import name_starter
from pgflow_django.views.runs import tabs
from pgflow_django.views.runs.acting import ACTS, offer, offer_step
from pgflow_django.views.runs.drawing import RunFacts, load_attempts, load_run
from pgflow_django.views.runs.reasons import ShownReason, show_reasons
from pgflow_django.views.runs.start import KEY_PREFIX
from pgflow_django.views.runs.tasks import look_at_map
from pgflow_django.views.runs.timeline import show_density
from pgflow_django.views.stored import load, show_stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

#: Tasks of a map step whose outputs the panel shows.
_SHOWN_TASKS = 10
_PAYLOADS = ("input", "output")
#: Width and height of the drawing's place, in pixels, about.
_STAGE = (980, 400)


def monitor(page: Page) -> HttpResponse:
    """Show the whole page of a run, or to htmx the tab that the address names."""
    if tabs.is_wanted_alone(page):
        return tabs.answer(page)
    return _render_page(page, load_run(page.run), step=page.request.GET.get("step", ""))


def find(page: Page) -> HttpResponse:
    """Find a step by its name, its function, its description or how it stands, and go there."""
    facts = load_run(page.run)
    found = search(page.request, facts.texts)
    if is_htmx(page.request):
        return answer(page.request, found)
    return _render_page(page, facts, step=found.step, search=found)


def _render_page(page: Page, facts: RunFacts, *, step: str = "", **extra: Any) -> HttpResponse:
    context = page.context(
        f"{page.run.workflow_slug} {short_id(page.run.pk)}",
        subtitle=facts.word,
        **describe(page, facts, step=step),
        drawing=facts.render(find_look(page.request)),
        **tabs.show(page, facts.view),
        **extra,
    )
    context |= explain_failure(page, facts, context)
    return tabs.respond(page, "pgflow_django/runs/run.html", context)


def step_panel(page: Page) -> HttpResponse:
    """Return what the side panel shows of a step, or of the run."""
    step = page.request.GET.get("step", "")
    context = describe(page, load_run(page.run), step=step)
    return render(page.request, "pgflow_django/runs/_panel.html", context)


def describe(page: Page, facts: RunFacts, *, step: str = "") -> dict[str, Any]:
    """The variables that all parts of the page share."""
    run = facts.run
    flow = find_flow(page.admin, page.request, run.workflow_slug)
    if flow is not None and not is_published(flow) and not run.is_trial:
        # It was deleted, and is being drawn anew.
        flow = None
    chosen = facts.steps.get(step) if step else None
    context: dict[str, Any] = {
        "run": run,
        "original": run,
        "parent": _find_other(page, run.parent_run_id),
        "rerun_of": _find_other(page, run.rerun_of),
        "facts": facts,
        "flow": flow,
        "short_id": short_id(run.pk),
        "starter": name_starter(run.started_by, run.via),
        "shown_key": "" if (run.key or "").startswith(KEY_PREFIX) else run.key,
        "chosen": chosen,
        "may_see_payload": page.may("view_payload", run),
        **offer(page, facts.view.status, is_whole=facts.view.is_whole),
        "may_run": flow is not None and page.may("run", flow),
        "may_rerun": flow is not None and _is_rerunnable(run, flow) and page.may("run", flow),
        "may_see_flow": flow is not None,
        "why": facts.view.why,
        "links": {
            name: page.link(f"workflowrun_{name}", run.pk)
            for name in ("change", "find", "live", "details", "step", "why", *ACTS)
        },
    }
    context["reasons"] = show_reasons(page, facts.view.why.reasons, context)
    # An earlier flow of this name has other versions, and a trial has none.
    is_of_flow = flow is not None and flow.created_at <= run.started_at and not run.is_trial
    if flow is not None and is_of_flow and flow.version != run.version:
        context["changes_link"] = find_comparison(page.admin, flow.pk, run.version, flow.version)
    if chosen is not None:
        context |= _describe_step(page, facts, step)
    return context


def _describe_step(page: Page, facts: RunFacts, step: str) -> dict[str, Any]:
    """The variables of the panel of a step."""
    chosen = next(each for each in facts.view.steps if each.slug == step)
    reasons = facts.view.why.of_step(step)
    waits = any(reason.code == "retrying" for reason in reasons)  # of a map: some of its tasks
    return {
        "chosen_reasons": [*map(ShownReason, reasons)],
        "chosen_attempts": load_attempts(page.run, step),
        "of_map": look_at_map(page, facts.view, chosen) if chosen.is_map else {},
        "density": show_density(page, facts.view, chosen) if chosen.is_map else {},
        "chosen_tasks": _list_tasks(page, step) if page.may("view_payload", page.run) else [],
        **offer_step(page, step, "retrying" if waits else chosen.status),
    }


def _is_rerunnable(run: WorkflowRun, flow: Workflow) -> bool:
    """Whether a new run can begin with what this one began with, or has done."""
    return flow.is_active and is_published(flow) and not run.has_caller_functions


def explain_failure(page: Page, facts: RunFacts, known: Mapping[str, Any]) -> dict[str, Any]:
    """Why a failed run failed, compared with the runs that its reader may know of.

    What a value broke, and the keys of an input, tell of payloads: they are hidden as those are.
    """
    if facts.view.status != RunState.FAILED:
        return {}
    run = page.run
    others = list_runs(page.admin, page.request)
    found = explain(run.pk, using=run._state.db or "default", others=others)  # noqa: SLF001
    told: dict[str, Any] = {"explained": found}
    if found.cause is not None and known["may_see_payload"]:
        admin: Any = page.admin
        hide = partial(admin.redact_payload, page.request, run)
        told["places"] = redact_places(found.cause.problems, hide)
        told["input_keys"] = redact_dict(dict.fromkeys(found.cause.input_keys), hide)
    return told


def _find_other(page: Page, run_id: UUID | None) -> WorkflowRun | None:
    """A run that this one comes from, if its reader may see that."""
    if run_id is None:
        return None
    other = list_runs(page.admin, page.request).filter(pk=run_id).first()
    return other if other is not None and page.may("view_run", other) else None


def find_look(request: HttpRequest) -> Look:
    """How to draw the run: as the page says, whose script knows, else as its reader likes it."""
    for direction in DIRECTIONS:
        if request.GET.get("direction") == direction:
            return Look(direction, _STAGE)
    return Look(read_look(request).direction, _STAGE)


def _list_tasks(page: Page, step: str) -> list[dict[str, Any]]:
    """The first tasks of a step that have an output."""
    run = page.run
    tasks = WorkflowStepTask.objects.using(run._state.db).filter(  # noqa: SLF001
        run_id=run.pk, step_slug=step, status=TaskStatus.COMPLETED
    )
    found = load(tasks.order_by("task_index")[:_SHOWN_TASKS], "task_index", "output")
    return [
        {"index": index, "output": show_stored(page.request, page.admin, run, stored)}
        for index, stored in found.items()
    ]


def payload(page: Page, which: str) -> HttpResponse:
    """Give all of a run's input or output as a file."""
    run = page.run
    if which not in _PAYLOADS:
        raise Http404(_("There is no file %(name)s of a run.") % {"name": which})
    found = WorkflowRun.objects.using(run._state.db).filter(pk=run.pk)  # noqa: SLF001
    row = found.values_list(which).first()
    if row is None:
        raise RunNotFound(run.pk)
    value = row[0]
    admin: Any = page.admin
    hidden = admin.redact_payload(page.request, run, value)
    text = json.dumps(hidden, ensure_ascii=False, indent=2) + "\n"
    name = f"{run.workflow_slug}-{short_id(run.pk)}-{which}.json"
    return give_file(text, name, "application/json")


def history(page: Page) -> HttpResponse:
    """Show who started, cancelled and retried the run here, on Django's page for that."""
    return page.admin.history_view(page.request, str(page.run.pk))
