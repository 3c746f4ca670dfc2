"""What people do to a run on its page: each by a POST, and noted once, by the click that did it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _

from pgflow_django import executor
from pgflow_django.choices import RunState
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import PgflowError
from pgflow_django.runs import control
from pgflow_django.views.htmx import is_htmx

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgflow_django.runs.control import ControlResult
    from pgflow_django.views.page import Page
    from pgflow_django.views.runs.drawing import RunFacts

#: The ends of the addresses.
ACTS: Final = ("cancel", "pause", "resume", "retry")
#: Characters of a reason that are kept.
_REASON: Final = 500


def offer(page: Page, facts: RunFacts) -> dict[str, bool]:
    """Which of the acts the page offers: what the run is ready for, and its reader may do."""
    run, status = facts.run, facts.view.status
    return {
        "may_cancel": not facts.has_ended and page.may("cancel_run", run),
        "may_pause": status == RunState.STARTED and page.may("pause_run", run),
        "may_resume": status == RunState.PAUSED and page.may("pause_run", run),
        "may_retry": facts.is_retryable and page.may("retry_run", run),
    }


def cancel(page: Page) -> HttpResponse:
    """Cancel the run; nothing happens to one that has ended."""
    by = name_user(page.request.user)
    reason = _read_reason(page) or f"cancelled by {by} in the admin"
    return _act(
        page,
        lambda **who: control.cancel_run(page.run.pk, **{**who, "reason": reason}),
        done=_("The run is cancelled."),
        found=_("The run had ended already."),
        noted=_("Cancelled."),
    )


def pause(page: Page) -> HttpResponse:
    """Start nothing more of the run until it is resumed."""
    return _act(
        page,
        lambda **who: control.pause_run(page.run.pk, **who),
        done=_("The run is paused. What runs just now goes on to its end."),
        found=_("The run was paused already."),
        noted=_("Paused."),
    )


def resume(page: Page) -> HttpResponse:
    """Let the paused run go on."""
    return _act(
        page,
        lambda **who: control.resume_run(page.run.pk, **who),
        done=_("The run goes on."),
        found=_("The run was not paused."),
        noted=_("Resumed."),
    )


def retry(page: Page) -> HttpResponse:
    """Take a failed or cancelled run up again; what had completed is not done twice."""
    request, run = page.request, page.run
    try:
        executor.retry_run(run.pk)
    except PgflowError as error:
        messages.error(request, str(error))
        return _back(page, refused=True)
    page.admin.log_change(request, run, _("Retried."))
    messages.success(request, _("The run goes on where it had stopped."))
    return _back(page)


def _act(
    page: Page, call: Callable[..., ControlResult], *, done: str, found: str, noted: str
) -> HttpResponse:
    """Do it, tell what came of it, and note it in the admin's log if this click has done it."""
    request = page.request
    by = f"admin:{name_user(request.user)}"
    try:
        result = call(by=by, reason=_read_reason(page))
    except PgflowError as error:
        messages.error(request, str(error))
        return _back(page, refused=True)
    if result.did:
        page.admin.log_change(request, page.run, noted)
        messages.success(request, done)
    else:
        messages.info(request, found)
    return _back(page)


def _read_reason(page: Page) -> str:
    return page.request.POST.get("reason", "").strip().replace("\0", "")[:_REASON]


def _back(page: Page, *, refused: bool = False) -> HttpResponse:
    """To the page. A page that is there already is told what came of it, and looks by itself."""
    request = page.request
    if is_htmx(request):
        said = {"said": messages.get_messages(request), "refused": refused}
        status = HTTPStatus.CONFLICT if refused else HTTPStatus.OK
        return render(request, "pgflow_django/runs/_said.html", said, status=status)
    return HttpResponseRedirect(page.link("workflowrun_change", page.run.pk))
