"""Reasons why a run stands as it does, with buttons for what helps, as far as its reader may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pgflow_django.runs.why.reason import Reason
    from pgflow_django.views.page import Page


class Button(NamedTuple):
    """What helps: a form that posts to ``link``, about a step if it names one, or a mere link."""

    link: str
    word: str
    icon: str = ""
    step: str = ""
    is_link: bool = False


class ShownReason(NamedTuple):
    """A reason as a notice shows it."""

    reason: Reason
    button: Button | None = None


def show_reasons(
    page: Page, reasons: Iterable[Reason], offered: Mapping[str, Any]
) -> list[ShownReason]:
    """The reasons with their buttons, none twice; ``offered`` is what ``acting.offer`` gave."""
    shown: list[ShownReason] = []
    for reason in reasons:
        button = _find_button(page, reason, offered)
        is_there = any(button == each.button for each in shown)
        shown.append(ShownReason(reason, None if is_there else button))
    return shown


def _find_button(page: Page, reason: Reason, offered: Mapping[str, Any]) -> Button | None:
    def link(act: str) -> str:
        return page.link(f"workflowrun_{act}", page.run.pk)

    match reason.action:
        case "resume" if offered["may_resume"]:
            return Button(link("resume"), _("Resume"), "play")
        case "retry" if offered["may_retry"]:
            return Button(link("retry"), _("Retry"), "redo")
        case "retry_now" if offered["may_hurry"]:
            return Button(link("hurry"), _("Retry now"), "redo", step=reason.steps[0])
        case "see_workers" if page.may("view_workers"):
            workers = page.link("workflowworker_changelist")
            return Button(workers, _("See the workers"), is_link=True)
    return None
