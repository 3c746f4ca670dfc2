"""The tab of a run's tasks: which failed, in groups, and all of them in pages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils.http import urlencode
from django.utils.translation import gettext as _

from pgflow_django.choices import RunState
from pgflow_django.runs.failure_groups import find_failures
from pgflow_django.runs.task_filter import CHOICES, Key, TaskFilter
from pgflow_django.runs.task_keys import PAGE
from pgflow_django.runs.tasks import (
    MOST_ORDERED,
    TaskCounts,
    TaskPage,
    TaskRow,
    count_tasks,
    find_ordered,
    find_tasks,
)
from pgflow_django.storage.looking import TookTooLong, looking
from pgflow_django.views.pieces import class_of, format_duration, name_statuses
from pgflow_django.views.runs.query import BadQuery, find_step, read_number, read_tasks

if TYPE_CHECKING:
    from pgflow_django.runs.failure_groups import FailureGroup
    from pgflow_django.runs.view import RunView, StepView
    from pgflow_django.views.page import Page

#: Groups of failures that a page shows, the largest.
_GROUPS = 8
Facts = dict[str, Any]


def name_task_statuses() -> dict[str, str]:
    """The words for how tasks stand."""
    words: dict[str, str] = {str(status): word for status, word in name_statuses().items()}
    return words | {"queued": _("queued")}


class Addresses:
    """The addresses that lead on from one look at tasks to another."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._base = page.link("workflowrun_change", page.run.pk)

    def tasks(self, **query: Any) -> str:
        """The tab of the tasks with this filter; what is empty is left out."""
        wanted = {name: value for name, value in query.items() if value not in {None, ""}}
        return f"{self._base}?{urlencode({'tab': 'tasks', **wanted})}"

    def task(self, step: str, index: int) -> str:
        """The page of one task."""
        return self._page.link("workflowrun_task", self._page.run.pk, step, index)


def show_tasks(page: Page, view: RunView) -> Facts:
    """The variables of the tab. Raises ``BadQuery``."""
    run, query = page.run, page.request.GET
    using = run._state.db or "default"  # noqa: SLF001 - Django's own name for it
    wanted = read_tasks(query, view)
    step = find_step(view, wanted.step) if wanted.step else None
    addresses = Addresses(page)
    kept = {name: query.get(name, "") for name in ("step", "index", "status", "like")}
    place = read_number(query.get("place") or "0", MOST_ORDERED)
    if wanted.order and step:
        found = find_ordered(run.pk, wanted, place, ended_at=step.ended_at, using=using)
        more = _order_on(addresses, wanted, place, found)
    else:
        try:
            found = find_tasks(run.pk, run.round, wanted, using=using)
        except LookupError:
            raise BadQuery(_("There is no attempt of this number in this run.")) from None
        more = _page_on(addresses, kept, found)
    counts = count_tasks(run.pk, run.round, step, using=using) if step else None
    is_first = not (wanted.since or wanted.before or wanted.order or wanted.like)
    return {
        "wanted": wanted,
        "kept": kept,
        "step_names": [each.slug for each in view.steps],
        "chips": _list_chips(addresses, wanted, kept, counts, view),
        "counts": counts,
        "columns": _list_columns(addresses, wanted, is_sortable=bool(step and step.is_map)),
        "rows": [show_task(row, addresses) for row in found.rows],
        "found": found,
        "per_page": PAGE,
        # An order takes long to make.
        "is_still": bool(wanted.order),
        **more,
        "failures": show_failures(page, wanted.step or None, addresses) if is_first else {},
    }


def look_at_map(page: Page, view: RunView, step: StepView) -> Facts:
    """How many tasks of a map stand how, and what failed in it; nothing where that takes too long.

    Its ``chips`` are those of the tab of tasks, but for kinds of which there are none.
    """
    run, addresses = page.run, Addresses(page)
    using = run._state.db or "default"  # noqa: SLF001 - as above
    try:
        with looking(using):
            counts = count_tasks(run.pk, run.round, step, using=using)
            failures = show_failures(page, step.slug, addresses)
    except TookTooLong:
        return {}
    wanted = TaskFilter(step=step.slug)
    chips = _list_chips(addresses, wanted, {"step": step.slug, "index": ""}, counts, view)
    return {
        "chips": [chip for chip in chips if chip["count"]],
        "counts": counts,
        "failures": failures,
    }


