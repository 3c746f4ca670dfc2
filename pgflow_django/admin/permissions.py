"""Who may do what with flows and runs in the admin: one place for all pages.

Every answer comes from a hook of the ``ModelAdmin`` concerned (``has_<hook>_permission``) and from
its ``get_queryset``, so that a site narrows both by overriding them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.exceptions import NotRegistered
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from pgflow_django.choices import Origin
from pgflow_django.models import Workflow, WorkflowRun

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

#: What is asked of the admin of flows, and of that of runs: action -> hook.
_FLOW_HOOKS = {"view": "view", "add": "add", "change": "change", "delete": "delete"}
_FLOW_HOOKS |= {"publish": "publish", "run": "run"}
_RUN_HOOKS = {"view_run": "view", "cancel_run": "cancel", "retry_run": "retry"}
_RUN_HOOKS |= {"view_payload": "payload"}


def can(admin: ModelAdmin[Any], request: HttpRequest, action: str, obj: Any = None) -> bool:
    """Whether the user may do ``action`` with ``obj``, or at all where that is ``None``.

    ``action`` is one of view, add, change, delete, publish, run (a flow), and view_run, cancel_run,
    retry_run, view_payload (a run). ``admin`` may be that of flows or that of runs. Flows that code
    defines are changed there only.
    """
    if action in {"change", "publish"} and getattr(obj, "origin", None) == Origin.CODE:
        return False
    if action in _RUN_HOOKS:
        owner, hook = find_admin(admin, WorkflowRun), _RUN_HOOKS[action]
    else:
        owner, hook = find_admin(admin, Workflow), _FLOW_HOOKS[action]
    if owner is None:
        return False
    ask = getattr(owner, f"has_{hook}_permission")
    return bool(ask(request) if hook == "add" else ask(request, obj))


def find_admin(admin: ModelAdmin[Any], model: Any) -> ModelAdmin[Any] | None:
    """The admin of another model of ours on the same site, if the site has it."""
    if admin.model is model:
        return admin
    try:
        return admin.admin_site.get_model_admin(model)
    except NotRegistered:
        return None


def require(
    admin: ModelAdmin[Any], request: HttpRequest, action: str, slug: str
) -> Workflow | None:
    """The flow of this slug, ``None`` for one that is only a draft, if the action is allowed.

    Raises ``Http404`` for what may not be seen and ``PermissionDenied`` for what may be seen, but
    not done.
    """
    flows = find_admin(admin, Workflow)
    workflow: Workflow | None = None
    if flows is not None:
        workflow = flows.get_queryset(request).filter(pk=slug).first()
    is_hidden = workflow is None and Workflow.objects.filter(pk=slug).exists()
    if is_hidden or not can(admin, request, "view", workflow):
        raise Http404(_("There is no flow %(slug)s for you.") % {"slug": slug})
    if not can(admin, request, action, workflow):
        raise PermissionDenied
    return workflow


def require_run(
    admin: ModelAdmin[Any], request: HttpRequest, action: str, run_id: UUID
) -> WorkflowRun:
    """The run of this id if the action is allowed.

    Raises as ``require`` does.
    """
    runs = find_admin(admin, WorkflowRun)
    run: WorkflowRun | None = None
    if runs is not None:
        run = runs.get_queryset(request).filter(pk=run_id).first()
    if run is None or not can(admin, request, "view_run", run):
        raise Http404(_("There is no run %(id)s for you.") % {"id": run_id})
    if not can(admin, request, action, run):
        raise PermissionDenied
    return run
