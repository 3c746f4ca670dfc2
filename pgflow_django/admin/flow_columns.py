"""The columns of the list of flows. The facts behind them are loaded for a whole page at once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pgflow_django.admin.own import OwnList
from pgflow_django.choices import Origin
from pgflow_django.models.querysets import IS_NO_TRIAL
from pgflow_django.views.access import can, list_runs
from pgflow_django.views.flows.facts import FlowFacts, load_facts
from pgflow_django.views.pieces import (
    format_duration,
    name_run_status,
    show_pill,
    show_time,
)

#: Characters of a description that the list shows.
_SHOWN = 90


class FlowList(OwnList):
    """The page's flows together with their facts, and what this user may do with them."""

    def get_results(self, request: HttpRequest) -> None:
        """Load the facts of the flows that are shown: always the same number of queries."""
        super().get_results(request)
        flows = list(self.result_list)
        facts = load_facts(flows, list_runs(self.model_admin, request), self.queryset.db)
        site = self.model_admin.admin_site.name
        may_copy = can(self.model_admin, request, "add")
        for flow in flows:
            flow.pgf_facts = facts[flow.workflow_slug]
            flow.pgf_site = site
            flow.pgf_may_copy = may_copy
            flow.pgf_may_edit = can(self.model_admin, request, "change", flow)
            flow.pgf_may_run = flow.is_active and can(self.model_admin, request, "run", flow)
            flow.pgf_may_see_runs = can(self.model_admin, request, "view_run")
        self.result_list = flows


class FlowColumns:
    """What ``list_display`` names."""

    @admin.display(description=gettext_lazy("Diagram"))
    def diagram(self, flow: Any) -> SafeString:
        """Show the flow as a small picture that leads to its page."""
        facts: FlowFacts = flow.pgf_facts
        picture = mark_safe(facts.draw(""))  # noqa: S308 - svg.py has escaped every text
        picture = mark_safe(picture.replace('role="img" aria-label=""', 'aria-hidden="true"'))  # noqa: S308
        return format_html(
            '<a class="pgf-thumb-link" tabindex="-1" aria-hidden="true" href="{}">{}</a>',
            address(flow, "edit"),
            picture,
        )

    @admin.display(description=gettext_lazy("Flow"), ordering="workflow_slug")
    def flow(self, flow: Any) -> SafeString:
        """Show name, description and what is special about the flow."""
        notes = []
        if flow.origin == Origin.CODE:
            notes.append(_("in code"))
        if not flow.is_active:
            notes.append(_("switched off"))
        marks = format_html_join("", ' <span class="pgf-pill">{}</span>', ((n,) for n in notes))
        count = len(flow.pgf_facts.nodes)
        size = ngettext("%(count)s step", "%(count)s steps", count) % {"count": count}
        facts = f"{size} · v{flow.version}"
        about = Truncator(flow.description).chars(_SHOWN)
        return format_html(
            '<div class="pgf pgf-flow-name"><a href="{}">{}</a>{}{}<p>{}</p></div>',
            address(flow, "edit"),
            flow.workflow_slug,
            marks,
            format_html('<p dir="auto">{}</p>', about) if about else "",
            facts,
        )

    @admin.display(description=gettext_lazy("Last run"))
    def last_run(self, flow: Any) -> SafeString | str:
        """Show how the last run stands, and since when."""
        if not flow.pgf_facts.runs:
            return format_html('<span class="pgf-quiet">{}</span>', _("never"))
        run = flow.pgf_facts.runs[0]
        pill = show_pill(run.status, name_run_status(run.status))
        return format_html(
            '<div class="pgf pgf-last-run">{}<small>{}</small></div>',
            pill,
            show_time(run.started_at),
        )

    @admin.display(description=gettext_lazy("Last 20 runs"))
    def last_runs(self, flow: Any) -> SafeString:
        """Show a dot for each of the last runs, the newest on the right."""
        runs = list(reversed(flow.pgf_facts.runs))
        if flow.pgf_may_see_runs:
            dots = format_html_join(
                "",
                '<a class="pgf-dot-link pgf-s-{}" href="{}" title="{}"><span class="pgf-hidden">'
                "{}</span></a>",
                (
                    (run.status, run_address(flow, run.id), _describe(run), _describe(run))
                    for run in runs
                ),
            )
        else:
            dots = format_html_join(
                "",
                '<span class="pgf-dot-link pgf-s-{}" title="{}"></span>',
                ((run.status, _describe(run)) for run in runs),
            )
        return format_html('<div class="pgf-dots">{}</div>', dots)

    @admin.display(description=gettext_lazy("Success"))
    def success(self, flow: Any) -> SafeString | str:
        """Show how many of the last runs completed, in percent, and how long these took."""
        rate = flow.pgf_facts.success_rate
        if rate is None:
            return format_html('<span class="pgf-quiet">{}</span>', _("no run has ended"))
        took = format_duration(flow.pgf_facts.median_duration)
        middle = format_html("<small>{}</small>", _("in %(time)s") % {"time": took}) if took else ""
        return format_html(
            '<div class="pgf pgf-last-run"><span title="{}">{} %</span>{}</div>',
            _("Of the last runs; the time is their median"),
            rate,
            middle,
        )

    @admin.display(description=gettext_lazy("Active"))
    def active(self, flow: Any) -> SafeString | str:
        """Count the runs that have not ended."""
        count = flow.pgf_facts.active_runs
        if not count or not flow.pgf_may_see_runs:
            return str(count)
        runs = reverse("admin:pgflow_django_workflowrun_changelist", current_app=flow.pgf_site)
        return format_html(
            '<a href="{}?flow={}&amp;state=active" aria-label="{}">{}</a>',
            runs,
            flow.workflow_slug,
            _("%(count)s active runs of %(flow)s") % {"count": count, "flow": flow},
            count,
        )

    @admin.display(description=gettext_lazy("Go to"))
    def links(self, flow: Any) -> SafeString:
        """Show where one can go from here."""
        words = [(_("Edit") if flow.pgf_may_edit else _("Open"), address(flow, "edit"))]
        if flow.pgf_may_run:
            words.append((_("Run"), address(flow, "run")))
        if flow.pgf_may_see_runs:
            runs = reverse("admin:pgflow_django_workflowrun_changelist", current_app=flow.pgf_site)
            words.append((_("Runs"), f"{runs}?flow={flow.workflow_slug}"))
        if flow.pgf_may_copy:
            new = reverse("admin:pgflow_django_workflow_new", current_app=flow.pgf_site)
            words.append((_("Duplicate"), f"{new}?from={flow.workflow_slug}"))
        buttons = format_html_join(
            "",
            '<a class="pgf-button pgf-small" href="{}">{}<span class="pgf-hidden"> {}</span></a>',
            ((link, word, flow.workflow_slug) for word, link in words),
        )
        return format_html('<div class="pgf pgf-row-links">{}</div>', buttons)


