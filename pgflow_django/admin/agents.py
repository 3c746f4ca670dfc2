"""Programs in the admin: the tokens with which they sign in, and the log of what they asked for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pgflow_django.admin.own import LimitedPaginator, LookedAt, OwnAdmin, OwnList
from pgflow_django.agents.tokens import find_users_of, state_of
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.models import AgentCall, AgentToken
from pgflow_django.views.access import can
from pgflow_django.views.page import frame_options
from pgflow_django.views.pieces import NOTHING, short_id, show_time
from pgflow_django.views.urls import TOKEN_PAGES, urls_of

#: Calls whose values the filters offer, the newest ones.
_RECENT = 5_000
#: Characters of what a program says that a column shows.
_SHOWN = 80


def _show_pill(look: str, word: Any) -> SafeString:
    return format_html(
        '<span class="pgf"><span class="pgf-pill pgf-{}">{}</span></span>', look, word
    )


class OfOneUser(OwnAdmin):
    """Rows that each user has of his own. Superusers see those of all."""

    change_list_template = "pgflow_django/agents/change_list.html"
    list_display_links = None
    list_per_page = 50
    actions = None
    #: The title of the list, and what it says where it is empty.
    list_title: Any = ""
    nothing: Any = ""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list."""
        extra = {
            "title": self.list_title,
            "nothing": self.nothing,
            **frame_options(),
            "may_see_flows": can(self, request, "view"),
            "may_add_token": can(self, request, "add_token"),
        }
        return super().changelist_view(request, {**extra, **(extra_context or {})})


class TokenList(OwnList):
    """The page's tokens together with their users."""

    def get_results(self, request: HttpRequest) -> None:
        """Load the users of the tokens that are shown, all at once."""
        super().get_results(request)
        tokens: list[Any] = list(self.result_list)
        users = find_users_of(tokens)
        for token in tokens:
            token.pgf_user = users.get(token.user_key)
            token.pgf_state = state_of(token, token.pgf_user)
            may_revoke = can(self.model_admin, request, "revoke_token", token)
            token.pgf_may_revoke = may_revoke and token.revoked_at is None
        self.result_list = tokens


