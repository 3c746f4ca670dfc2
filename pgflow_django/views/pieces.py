"""Small pieces of HTML that lists and pages share. Every value in them is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pgflow_django.drawing.states import Status
from pgflow_django.storage.moments import by_the_clock, with_zone

#: What stands where there is nothing to show.
NOTHING = "\N{EN DASH}"


_STATUSES: Mapping[Status, Any] = {
    "waiting": gettext_lazy("waiting"),
    "running": gettext_lazy("running"),
    "retrying": gettext_lazy("retrying"),
    "completed": gettext_lazy("completed"),
    "failed": gettext_lazy("failed"),
    "cancelled": gettext_lazy("cancelled"),
    "skipped": gettext_lazy("skipped"),
}


def name_status(status: Status) -> str:
    """The word for how a step stands, in the reader's language."""
    return str(_STATUSES[status])


def name_statuses() -> dict[Status, str]:
    """The words for how steps stand, in the reader's language."""
    return {status: str(word) for status, word in _STATUSES.items()}


def name_run_status(status: str) -> str:
    """The word for how a run stands."""
    if status == "started":
        return _("running")
    names: dict[str, str] = {str(key): word for key, word in name_statuses().items()}
    return _("paused") if status == "paused" else names.get(status, status)


def class_of(status: str) -> str:
    """The class that colours a run's or a step's status."""
    return {"started": "running", "created": "waiting"}.get(status, status)


def show_pill(status: str, word: str) -> SafeString:
    """Return a status as a coloured word with the icon that it has in drawings."""
    return format_html(
        '<span class="pgf-pill pgf-{0}"><svg class="pgf-i" aria-hidden="true">'
        '<use href="#pgf-i-{0}"/></svg>{1}</span>',
        class_of(status),
        word,
    )


def show_time(moment: datetime | None) -> SafeString | str:
    """Return a moment as "3 minutes ago", with the date and the time on hovering."""
    if moment is None:
        return NOTHING
    if timezone.now() - moment < timedelta(minutes=1):
        text = _("just now")
    else:
        text = _("%(time)s ago") % {"time": timesince(moment, depth=1)}
    local = by_the_clock(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        with_zone(local).isoformat(),
        date_format(local, "DATETIME_FORMAT"),
        text,
    )


def format_duration(duration: timedelta | None) -> str:
    """Return a duration as people write it: ``0.42 s``, ``12 s``, ``3 min 5 s``, ``2 h 7 min``."""
    if duration is None:
        return ""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 1:
        return _("%(seconds)s s") % {"seconds": f"{seconds:.2f}"}
    if seconds < 10:
        return _("%(seconds)s s") % {"seconds": f"{seconds:.1f}"}
    whole = round(seconds)
    if whole < 60:
        return _("%(seconds)s s") % {"seconds": whole}
    if whole < 3600:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": whole // 60, "seconds": whole % 60}
    if whole < 86400:
        minutes = whole // 60
        return _("%(hours)s h %(minutes)s min") % {"hours": minutes // 60, "minutes": minutes % 60}
    hours = whole // 3600
    return _("%(days)s d %(hours)s h") % {"days": hours // 24, "hours": hours % 24}


def short_id(run_id: Any) -> str:
    """Return the part of a run's id that people tell runs apart by: its end, the random part."""
    return str(run_id)[-8:]
