"""The page that decides a step, or a task of a map, by hand: skips it, or gives its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django.exceptions import PgflowError
from pgflow_django.runs import control
from pgflow_django.views.fields import MAX_BYTES, read_json
from pgflow_django.views.pieces import short_id
from pgflow_django.views.runs.acting import back, read_reason
from pgflow_django.views.runs.drawing import load_run
from pgflow_django.views.runs.query import MAX_INDEX, BadQuery, find_step, read_number
from pgflow_django.views.runs.start import name_actor

if TYPE_CHECKING:
    from pgflow_django.views.page import Page
    from pgflow_django.views.runs.drawing import RunFacts

#: Steps that are named of those that come after one.
_NAMED = 8


def decide(page: Page, step: str) -> HttpResponse:
    """Ask how a step is to be decided, and do that."""
    facts = load_run(page.run)
    if step not in facts.steps:
        raise Http404(_("This run has no step of this name."))
    index = _read_index(page)
    if page.request.method != "POST":
        return _render(page, facts, step, index)
    try:
        noted = _decide(page, step, index)
    except ValueError as error:  # no JSON, and what ours are, too
        return _render(page, facts, step, index, error=str(error))
    except PgflowError as error:
        if error.code == "step_already_done":
            messages.info(page.request, str(error))
            return back(page)
        return _render(page, facts, step, index, error=str(error))
    page.admin.log_change(page.request, page.run, noted)
    messages.success(page.request, noted)
    return back(page)


def _read_index(page: Page) -> int | None:
    """The task that the address names; ``None`` for the whole step. Raises ``Http404``."""
    text = page.request.GET.get("index", "")
    try:
        return read_number(text, MAX_INDEX) if text else None
    except BadQuery as error:
        raise Http404(str(error)) from None


def _decide(page: Page, step: str, index: int | None) -> str:
    """Do what the form asks for, and say so. Raises ``ValueError`` and ``PgflowError``."""
    post = page.request.POST
    how: dict[str, Any] = {
        "index": index,
        "hold": "hold" in post,
        "reason": read_reason(page),
        "by": name_actor(page),
    }
    task = {"task": step if index is None else f"{step} {index}"}
    if post.get("verdict") == "complete":
        control.complete_step(page.run.pk, step, _read_output(post.get("output", "")), **how)
        return _("Completed by hand: %(task)s.") % task
    control.skip_step(page.run.pk, step, downstream="downstream" in post, **how)
    return _("Skipped: %(task)s.") % task


def _read_output(text: str) -> Any:
    if not text.strip():
        raise ValueError(_("What does it give? Write it as JSON: null for nothing."))
    return read_json(text)


def _render(
    page: Page, facts: RunFacts, step: str, index: int | None, error: str = ""
) -> HttpResponse:
    run, post, shown = page.run, page.request.POST, facts.steps[step]
    after = _find_after(facts, step)
    name = step if index is None else f"{step} {index}"
    context = page.context(
        _("Decide %(task)s") % {"task": name},
        run=run,
        name=name,
        step=step,
        index=index,
        shown=shown,
        is_map=shown["is_map"] and index is None,
        total=find_step(facts.view, step).total,
        after=after[:_NAMED],
        more=max(0, len(after) - _NAMED),
        short_id=short_id(run.pk),
        page_link=page.link("workflowrun_change", run.pk),
        is_done=shown["status"] in {"completed", "skipped"},
        error=error,
        typed=post,
        max_size=MAX_BYTES // 1024,
    )
    return render(
        page.request, "pgflow_django/runs/decide.html", context, status=422 if error else 200
    )


def _find_after(facts: RunFacts, step: str) -> list[str]:
    """The steps that come after one, in the order of definition."""
    steps, found, look = facts.view.steps, {step}, [step]
    while look:
        before = look.pop()
        new = [view.slug for view in steps if before in view.depends_on and view.slug not in found]
        found.update(new)
        look += new
    return [view.slug for view in steps if view.slug in found and view.slug != step]
