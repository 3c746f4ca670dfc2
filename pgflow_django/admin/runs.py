"""Runs in the admin: their list, and the page of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pgflow_django.admin.own import LimitedPaginator, LookedAt, OwnAdmin, OwnList
from pgflow_django.choices import ACTIVE_RUNS, RunState
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.models.querysets import IS_NO_TRIAL, IS_TRIAL
from pgflow_django.runs.redaction import redact
from pgflow_django.runs.shown_errors import show_error
from pgflow_django.runs.view import cut_error
from pgflow_django.views.access import can, find_admin, showing_errors
from pgflow_django.views.page import frame_options
from pgflow_django.views.payloads import by_keys
from pgflow_django.views.pieces import (
    NOTHING,
    format_duration,
    name_run_status,
    short_id,
    show_pill,
    show_time,
)
from pgflow_django.views.programs import name_starter
from pgflow_django.views.urls import RUN_PAGES, urls_of

#: Flows that the filter offers; a search finds the runs of others.
_FLOWS = 30
#: Characters that the list reads of an error, and shows of it.
_READ, _SHOWN = 400, 120


class StateFilter(admin.SimpleListFilter):
    """Runs by how they stand."""

    title = gettext_lazy("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer every status, and those that have not ended together."""
        words = [(status, name_run_status(status)) for status in RunState.values]
        return [("active", _("not ended")), *words]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the runs of the chosen state."""
        if self.value() is None:
            return queryset
        states = ACTIVE_RUNS if self.value() == "active" else [self.value()]
        return queryset.filter(status__in=states)


class FlowFilter(admin.SimpleListFilter):
    """Runs by their flow."""

    title = gettext_lazy("flow")
    parameter_name = "flow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the flows that there are; old runs of deleted ones are found by searching."""
        flows = find_admin(model_admin, Workflow)
        slugs: list[str] = []
        if flows is not None and can(flows, request, "view"):
            seen = flows.get_queryset(request).order_by("workflow_slug")
            slugs = list(seen.values_list("workflow_slug", flat=True)[:_FLOWS])
        chosen = request.GET.get(self.parameter_name)
        if chosen and chosen not in slugs:
            slugs.append(chosen)
        return [(slug, slug) for slug in slugs]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the runs of the chosen flow."""
        return queryset if self.value() is None else queryset.filter(workflow_slug=self.value())


class TrialFilter(admin.SimpleListFilter):
    """Runs, or trials of drafts; both for who looks for one by its id, flow or key."""

    title = gettext_lazy("trials")
    parameter_name = "trials"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer what is not shown otherwise."""
        return [("only", _("Trials only")), ("with", _("Together with trials"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Say what no choice means."""
        for number, choice in enumerate(super().choices(changelist)):
            yield choice if number else {**choice, "display": _("Without trials")}

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the one, or the other."""
        if self.value() == "with" or (self.value() is None and request.GET.get(SEARCH_VAR)):
            return queryset
        return queryset.filter(IS_TRIAL if self.value() == "only" else IS_NO_TRIAL)


class RunList(OwnList):
    """The runs with the beginnings of their errors, whatever a site's queryset reads of them."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Give the runs that the filters and the search keep."""
        found = super().get_queryset(request, *args, **kwargs)
        short: QuerySet[Any] = found.annotate(cut_error=cut_error(_READ))
        return short.defer("input", "output", "error")

    def get_results(self, request: HttpRequest) -> None:
        """Find the rows of the page, with their errors as the user may see them."""
        super().get_results(request)
        for run in self.result_list:
            if run.status == RunState.FAILED:
                with showing_errors(self.model_admin, request, run):
                    run.cut_error = show_error(run.cut_error)


@admin.register(WorkflowRun)
class WorkflowRunAdmin(LookedAt, OwnAdmin):
    """Runs are looked at, cancelled and retried; nobody adds, edits or deletes one here.

    Sites narrow who may do what by overriding ``get_queryset`` and ``has_*_permission``: view,
    cancel, retry and payload (inputs and outputs).
    """

    change_list_template = "pgflow_django/runs/change_list.html"
    list_display = ("run", "flow", "state", "started", "duration", "shown_version")
    list_display_links = None
    list_filter = (StateFilter, FlowFilter, TrialFilter)
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they would count all runs
    paginator = LimitedPaginator
    search_fields = ("=workflow_slug", "=key")  # see get_search_results
    search_help_text = gettext_lazy("Id, flow or key")
    ordering = ("-id",)
    actions = None

    # ---- who may do what ----

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may cancel this run."""
        return request.user.has_perm("pgflow_django.cancel_workflowrun")

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may retry this run."""
        return request.user.has_perm("pgflow_django.retry_workflowrun")

    def has_pause_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may pause this run, and resume it."""
        return request.user.has_perm("pgflow_django.pause_workflowrun")

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may skip steps of this run, or complete them by hand."""
        return request.user.has_perm("pgflow_django.decide_workflowrun")

    def has_payload_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may see this run's input and outputs."""
        return request.user.has_perm("pgflow_django.view_payload")

    @by_keys
    def redact_payload(self, request: HttpRequest, run: WorkflowRun, value: Any) -> Any:
        """Return an input or output of ``run`` as the user may see it.

        By default whatever stands under a key like ``password``, ``token``, ``secret`` or
        ``api_key`` is hidden. Sites override it for what else is nobody's business.
        """
        return redact(value)

    def redact_error(
        self, request: HttpRequest, run: WorkflowRun, error: dict[str, Any]
    ) -> Mapping[str, Any]:
        """Return an error of ``run`` as the user may see it: of a task, or of the run as a whole.

        ``error`` has the texts ``error_type``, ``error_message`` and ``traceback``, and
        ``step_slug``, which is ``None`` where no step is to blame. The texts are as much as was
        read to show it, beginnings mostly, and ``""`` where nothing was.

        What it returns has the same three texts, and is escaped as any other: a text that is left
        out is empty, and an error without a type is called ``Error``. Of anything that is no
        mapping, the ``str`` is the message. By default nothing is hidden.
        """
        return error

    # ---- pages ----

    def get_urls(self) -> list[Any]:
        """Give the pages of runs, and of those that Django has for every model the list alone."""
        return [*urls_of(self, RUN_PAGES), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowRun]:
        """Give the runs that the user may know of, without what only their pages show."""
        return super().get_queryset(request).defer("input", "output")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RunList]:
        """Give the list that reads no more of a run than it shows."""
        return RunList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WorkflowRun], search_term: str
    ) -> tuple[QuerySet[WorkflowRun], bool]:
        """Find runs by id, flow or key, each in full: anything else would read the whole table."""
        term = search_term.strip()
        if not term or "\0" in term:
            return super().get_search_results(request, queryset, term)
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:
            return queryset.filter(Q(workflow_slug=term) | Q(key=term)), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list of runs."""
        extra = {
            "title": _("Runs"),
            **frame_options(),
            "may_see_flows": can(self, request, "view"),
        }
        return super().changelist_view(request, {**extra, **(extra_context or {})})

    # ---- columns ----

    @admin.display(description=gettext_lazy("Run"), ordering="id")
    def run(self, run: WorkflowRun) -> SafeString:
        """Show the end of the id, as a link to the run's page."""
        link = reverse(
            "admin:pgflow_django_workflowrun_change",
            args=[run.pk],
            current_app=self.admin_site.name,
        )
        return format_html(
            '<a class="pgf-run-id" href="{}" title="{}">{}</a>', link, run.pk, short_id(run.pk)
        )

    @admin.display(description=gettext_lazy("Flow"))
    def flow(self, run: WorkflowRun) -> str:
        """Name the flow."""
        return str(run.workflow_slug)

    @admin.display(description=gettext_lazy("Status"))
    def state(self, run: Any) -> SafeString:
        """Show how it stands, and why it failed."""
        pill = show_pill(run.status, name_run_status(run.status))
        error = run.cut_error
        why = ""
        if run.status == RunState.FAILED:
            text = f"{error['error_type'] or ''}: {error['error_message'] or ''}"
            step = error["step_slug"]
            why = f"{step}: {text}" if step else text
        small = format_html("<small>{}</small>", why[:_SHOWN]) if why else ""
        return format_html('<div class="pgf pgf-last-run">{}{}</div>', pill, small)

    @admin.display(description=gettext_lazy("Started"), ordering="id")
    def started(self, run: WorkflowRun) -> SafeString | str:
        """Show when it was started, and by whom."""
        by = name_starter(run.started_by, run.via)
        if not by:
            return show_time(run.started_at)
        return format_html(
            '<div class="pgf pgf-last-run">{}<small><bdi>{}</bdi></small></div>',
            show_time(run.started_at),
            by,
        )

    @admin.display(description=gettext_lazy("Took"))
    def duration(self, run: WorkflowRun) -> str:
        """Show how long it took."""
        return format_duration(run.ended_at - run.started_at) if run.ended_at else NOTHING

    @admin.display(description=gettext_lazy("Version"))
    def shown_version(self, run: WorkflowRun) -> str:
        """Show the version of the flow that it uses."""
        return _("trial") if run.is_trial else f"v{run.version}"
