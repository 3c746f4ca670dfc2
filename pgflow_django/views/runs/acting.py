"""What people do to a run on its page: each by a POST, and noted once, by the click that did it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from pgflow_django import engine
from pgflow_django.choices import RunState
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import WorkflowRun
from pgflow_django.runs import control
from pgflow_django.views.htmx import is_htmx
from pgflow_django.views.runs.input_form import read_token
from pgflow_django.views.runs.query import MAX_INDEX, BadQuery, read_number
from pgflow_django.views.runs.start import KEY_PREFIX, lead_to, name_actor, note_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgflow_django.runs.control import ControlResult
    from pgflow_django.views.page import Page

#: The ends of the addresses.
ACTS: Final = ("cancel", "pause", "resume", "retry", "hurry", "rerun")
#: Characters of a reason that are kept.
_REASON: Final = 500


def offer(page: Page, status: str, *, is_whole: bool = True) -> dict[str, Any]:
    """Which of the acts a page offers: what a run of this status is ready for, and is allowed.

    One that is not whole is being deleted.
    """
    run, has_ended = page.run, RunState(status).is_terminal
    has_failed = has_ended and status != RunState.COMPLETED
    is_of_workers = is_whole and not (has_ended and run.has_caller_functions)
    return {
        "may_cancel": not has_ended and page.may("cancel_run", run),
        "may_pause": status == RunState.STARTED and page.may("pause_run", run),
        "may_resume": status == RunState.PAUSED and page.may("pause_run", run),
        "may_retry": has_failed and is_of_workers and page.may("retry_run", run),
        "may_hurry": status == RunState.STARTED and page.may("retry_run", run),
        "may_decide": (has_failed or not has_ended)
        and is_of_workers
        and page.may("decide_run", run),
        "rerun_token": uuid4().hex,
    }


def offer_step(page: Page, step: str, status: str, index: int | None = None) -> dict[str, Any]:
    """What a page needs to offer acts upon a step that stands so, or upon a task of a map."""
    decide = page.link("workflowrun_decide", page.run.pk, step)
    return {
        "step_slug": step,
        "step_waits": status == "retrying",
        "step_is_open": status not in {"completed", "skipped"},
        "task_index": index,
        "decide_link": decide if index is None else f"{decide}?index={index}",
    }


def cancel(page: Page) -> HttpResponse:
    """Cancel the run; nothing happens to one that has ended."""
    reason = read_reason(page) or f"cancelled by {name_user(page.request.user)} in the admin"
    return _act(
        page,
        lambda by: control.cancel_run(page.run.pk, reason=reason, by=by),
        done=_("The run is cancelled."),
        found=_("The run had ended already."),
        noted=_("Cancelled."),
    )


def pause(page: Page) -> HttpResponse:
    """Start nothing more of the run until it is resumed."""
    return _act(
        page,
        lambda by: control.pause_run(page.run.pk, reason=read_reason(page), by=by),
        done=_("The run is paused. What runs just now goes on to its end."),
        found=_("The run was paused already."),
        noted=_("Paused."),
    )


def resume(page: Page) -> HttpResponse:
    """Let the paused run go on."""
    return _act(
        page,
        lambda by: control.resume_run(page.run.pk, by=by),
        done=_("The run goes on."),
        found=_("The run was not paused."),
        noted=_("Resumed."),
    )


def retry(page: Page) -> HttpResponse:
    """Take a failed or cancelled run up again; what had completed is not done twice.

    Where the form names a step, or a task of a map, only that is tried first.
    """
    step, index = _read_task(page)
    done = _("The run goes on where it had stopped.")
    if step:
        done = _("One is tried first: %(task)s. The rest waits until the run is resumed.")
        done %= {"task": step if index is None else f"{step} {index}"}
    return _act(
        page,
        lambda by: control.retry_run(page.run.pk, step=step, index=index, by=by),
        done=done,
        found=_("The run goes on already."),
        noted=_("Retried."),
    )


def hurry(page: Page) -> HttpResponse:
    """Let what waits for its next attempt have it now."""
    step, index = _read_task(page)
    return _act(
        page,
        lambda by: control.retry_now(page.run.pk, step=step, index=index, by=by),
        done=_("The next attempt is made now."),
        noted=_("Retried now."),
    )


def rerun(page: Page) -> HttpResponse:
    """Start a new run with the input of this one, with what it has done before a step if named."""
    run, step = page.run, page.request.POST.get("step", "") or None
    key = KEY_PREFIX + read_token(page.request)
    try:
        with engine.starting_as(name_user(page.request.user), "admin"):
            result = control.rerun(run.pk, from_step=step, key=key, by=name_actor(page))
    except PgflowError as error:
        messages.error(page.request, str(error))
        return back(page, refused=True)
    started = WorkflowRun.objects.defer("input", "output").get(pk=cast("UUID", result.new_run_id))
    note_start(page, started, _("Started as a rerun of %(run)s.") % {"run": run.pk})
    return lead_to(page, started)


def _act(
    page: Page,
    call: Callable[[str], ControlResult],
    *,
    done: str,
    noted: str,
    found: str = "",
) -> HttpResponse:
    """Do it, tell what came of it, and note it in the admin's log if this click has done it."""
    request = page.request
    try:
        result = call(name_actor(page))
    except PgflowError as error:
        messages.error(request, str(error))
        return back(page, refused=True)
    if result.did:
        page.admin.log_change(request, page.run, noted)
        messages.success(request, done)
    else:
        messages.info(request, found)
    return back(page)


def read_reason(page: Page) -> str:
    """What a form gives as the reason, if it does."""
    return page.request.POST.get("reason", "").strip()[:_REASON]


def _read_task(page: Page) -> tuple[str | None, int | None]:
    """The step that a form names, and the index of its task; an index that is none is left out."""
    step, index = page.request.POST.get("step", ""), page.request.POST.get("index", "")
    try:
        return step or None, read_number(index, MAX_INDEX) if index else None
    except BadQuery:
        return step or None, MAX_INDEX  # no task has it, and the act says so


def back(page: Page, *, refused: bool = False) -> HttpResponse:
    """To the page, with the step that the form was about.

    A page that is there already is told what came of it, and looks by itself.
    """
    request = page.request
    if is_htmx(request):
        said = {"said": messages.get_messages(request), "refused": refused}
        status = HTTPStatus.CONFLICT if refused else HTTPStatus.OK
        answer = render(request, "pgflow_django/runs/_said.html", said, status=status)
        # In forms that it boosts, htmx takes no attribute for this.
        answer["HX-Push-Url"] = "false"
        return answer
    link, step = page.link("workflowrun_change", page.run.pk), request.POST.get("step", "")
    return HttpResponseRedirect(f"{link}?{urlencode({'step': step})}" if step else link)