def address(flow: Any, name: str) -> str:
    """The address of one of a flow's pages."""
    return reverse(
        f"admin:pgflow_django_workflow_{name}",
        args=[flow.workflow_slug],
        current_app=flow.pgf_site,
    )


def run_address(flow: Any, run_id: str) -> str:
    """The address of a run's page."""
    return reverse(
        "admin:pgflow_django_workflowrun_change", args=[run_id], current_app=flow.pgf_site
    )


def _describe(run: Any) -> str:
    word = name_run_status(run.status)
    duration = format_duration(run.duration)
    return f"{word}, {duration}" if duration else word


class OnFilter(admin.SimpleListFilter):
    """Flows that can be started, or not."""

    title = gettext_lazy("new runs")
    parameter_name = "on"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer both."""
        return [("1", _("allowed")), ("0", _("switched off"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the flows that are switched on, or off."""
        if self.value() not in {"0", "1"}:
            return queryset
        return queryset.filter(is_active=self.value() == "1")


class LastRunFilter(admin.SimpleListFilter):
    """Flows by how their last run stands."""

    title = gettext_lazy("last run")
    parameter_name = "last"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        """Note which runs there are for this user."""
        self._runs = list_runs(model_admin, request)
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the statuses of runs, and flows without any."""
        statuses = ("started", "completed", "failed", "cancelled")
        return [(status, name_run_status(status)) for status in statuses] + [("none", _("never"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the flows whose newest run has the chosen status."""
        if self.value() is None:
            return queryset
        runs = self._runs.filter(IS_NO_TRIAL, workflow_slug=OuterRef("workflow_slug"))
        if self.value() == "none":
            return queryset.filter(~Exists(runs))
        newest = Subquery(runs.order_by("-id").values("status")[:1])
        return queryset.annotate(last_status=newest).filter(last_status=self.value())
