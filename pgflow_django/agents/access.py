"""What a program may see and do: the smaller of its own access and of its user's permissions.

The admin is asked, with a request of that user: a site that narrows ``get_queryset`` or a hook
there narrows programs too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.module_loading import import_string

from pgflow_django.agents.tokens import find_token
from pgflow_django.choices import Access
from pgflow_django.conf import settings
from pgflow_django.drafts.types import Provenance, name_user
from pgflow_django.exceptions import PgflowError, RunNotFound, WorkflowNotFound
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRun
from pgflow_django.views import access as admin_access

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from django.contrib.admin import AdminSite, ModelAdmin
    from django.db.models import QuerySet

#: The access that each action of the admin's asks for; what is not here, no program does.
ASKS: Final = {
    "view": Access.READ,
    "view_run": Access.READ,
    "view_payload": Access.READ,
    "add": Access.AUTHOR,
    "change": Access.AUTHOR,
    "run": Access.RUN,
    "cancel_run": Access.OPERATE,
    "retry_run": Access.OPERATE,
    "pause_run": Access.OPERATE,
    "decide_run": Access.OPERATE,
    "control_run": Access.OPERATE,
    "publish": Access.PUBLISH,
}


#: Any of these lets one control a run; each act asks for its own.
_CONTROL: Final = ("pause_run", "retry_run", "decide_run")


def authenticate(request: HttpRequest) -> Principal | None:
    """Who calls, by the token of the request or by what else the site has for it; else ``None``.

    The callables that ``PGFLOW["AGENT_AUTHENTICATORS"]`` names are asked in their order, after the
    token; of an inactive user's there is none.
    """
    found = _find_bearer(request)
    for name in () if found else settings.AGENT_AUTHENTICATORS or ():
        found = import_string(name)(request)
        if found is not None:
            break
    if found is None or not found.user.is_active:
        return None
    return replace(found, base_url=request.build_absolute_uri("/").rstrip("/"))


def _find_bearer(request: HttpRequest) -> Principal | None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    known = find_token(secret.strip()) if scheme.lower() == "bearer" else None
    if known is None:
        return None
    token, user = known
    return Principal(user, Access(token.access), token.name, token.flows_prefix)


class AccessDenied(PgflowError):
    """A program may see a flow or run, and not do with it what it asked for."""

    default_code = "access_denied"


@dataclass(frozen=True)
class Principal:
    """Who calls: a user, or a program that acts for one.

    ``name`` is what people call the program; ``flows_prefix`` narrows it to the flows whose slugs
    begin so; ``via`` says by which door it came, and ``client`` what it says that it is.
    ``base_url`` is where its user finds the site.
    """

    user: Any
    access: Access
    name: str = ""
    flows_prefix: str = ""
    via: str = ""
    client: str = ""
    base_url: str = ""

    def provenance(self, model: str = "", prompt_sha256: str = "") -> Provenance:
        """What is kept with an edit that it makes; ``model`` and what follows is its own word."""
        return {
            "by": name_user(self.user),
            "via": self.via,
            "token": self.name,
            "client": self.client,
            "model": model,
            "prompt_sha256": prompt_sha256,
        }

    def may_know(self, slug: str) -> bool:
        """Whether flows of this slug are any of its business."""
        return slug.startswith(self.flows_prefix)

    @cached_property
    def request(self) -> HttpRequest:
        """A request of its user, as hooks of the admin are asked with."""
        request = HttpRequest()
        request.method = "GET"
        request.user = self.user
        return request

    @cached_property
    def admin(self) -> ModelAdmin[Any]:
        """The admin of flows that is asked. Raises ``PgflowError`` where the site has none."""
        site: AdminSite = import_string(settings.AGENT_ADMIN_SITE)
        if not site.is_registered(Workflow):
            raise PgflowError(
                f'The admin site {settings.AGENT_ADMIN_SITE}, which PGFLOW["AGENT_ADMIN_SITE"] '
                "names, has no flows. Register WorkflowAdmin and WorkflowRunAdmin there.",
                code="no_admin_site",
            )
        self.request.current_app = site.name
        return site.get_model_admin(Workflow)

    def can(self, action: str, obj: Any = None) -> bool:
        """Whether it may do ``action``, of those in ``ASKS``, with a flow or run, or at all."""
        if action == "control_run":
            return any(self.can(each, obj) for each in _CONTROL)
        if not self.user.is_active or not self.access.covers(ASKS[action]):
            return False
        slug = getattr(obj, "workflow_slug", None)
        if slug is not None and not self.may_know(slug):
            return False
        return admin_access.can(self.admin, self.request, action, obj)

    def find_flow(self, slug: str) -> Workflow | None:
        """The flow, or what stands in for its draft; ``None`` for what it may not know of."""
        if not self.may_know(slug):
            return None
        return admin_access.find_flow(self.admin, self.request, slug)

    def require_flow(self, action: str, slug: str) -> Workflow:
        """The flow of this slug, with which it may do ``action``.

        Raises ``WorkflowNotFound`` for what it may not see, ``AccessDenied`` for what it may see
        and not do.
        """
        flow = self.find_flow(slug)
        if flow is None:
            raise WorkflowNotFound(slug)
        self._require(action, flow)
        return flow

    def can_begin(self, action: str) -> bool:
        """Whether it may do ``action`` with some flow or run, or with none in particular.

        A user who may only add flows may write drafts.
        """
        return self.can(action) or (action == "change" and self.can("add"))

    def require_access(self, action: str) -> None:
        """Raise ``AccessDenied`` unless it may do ``action`` at all."""
        if not self.can_begin(action):
            self._require(action, None)

    def require_any(self, action: str, slug: Any) -> None:
        """Raise ``AccessDenied`` unless it may do ``action``, with a flow of that name, too."""
        if isinstance(slug, str) and not self.may_know(slug):
            self.require_new(slug)
        self._require(action, None)

    def redact(self, run: WorkflowRun, value: Any) -> Any:
        """An input or output of a run as its user may see it."""
        runs: Any = admin_access.find_admin(self.admin, WorkflowRun)
        return runs.redact_payload(self.request, run, value)

    def showing_errors(self, run: WorkflowRun) -> AbstractContextManager[None]:
        """Until it ends, errors of this run are read as its user may see them."""
        return admin_access.showing_errors(self.admin, self.request, run)

    def list_unpublished(self) -> QuerySet[WorkflowDraft]:
        """The drafts of flows never published that it may know of."""
        admin: Any = self.admin
        found: QuerySet[WorkflowDraft] = admin.get_draft_queryset(self.request)
        return found.filter(pk__startswith=self.flows_prefix)

    def require_new(self, slug: str) -> None:
        """Raise ``AccessDenied`` unless it may make a flow of this slug."""
        if not self.may_know(slug):
            raise AccessDenied(
                f'{self._name} makes flows whose slugs begin with "{self.flows_prefix}" only.'
            )
        self._require("add", None)

    def require_run(self, action: str, run_id: UUID) -> WorkflowRun:
        """The run of this id, with which it may do ``action``.

        Raises ``RunNotFound`` for what it may not see, ``AccessDenied`` for what it may see and not
        do.
        """
        try:
            run = admin_access.require_run(self.admin, self.request, "view_run", run_id)
        except (Http404, PermissionDenied):
            raise RunNotFound(run_id) from None
        if not self.may_know(run.workflow_slug):
            raise RunNotFound(run_id)
        self._require(action, run)
        return run

    def list_flows(self) -> QuerySet[Workflow]:
        """The flows that it may know of."""
        flows: QuerySet[Workflow] = self.admin.get_queryset(self.request)
        return flows.filter(workflow_slug__startswith=self.flows_prefix)

    def list_runs(self) -> QuerySet[WorkflowRun]:
        """The runs that it may know of, in no order, without what can be large of them."""
        runs = admin_access.list_runs(self.admin, self.request)
        return runs.filter(workflow_slug__startswith=self.flows_prefix)

    @property
    def _name(self) -> str:
        return f'The token "{self.name}"' if self.name else f"The user {self.user}"

    def _require(self, action: str, obj: Any) -> None:
        if self.can(action, obj):
            return
        needed = ASKS[action]
        if not self.access.covers(needed):
            reason = f"has the access {self.access}, and this asks for {needed}"
        else:
            reason = f"may not do this: its user {self.user} has no permission for it in the admin"
        raise AccessDenied(f"{self._name} {reason}.")
