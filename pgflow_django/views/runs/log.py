"""The tab of a run's log: what happened and what steps logged, filtered, and followed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from pgflow_django.models import WorkflowRunEvent
from pgflow_django.runs.run_log import IMPORTANCES, LogFilter, LogLine, LogPage, read_log
from pgflow_django.runs.view import load
from pgflow_django.storage.looking import TookTooLong, looking
from pgflow_django.views.payloads import judges_by_keys
from pgflow_django.views.runs.query import (
    BadQuery,
    count_search,
    find_step,
    read_number,
    read_range,
)
from pgflow_django.views.runs.tasks import Addresses
from pgflow_django.views.stored import Stored
from pgflow_django.views.stored import load as load_stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgflow_django.runs.view import RunView
    from pgflow_django.views.page import Page

#: Lines that a page keeps while it follows a log.
MOST = 2_000
_TEXT = 200
#: Characters of a line's data that are read, and shown.
_DATA = 2_000
_SHOWN_DATA = 400
Facts = dict[str, Any]


def show_log(page: Page, view: RunView) -> Facts:
    """The variables of the tab. Raises ``BadQuery``."""
    query = page.request.GET
    wanted = read_filter(query, view)
    found = _read(page, wanted)
    kept = {name: query.get(name, "") for name in ("show", "step", "index", "q")}
    kept = {name: text for name, text in kept.items() if text}
    link = page.link("workflowrun_change", page.run.pk)
    earlier: dict[str, str | int] = {"tab": "log", **kept, "before": found.earlier or 0}
    return {
        "wanted": wanted,
        "kept": {"show": "", "index": "", **kept},
        "is_filtered": bool(kept),
        "step_names": [step.slug for step in view.steps],
        "choices": {
            "": _("everything"),
            "notable": _("what happened"),
            "warning": _("warnings and errors"),
            "error": _("errors"),
        },
        "lines": _show_lines(page, found),
        "found": found,
        "earlier_link": f"{link}?{urlencode(earlier)}" if found.earlier else "",
        "newest_link": f"{link}?{urlencode({'tab': 'log', **kept})}" if wanted.before else "",
        "follow_link": f"{page.link('workflowrun_log', page.run.pk)}?{urlencode(kept)}",
        "may_follow": not wanted.before,
        "is_going_on": not view.has_ended,
        "most_lines": MOST,
        # It is followed, and never replaced.
        "is_still": True,
    }


def log(page: Page) -> HttpResponse:
    """Return the newest lines after the one that a page has, for a log that is followed."""
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    try:
        if not page.request.GET.get("after"):  # who follows a log has searched already
            count_search(page.request)
        with looking(using):
            wanted = read_filter(page.request.GET, load(run.pk, using=using))
            found = _read(page, wanted)
            lines = _show_lines(page, found)
    except BadQuery as error:
        return HttpResponse(
            str(error),
            status=error.status,
            headers={"Content-Type": "text/plain; charset=utf-8", **error.headers},
        )
    except TookTooLong:
        return HttpResponse(status=204)
    if not lines:
        return HttpResponse(status=204)
    context = {"lines": lines, "has_gap": found.earlier is not None}
    return render(page.request, "pgflow_django/runs/_log_lines.html", context)


def read_filter(query: Mapping[str, str], view: RunView) -> LogFilter:
    """The lines that an address asks for. Raises ``BadQuery``."""
    step, text, show = query.get("step", ""), query.get("q", ""), query.get("show", "")
    if step:
        find_step(view, step)
    first, last = read_range(query.get("index", ""))
    if first != last:
        raise BadQuery(_("The lines of one index are shown, not those of a range."))
    if len(text) > _TEXT or "\0" in text:
        raise BadQuery(_("What is looked for has at most %(most)s characters.") % {"most": _TEXT})
    found = next((each for each in IMPORTANCES if each == show), None)
    if show and found is None:
        raise BadQuery(_("There is no such choice of lines."))
    before, after = (
        read_number(query[name]) if query.get(name) else None for name in ("before", "after")
    )
    return LogFilter(found, step, first, text, before, after)


def _read(page: Page, wanted: LogFilter) -> LogPage:
    using = page.run._state.db or "default"  # noqa: SLF001 - as above
    return read_log(page.run.pk, wanted, using=using)


def _show_lines(page: Page, found: LogPage) -> list[Facts]:
    data = _load_data(page, found.lines) if page.may("view_payload", page.run) else {}
    addresses = Addresses(page)
    return [
        {
            "line": line,
            "level": line.level if line.level in {"warning", "error", "debug"} else "info",
            "kind": "" if line.kind == "log" else line.kind.replace("_", " "),
            "link": addresses.task(line.step, line.index)
            if line.step and line.index is not None
            else "",
            "data": data.get(line.id, ""),
        }
        for line in found.lines
    ]


def _load_data(page: Page, lines: Any) -> dict[int, str]:
    """What lines have beside their message, as text, with secrets hidden."""
    using = page.run._state.db or "default"  # noqa: SLF001 - as above
    wanted: list[LogLine] = list(lines)
    events = WorkflowRunEvent.objects.using(using).filter(id__in=[line.id for line in wanted])
    found = load_stored(events, "id", "data", _DATA)
    return {number: _show_data(page, stored) for number, stored in found.items()}


def _show_data(page: Page, stored: Stored) -> str:
    admin: Any = page.admin
    if not (stored.is_whole or judges_by_keys(admin.redact_payload)):
        return ""
    value = admin.redact_payload(page.request, page.run, stored.read())
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key != "attempt"}
    text = json.dumps(value, ensure_ascii=False) if value else ""
    return text if len(text) <= _SHOWN_DATA else f"{text[:_SHOWN_DATA]}…"