def show_failures(page: Page, step: str | None, addresses: Addresses) -> Facts:
    """The variables of the groups of failures of a run, or of one of its steps."""
    run = page.run
    using = run._state.db or "default"  # noqa: SLF001 - as above
    found = find_failures(run.pk, run.round, step=step, using=using)
    return {
        "groups": [_show_group(group, addresses) for group in found.groups[:_GROUPS]],
        "more": max(0, len(found.groups) - _GROUPS),
        "is_cut": found.is_cut,
    }


def _show_group(group: FailureGroup, addresses: Addresses) -> Facts:
    return {
        "group": group,
        "kind": group.show(),
        "link": addresses.tasks(step=group.step, like=group.example),
        "first_link": addresses.task(group.step, group.first),
    }


def show_task(row: TaskRow, addresses: Addresses) -> Facts:
    """A task as a table shows it."""
    took = None if row.seconds is None else timedelta(seconds=row.seconds)
    return {
        "task": row,
        "css": "waiting" if row.status == "queued" else class_of(row.status),
        "word": name_task_statuses().get(row.status, row.status),
        "waited": format_duration(timedelta(seconds=max(0.0, row.waited or 0.0))),
        "took": format_duration(took),
        "link": addresses.task(row.step, row.index),
    }


def _list_chips(
    addresses: Addresses, wanted: TaskFilter, kept: Facts, counts: TaskCounts | None, view: RunView
) -> list[Facts]:
    words = name_task_statuses()
    return [
        {
            "status": status,
            "word": words.get(status, _("all")),
            "count": getattr(counts, status) if counts and status else None,
            "link": addresses.tasks(step=kept["step"], index=kept["index"], status=status),
            "is_current": status == (wanted.status or "") and not wanted.like,
        }
        for status in ("", *CHOICES)
        if status == wanted.status or _can_be(status, counts, view)
    ]


def _can_be(status: str, counts: TaskCounts | None, view: RunView) -> bool:
    """Whether there may be tasks that stand so: those of the last two kinds are rare."""
    if counts and status in {"cancelled", "skipped"}:
        return bool(getattr(counts, status))
    return status != "cancelled" or view.status in {RunState.FAILED, RunState.CANCELLED}


def _list_columns(addresses: Addresses, wanted: TaskFilter, *, is_sortable: bool) -> list[Facts]:
    """The columns of times, with the addresses of the orders by them."""
    words = {"start": _("Started"), "wait": _("Waited"), "duration": _("Took")}
    return [
        {
            "word": word,
            "link": addresses.tasks(step=wanted.step, sort="" if name == wanted.order else name)
            if is_sortable
            else "",
            "is_current": name == wanted.order,
        }
        for name, word in words.items()
    ]


def _page_on(addresses: Addresses, kept: Facts, found: TaskPage) -> Facts:
    """The addresses of the pages before and behind."""
    links = {"earlier_link": found.earlier, "later_link": found.later}
    names = {"earlier_link": "before", "later_link": "from"}
    return {
        link: addresses.tasks(**kept, **{names[link]: _write_key(key)})
        for link, key in links.items()
        if key is not None
    }


def _order_on(addresses: Addresses, wanted: TaskFilter, place: int, found: TaskPage) -> Facts:
    base = {"step": wanted.step, "sort": wanted.order}
    more = {}
    if place:
        more["earlier_link"] = addresses.tasks(**base, place=max(0, place - PAGE) or None)
    if not found.is_last:
        more["later_link"] = addresses.tasks(**base, place=place + PAGE)
    return more


def _write_key(key: Key) -> str:
    return f"{key.step}.{key.index}"
