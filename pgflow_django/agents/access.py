"""What a program may see and do: the smaller of its own access and of its user's permissions.

The admin is asked, with a request of that user: a site that narrows ``get_queryset`` or a hook
there narrows programs too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.module_loading import import_string

from pgflow_django.choices import Access
from pgflow_django.conf import settings
from pgflow_django.exceptions import PgflowError, RunNotFound, WorkflowNotFound
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.views import access as admin_access

if TYPE_CHECKING:
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
    "publish": Access.PUBLISH,
}


class AccessDenied(PgflowError):
    """A program may see a flow or run, and not do with it what it asked for."""

    default_code = "access_denied"


@dataclass(frozen=True)
class Principal:
    """Who calls: a user, or a program that acts for one.

    ``name`` is what people call the program; ``flows_prefix`` narrows it to the flows whose slugs
    begin so; ``via`` says by which door it came.
    """

    user: Any
    access: Access
    name: str = ""
    flows_prefix: str = ""
    via: str = ""

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
