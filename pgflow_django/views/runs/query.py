"""What the address of a tab asks for, read strictly: a reader is told what cannot be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _

from pgflow_django.runs.task_filter import CHOICES, ORDERS, Key, TaskFilter
from pgflow_django.storage.usage import count_use

if TYPE_CHECKING:
    from django.http import HttpRequest

    from pgflow_django.runs.view import RunView, StepView

_RANGE = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")
_KEY = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]{0,127})\.([0-9]{1,10})")
#: The largest index that a task can have, and the largest id of a row.
MAX_INDEX, MAX_ID = 2**31 - 1, 2**63 - 1
#: Searches for a text that a user may make in a minute.
MOST_SEARCHES: Final = 30


class BadQuery(ValueError):
    """A parameter of an address that cannot be; its text says so to the reader."""

    status = HTTPStatus.BAD_REQUEST
    headers: Mapping[str, str] = {}


class SearchedTooOften(BadQuery):
    """A search that is one too many for now: the next is answered in so many seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, seconds: int) -> None:
        text = _("You may search %(most)s times a minute, and have. Try again in %(seconds)s s.")
        super().__init__(text % {"most": MOST_SEARCHES, "seconds": seconds})
        self.headers = {"Retry-After": str(seconds)}


def count_search(request: HttpRequest) -> None:
    """Count a request that looks for a text in the database. Raises ``SearchedTooOften``."""
    if request.GET.get("q"):
        seconds = count_use(request.user, "searches", MOST_SEARCHES, timedelta(minutes=1))
        if seconds is not None:
            raise SearchedTooOften(seconds)


def find_step(view: RunView, slug: str) -> StepView:
    """The step of this run. Raises ``BadQuery``."""
    found = next((step for step in view.steps if step.slug == slug), None)
    if found is None:
        raise BadQuery(_("This run has no step of this name."))
    return found


def read_number(text: str, most: int = MAX_ID) -> int:
    """A whole number from 0 on. Raises ``BadQuery``."""
    if re.fullmatch("[0-9]{1,19}", text) and int(text) <= most:
        return int(text)
    raise BadQuery(_("This address has something else where a number should be."))


def read_range(text: str) -> tuple[int | None, int | None]:
    """The first and last index of "17" or "4000-4100"; nothing of nothing. Raises ``BadQuery``."""
    text = text.replace(" ", "")
    if not text:
        return None, None
    found = _RANGE.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
    if not first <= last <= MAX_INDEX:
        raise BadQuery(_("An index is a number such as 17, or a range such as 4000-4100."))
    return first, last


def read_tasks(query: Mapping[str, str], view: RunView) -> TaskFilter:
    """The tasks that an address asks for. Raises ``BadQuery``."""
    step = query.get("step", "")
    if step:
        find_step(view, step)
    first, last = read_range(query.get("index", ""))
    wanted: dict[str, Any] = {"step": step, "first": first, "last": last}
    for name, choices in (("status", CHOICES), ("sort", ORDERS)):
        text = query.get(name, "")
        if text and text not in choices:
            raise BadQuery(
                _("Tasks are chosen or sorted by one of: %(choices)s.")
                % {"choices": ", ".join(choices)}
            )
        wanted["order" if name == "sort" else name] = text or None
    if query.get("like"):
        wanted["like"] = read_number(query["like"])
    for name, bound in (("from", "since"), ("before", "before")):
        if query.get(name):
            wanted[bound] = _read_key(query[name])
    found = TaskFilter(**wanted)
    _refuse_together(found)
    return found


def _refuse_together(wanted: TaskFilter) -> None:
    """Raise ``BadQuery`` for what would be two looks at once."""
    is_chosen = wanted.status or wanted.like or wanted.first is not None
    if wanted.order and (is_chosen or not wanted.step):
        raise BadQuery(_("What is sorted are all tasks of one step: choose that, no more."))
    if wanted.like and wanted.status:
        raise BadQuery(_("Tasks are chosen by their status, or by how they failed, not by both."))
    bounds = (wanted.since, wanted.before)
    if wanted.step and any(key and key.step != wanted.step for key in bounds):
        raise BadQuery(_("A page of tasks begins with one of the same step."))
    if wanted.since and wanted.before:
        raise BadQuery(_("A page begins somewhere or ends somewhere, not both."))


def _read_key(text: str) -> Key:
    found = _KEY.fullmatch(text)
    if not found or int(found[2]) > MAX_INDEX + 1:
        raise BadQuery(_("This address has something else where a task should be."))
    return Key(found[1], int(found[2]))
