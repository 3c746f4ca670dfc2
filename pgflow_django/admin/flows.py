"""Flows in the admin: their list, and the pages of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pgflow_django import drafts, flow_builder
from pgflow_django.admin.flow_columns import FlowColumns, FlowList, LastRunFilter, OnFilter
from pgflow_django.admin.own import OwnAdmin
from pgflow_django.exceptions import PgflowError, WorkflowConflict
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRun, WorkflowStep
from pgflow_django.models.querysets import IS_NO_TRIAL, IS_TRIAL
from pgflow_django.registry import registry
from pgflow_django.views.access import can, find_flow, list_runs, stand_in
from pgflow_django.views.flows.export import give_documents
from pgflow_django.views.flows.facts import count_active
from pgflow_django.views.page import frame_options
from pgflow_django.views.pieces import show_time
from pgflow_django.views.urls import FLOW_PAGES, urls_of

#: Drafts of new flows that the list shows; there are rarely more.
_DRAFTS = 20
#: Drafts that hooks are asked about for that, the newest ones.
_LOOKED_AT = 200


@admin.register(Workflow)
class WorkflowAdmin(FlowColumns, OwnAdmin):
    """The list of flows, and the pages of each.

    Sites narrow who may do what by overriding ``get_queryset``, ``get_draft_queryset`` and
    ``has_*_permission``: view, add, change, delete, publish, run and use_ai. A flow that was
    never published is asked about as a ``Workflow`` that is not stored.
    """

    kept_views = ("changelist", "add")
    change_list_template = "pgflow_django/flows/change_list.html"
    delete_confirmation_template = "pgflow_django/flows/delete.html"
    delete_selected_confirmation_template = "pgflow_django/flows/delete_selected.html"
    list_display = (
        "diagram",
        "flow",
        "last_run",
        "last_runs",
        "success",
        "active",
        "links",
    )
    list_display_links = None
    list_filter = (LastRunFilter, OnFilter, "origin")
    list_per_page = 50
    search_fields = (
        *("workflow_slug", "description"),
        *("steps__step_slug", "steps__function", "steps__description"),
    )
    search_help_text = gettext_lazy("Name, description, step or function")
    ordering = ("workflow_slug",)
    actions = ("switch_on", "switch_off", "export")

    # ---- who may do what ----

    def has_publish_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may make a draft of this flow what new runs get."""
        return request.user.has_perm("pgflow_django.publish_workflow")

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may start runs of this flow."""
        return request.user.has_perm("pgflow_django.run_workflow")

    def has_use_ai_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may have a language model propose flows, or changes of this one."""
        return request.user.has_perm("pgflow_django.use_ai")

    def get_draft_queryset(self, request: HttpRequest) -> QuerySet[WorkflowDraft]:
        """Give the drafts of flows that were never published, as far as the user may know of them.

        Where a site narrows ``get_queryset``, and not this, users see no drafts but their own.
        """
        found = drafts.list_unpublished()
        if type(self).get_queryset is not admin.ModelAdmin.get_queryset:
            found = found.filter(created_by=request.user.get_username())
        return found

    # ---- pages ----

    def get_urls(self) -> list[Any]:
        """Give the pages of flows, and of those that Django has for every model only two."""
        return [*urls_of(self, FLOW_PAGES), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Give the list that loads the facts of its flows."""
        return FlowList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, the drafts that are not published, and how to begin where it is empty."""
        may_add = can(self, request, "add")
        extra = {
            "title": _("Flows"),
            **frame_options(),
            "may_add": may_add,
            "may_describe": may_add and can(self, request, "describe"),
            "may_change": can(self, request, "change"),
            "may_see_runs": can(self, request, "view_run"),
            "may_see_workers": can(self, request, "view_workers"),
            "drafts": self._list_drafts(request),
            "handed_in": self._list_handed_in(request),
            "is_first_visit": not self.get_queryset(request).exists(),
            "functions": registry.own_names()[:6],
        }
        return super().changelist_view(request, {**extra, **(extra_context or {})})

    def _list_drafts(self, request: HttpRequest) -> list[tuple[WorkflowDraft, str]]:
        """The first unpublished drafts that the user may see, and how long ago each was edited."""
        found = self.get_draft_queryset(request)[:_LOOKED_AT]
        seen = (draft for draft in found if can(self, request, "view", stand_in(draft)))
        return [(draft, show_time(draft.edited_at)) for draft in islice(seen, _DRAFTS)]

    def _list_handed_in(self, request: HttpRequest) -> list[tuple[str, str, str]]:
        """The drafts that wait for this user to publish them: who handed each in, and when."""
        if not can(self, request, "publish"):
            return []
        waiting = drafts.list_handed_in()[:_LOOKED_AT]
        seen = []
        for draft in waiting:
            flow = find_flow(self, request, draft.workflow_slug)
            if flow is not None and can(self, request, "publish", flow):
                since = show_time(draft.submitted_at)
                seen.append((draft.workflow_slug, draft.submitted_by, since))
        return seen

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Lead to our own page: a flow begins with its name."""
        return HttpResponseRedirect(
            reverse("admin:pgflow_django_workflow_new", current_app=self.admin_site.name)
        )

    # ---- deleting ----

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask before a flow is deleted."""
        extra = {**frame_options(), **(extra_context or {})}
        return super().delete_view(request, object_id, extra)

    def get_deleted_objects(
        self, objs: QuerySet[Any] | Sequence[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Say what goes with the flows, and that flows with active runs can't go."""
        slugs = [flow.workflow_slug for flow in objs]
        steps = WorkflowStep.objects.filter(workflow_slug__in=slugs).count()
        protected = [
            text
            for kind, name in ((IS_NO_TRIAL, _name_active), (IS_TRIAL, _name_trials))
            for text in self._name_unended(request, slugs, kind, name)
        ]
        may_delete = all(self.has_delete_permission(request, flow) for flow in objs)
        needed = set() if may_delete else {_("flow")}
        return slugs, {_("flows"): len(slugs), _("steps"): steps}, needed, protected

    def _name_unended(
        self, request: HttpRequest, slugs: list[str], kind: Q, name: Callable[[str, int], str]
    ) -> Iterator[str]:
        known = count_active(list_runs(self, request), slugs, kind=kind)
        for slug in count_active(WorkflowRun.objects.all(), slugs, kind=kind):
            yield name(slug, known.get(slug, 0))

    def delete_model(self, request: HttpRequest, obj: Workflow) -> None:
        """Delete a flow with its steps and its draft. Its runs stay as history."""
        try:
            flow_builder.delete_flow(obj.workflow_slug)
        except WorkflowConflict as error:  # a run was started since the page was shown
            raise PermissionDenied(str(error)) from error

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Delete flows one by one."""
        for flow in queryset:
            self.delete_model(request, flow)

    # ---- actions ----

    @admin.action(permissions=["change"], description=gettext_lazy("Switch on selected flows"))
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Let new runs of these flows start."""
        self._switch(request, queryset, is_active=True)

    @admin.action(permissions=["change"], description=gettext_lazy("Switch off selected flows"))
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Refuse new runs of these flows; runs in flight go on."""
        self._switch(request, queryset, is_active=False)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[Workflow], *, is_active: bool
    ) -> None:
        slugs = [flow.pk for flow in queryset if self.has_change_permission(request, flow)]
        word = _("Switched on.") if is_active else _("Switched off.")
        alias = router.db_for_write(Workflow)
        with transaction.atomic(using=alias):
            others = Workflow.objects.using(alias).filter(pk__in=slugs, is_active=not is_active)
            flows = list(others.order_by("pk").select_for_update())
            others.update(is_active=is_active)
        for flow in flows:
            self.log_change(request, flow, word)
        text = ngettext("Changed %(count)s flow.", "Changed %(count)s flows.", len(flows))
        self.message_user(request, text % {"count": len(flows)}, messages.SUCCESS)

    @admin.action(permissions=["view"], description=gettext_lazy("Export selected flows as JSON"))
    def export(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> HttpResponse | None:
        """Give the documents of the flows: one as a JSON file, several as an archive of them."""
        try:
            slugs = [flow.pk for flow in queryset if self.has_view_permission(request, flow)]
            return give_documents(slugs)
        except PgflowError as error:
            self.message_user(request, str(error), messages.ERROR)
            return None


def _name_active(slug: str, count: int) -> str:
    """What keeps a flow from being deleted: its active runs, as far as they may be told of."""
    if not count:
        return _("active runs of %(flow)s that are not shown to you") % {"flow": slug}
    text = ngettext("%(count)s active run of %(flow)s", "%(count)s active runs of %(flow)s", count)
    return text % {"count": count, "flow": slug}


def _name_trials(slug: str, count: int) -> str:
    """As ``_name_active``, of trials of its draft."""
    if not count:
        return _("active trials of %(flow)s that are not shown to you") % {"flow": slug}
    text = ngettext(
        "%(count)s active trial of %(flow)s", "%(count)s active trials of %(flow)s", count
    )
    return text % {"count": count, "flow": slug}
