"""Who may do what with flows and runs in the admin: one place for all pages.

Every answer comes from a hook of the ``ModelAdmin`` concerned (``has_<hook>_permission``) and from
its ``get_queryset``, so that a site narrows both by overriding them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin.exceptions import NotRegistered
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from pgflow_django import drafts
from pgflow_django.choices import Origin
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import (
    AgentToken,
    Workflow,
    WorkflowDraft,
    WorkflowRun,
    WorkflowWorker,
)
from pgflow_django.runs import shown_errors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet

#: What is asked of the admin of flows, and of that of runs: action -> hook.
_FLOW_HOOKS = {"view": "view", "add": "add", "change": "change", "delete": "delete"}
_FLOW_HOOKS |= {"publish": "publish", "run": "run", "describe": "use_ai"}
_RUN_HOOKS = {"view_run": "view", "cancel_run": "cancel", "retry_run": "retry"}
_RUN_HOOKS |= {"pause_run": "pause", "decide_run": "decide", "view_payload": "payload"}
_HOOKS: dict[str, tuple[Any, str]] = {
    **{action: (Workflow, hook) for action, hook in _FLOW_HOOKS.items()},
    **{action: (WorkflowRun, hook) for action, hook in _RUN_HOOKS.items()},
    "view_workers": (WorkflowWorker, "view"),
    "view_tokens": (AgentToken, "view"),
    "add_token": (AgentToken, "add"),
    "revoke_token": (AgentToken, "revoke"),
}
#: Who has a model describe a flow adds or changes it, too.
_DESCRIBE = "describe"
#: Who reruns a run may run its flow.
_RERUN = "rerun"


#: The largest number that a row of a table can have.
_MAX_ID = 2**63 - 1


def can(admin: ModelAdmin[Any], request: HttpRequest, action: str, obj: Any = None) -> bool:
    """Whether the user may do ``action`` with ``obj``, or at all where that is ``None``.

    ``action`` is one of view, add, change, delete, publish, run, describe (a flow), view_run,
    cancel_run, retry_run, pause_run, decide_run, view_payload (a run), view_workers, view_tokens,
    add_token and revoke_token (a token of a program). ``admin`` may be that of any of them. Flows
    that code defines are changed there only.
    """
    if action in {"change", "publish"} and getattr(obj, "origin", None) == Origin.CODE:
        return False
    model, hook = _HOOKS[action]
    owner = find_admin(admin, model)
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


def find_flow(admin: ModelAdmin[Any], request: HttpRequest, slug: str) -> Workflow | None:
    """The flow of this slug if the user may know of it, else ``None``.

    A flow that was never published is only a draft: it is given as ``stand_in`` makes it.
    """
    flows = find_admin(admin, Workflow)
    if flows is None or not is_valid_slug(slug):
        return None
    flow: Workflow | None = flows.get_queryset(request).filter(pk=slug).first()
    if flow is None and not Workflow.objects.filter(pk=slug).exists():
        unpublished = flows.get_draft_queryset(request)  # type: ignore[attr-defined]
        draft = unpublished.filter(pk=slug).first()
        flow = stand_in(draft) if draft is not None else None
    return flow if flow is not None and can(admin, request, "view", flow) else None


def stand_in(draft: WorkflowDraft) -> Workflow:
    """What hooks are asked about where a flow was never published: one that is not stored."""
    return Workflow(
        workflow_slug=draft.workflow_slug,
        description=draft.document.get("description") or "",
        origin=Origin.EDITOR,
        created_by=draft.created_by,
        created_at=draft.created_at,
    )


def is_published(flow: Workflow) -> bool:
    """Whether the flow is stored, and not just what stands in for a draft."""
    return not flow._state.adding  # noqa: SLF001 - Django's own name for it


def require(admin: ModelAdmin[Any], request: HttpRequest, action: str, slug: str) -> Workflow:
    """The flow of this slug if the action is allowed; only a draft: see ``stand_in``.

    Raises ``Http404`` for what may not be seen and ``PermissionDenied`` for what may be seen, but
    not done.
    """
    flow = find_flow(admin, request, slug)
    if flow is None:
        raise Http404(_("There is no flow %(slug)s for you.") % {"slug": slug})
    actions = ("change", action) if action == _DESCRIBE else (action,)
    if not all(can(admin, request, each, flow) for each in actions):
        raise PermissionDenied
    return flow


def require_new(admin: ModelAdmin[Any], request: HttpRequest, action: str = "add") -> None:
    """Raise as ``require`` does unless the user may add flows, in the way of ``action``."""
    if not can(admin, request, "view"):
        raise Http404
    if not all(can(admin, request, each) for each in {"add", action}):
        raise PermissionDenied


def require_new_token(admin: ModelAdmin[Any], request: HttpRequest) -> None:
    """Raise as ``require`` does unless the user may make tokens for programs."""
    if not can(admin, request, "view_tokens"):
        raise Http404
    if not can(admin, request, "add_token"):
        raise PermissionDenied


def require_token(
    admin: ModelAdmin[Any], request: HttpRequest, action: str, token_id: int
) -> AgentToken:
    """The token of this number if the action is allowed.

    Raises as ``require`` does.
    """
    tokens = find_admin(admin, AgentToken)
    is_number = token_id <= _MAX_ID
    found = tokens.get_queryset(request).filter(pk=token_id) if tokens and is_number else None
    token: AgentToken | None = found.first() if found is not None else None
    if token is None or not can(admin, request, "view_tokens", token):
        raise Http404(_("There is no token %(id)s for you.") % {"id": token_id})
    if not can(admin, request, action, token):
        raise PermissionDenied
    return token


def require_import(admin: ModelAdmin[Any], request: HttpRequest, slug: str) -> Workflow:
    """The flow of this slug if it may be changed, or what is to be a new one of that name.

    Raises as ``require`` does.
    """
    try:
        drafts.load(slug)
    except PgflowError:
        require_new(admin, request)
        return Workflow(workflow_slug=slug)
    return require(admin, request, "change", slug)


def list_runs(admin: ModelAdmin[Any], request: HttpRequest) -> QuerySet[WorkflowRun]:
    """The runs that the user may know of, in no order, without what can be large of them.

    Every page that tells of runs begins here: what a site's ``get_queryset`` hides is nowhere.
    """
    runs = find_admin(admin, WorkflowRun)
    if runs is None:
        return WorkflowRun.objects.none()
    found: QuerySet[WorkflowRun] = runs.get_queryset(request).order_by()
    return found.defer("input", "output", "error")


def showing_errors(
    admin: ModelAdmin[Any], request: HttpRequest, run: WorkflowRun
) -> AbstractContextManager[None]:
    """Until it ends, errors of this run are read as the user may see them: see ``redact_error``.

    Every page and every operation that tells of errors is answered within it.
    """
    runs: Any = find_admin(admin, WorkflowRun)
    return shown_errors.showing_errors(partial(runs.redact_error, request, run))


def lock_run(run_id: UUID, alias: str) -> str | None:
    """How a run stands, which nobody changes until the transaction ends; ``None`` for no run.

    Who does something with it knows by that whether it was done here, or by somebody just before.
    """
    locked = WorkflowRun.objects.using(alias).select_for_update().filter(pk=run_id)
    status: str | None = locked.values_list("status", flat=True).first()
    return status


def require_run(
    admin: ModelAdmin[Any], request: HttpRequest, action: str, run_id: UUID
) -> WorkflowRun:
    """The run of this id if the action is allowed; it may also be rerun.

    Raises as ``require`` does.
    """
    run = list_runs(admin, request).filter(pk=run_id).first()
    if run is None or not can(admin, request, "view_run", run):
        raise Http404(_("There is no run %(id)s for you.") % {"id": run_id})
    may = _may_rerun if action == _RERUN else can
    if not may(admin, request, action, run):
        raise PermissionDenied
    return run


def _may_rerun(admin: ModelAdmin[Any], request: HttpRequest, _: str, run: WorkflowRun) -> bool:
    """Whether the user may run the flow of a run, which begins another one."""
    flow = find_flow(admin, request, run.workflow_slug)
    return flow is not None and can(admin, request, "run", flow)