@admin.register(AgentToken)
class AgentTokenAdmin(OfOneUser):
    """Tokens are made, looked at and revoked; of a token itself nothing is stored but its hash.

    Users see, make and revoke their own, superusers those of all. Sites narrow that by overriding
    ``get_queryset`` and ``has_*_permission``: view, add and revoke.
    """

    list_title = gettext_lazy("Tokens of programs")
    nothing = gettext_lazy("No token is here. A program signs in with one, and acts for its user.")
    list_display = (
        *("name", "user", "access", "prefix", "created", "last_used", "expires", "state", "revoke"),
    )
    list_filter = ("access",)
    search_fields = ("name",)
    search_help_text = gettext_lazy("Name")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentToken]:
        """Give the user's own tokens, or all to a superuser."""
        found: QuerySet[AgentToken] = super().get_queryset(request)
        if getattr(request.user, "is_superuser", False):
            return found
        return found.filter(user_key=str(request.user.pk))

    def get_urls(self) -> list[Any]:
        """Give the pages of tokens, and of those that Django has for every model the list alone."""
        return [*urls_of(self, TOKEN_PAGES), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Give the list that loads the users of its tokens."""
        return TokenList

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may end this token."""
        return request.user.has_perm("pgflow_django.change_agenttoken")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What a token is for never changes: it is revoked, and another one is made."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Revoked tokens stay, so that the log can be read."""
        return False

    # ---- columns ----

    @admin.display(description=gettext_lazy("User"))
    def user(self, token: Any) -> str:
        """Name the user for whom it acts."""
        return token.user_key if token.pgf_user is None else str(token.pgf_user.get_username())

    @admin.display(description=gettext_lazy("Flows"))
    def prefix(self, token: AgentToken) -> str:
        """Show which flows it is for."""
        return f"{token.flows_prefix}*" if token.flows_prefix else _("all")

    @admin.display(description=gettext_lazy("Made"), ordering="id")
    def created(self, token: AgentToken) -> SafeString | str:
        """Show when it was made."""
        return show_time(token.created_at)

    @admin.display(description=gettext_lazy("Last used"), ordering="last_used_at")
    def last_used(self, token: AgentToken) -> SafeString | str:
        """Show when a program signed in with it."""
        return show_time(token.last_used_at) if token.last_used_at else _("never")

    @admin.display(description=gettext_lazy("Expires"), ordering="expires_at")
    def expires(self, token: AgentToken) -> Any:
        """Show until when it is good."""
        return token.expires_at or _("never")

    @admin.display(description=gettext_lazy("State"))
    def state(self, token: Any) -> SafeString:
        """Show whether it is good."""
        words = {
            "good": (_("good"), "ok"),
            "revoked": (_("revoked"), "cancelled"),
            "expired": (_("expired"), "cancelled"),
        }
        word, look = words.get(token.pgf_state, (_("without its user"), "error"))
        return _show_pill(look, word)

    @admin.display(description=gettext_lazy("End it"))
    def revoke(self, token: Any) -> SafeString | str:
        """Lead to where it is revoked."""
        if not token.pgf_may_revoke:
            return NOTHING
        link = reverse(
            "admin:pgflow_django_agenttoken_revoke",
            args=[token.pk],
            current_app=self.admin_site.name,
        )
        return format_html(
            '<span class="pgf"><a class="pgf-button pgf-small" href="{}">{}'
            '<span class="pgf-hidden"> {}</span></a></span>',
            link,
            _("Revoke"),
            token.name,
        )


class RecentFilter(admin.SimpleListFilter):
    """Calls by what one of their columns says, of the values that the newest calls have."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the values of the newest calls that the user may see, and the chosen one."""
        recent = model_admin.get_queryset(request).order_by("-id")[:_RECENT]
        values = set(recent.values_list(self.column, flat=True))
        values |= {request.GET.get(self.parameter_name or "", "")}
        return [(value, value) for value in sorted(values - {""})]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the calls with the chosen value."""
        return queryset if self.value() is None else queryset.filter(**{self.column: self.value()})


class UserFilter(RecentFilter):
    """Calls by the user for whom they were made."""

    title = gettext_lazy("user")
    parameter_name = "for"
    column = "user"


class OperationFilter(RecentFilter):
    """Calls by what they asked for."""

    title = gettext_lazy("operation")
    parameter_name = "asked"
    column = "operation"


class CodeFilter(RecentFilter):
    """Calls by why they were refused."""

    title = gettext_lazy("refusal")
    parameter_name = "why"
    column = "code"


@admin.register(AgentCall)
class AgentCallAdmin(LookedAt, OfOneUser):
    """What programs asked for, and what came of it, refusals too; nobody changes it here.

    Users see what was asked for them, superusers all. Sites narrow or widen that by overriding
    ``get_queryset`` and ``has_view_permission``.
    """

    list_title = gettext_lazy("Calls of programs")
    nothing = gettext_lazy("No call is like that.")
    list_display = (
        *("when", "user", "program", "operation", "flow", "run", "outcome", "milliseconds"),
    )
    list_filter = (UserFilter, OperationFilter, CodeFilter)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = LimitedPaginator
    search_fields = ("=workflow_slug",)  # see get_search_results
    search_help_text = gettext_lazy("Flow, or the id of a run")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentCall]:
        """Give the calls that were made for the user, or all to a superuser."""
        found: QuerySet[AgentCall] = super().get_queryset(request)
        if getattr(request.user, "is_superuser", False):
            return found
        return found.filter(user=request.user.get_username())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AgentCall], search_term: str
    ) -> tuple[QuerySet[AgentCall], bool]:
        """Find calls by flow or by the id of a run, each in full."""
        term = search_term.strip()
        if not term or "\0" in term:
            return super().get_search_results(request, queryset, term)
        try:
            return queryset.filter(run_id=UUID(term)), False
        except ValueError:
            return queryset.filter(workflow_slug=term), False

    # ---- columns ----

    @admin.display(description=gettext_lazy("When"), ordering="id")
    def when(self, call: AgentCall) -> SafeString | str:
        """Show when it was."""
        return show_time(call.at)

    @admin.display(description=gettext_lazy("Program"))
    def program(self, call: AgentCall) -> SafeString:
        """Show its token, the door, and the client as the program says."""
        about = " · ".join(filter(None, (call.via, call.client[:_SHOWN])))
        return format_html("<bdi>{}</bdi><br><small><bdi>{}</bdi></small>", call.token, about)

    @admin.display(description=gettext_lazy("Flow"))
    def flow(self, call: AgentCall) -> SafeString | str:
        """Lead to the flow, if its slug can be one."""
        slug = call.workflow_slug
        if not is_valid_slug(slug):
            return slug[:_SHOWN] or NOTHING
        return self._link("workflow_edit", slug, slug)

    @admin.display(description=gettext_lazy("Run"))
    def run(self, call: AgentCall) -> SafeString | str:
        """Lead to the run."""
        if call.run_id is None:
            return NOTHING
        return self._link("workflowrun_change", call.run_id, short_id(call.run_id))

    @admin.display(description=gettext_lazy("Outcome"))
    def outcome(self, call: AgentCall) -> SafeString:
        """Show whether it was done, or why not."""
        look, word = ("error", call.code) if call.code else ("ok", _("done"))
        return _show_pill(look, word)

    def _link(self, name: str, key: Any, text: str) -> SafeString:
        link = reverse(f"admin:pgflow_django_{name}", args=[key], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', link, text)
