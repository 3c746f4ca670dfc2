"""Who may do what with flows and runs in the admin: one place for all pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from pgflow_django.choices import Origin
from pgflow_django.models import Workflow

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

#: Permissions of our own by action; the others are the ModelAdmin's hooks.
_OWN = {"publish": "publish_workflow", "run": "run_workflow"}


def can(admin: ModelAdmin[Any], request: HttpRequest, action: str, obj: Any = None) -> bool:
    """Whether the user may do ``action`` with ``obj``; sites decide by the admin's hooks."""
    if action in {"change", "publish"} and getattr(obj, "origin", None) == Origin.CODE:
        return False
    hook = getattr(admin, f"has_{action}_permission", None)
    if hook is not None:
        return bool(hook(request, obj))
    if action in _OWN:
        return request.user.has_perm(f"pgflow_django.{_OWN[action]}")  # type: ignore[union-attr]
    return False


def require(
    admin: ModelAdmin[Any], request: HttpRequest, action: str, slug: str
) -> Workflow | None:
    """The flow of this slug, ``None`` for one that is only a draft, if the action is allowed.

    Raises ``Http404`` for what may not be seen and ``PermissionDenied`` for what may be seen, but
    not done.
    """
    workflow: Workflow | None = admin.get_queryset(request).filter(pk=slug).first()
    is_hidden = workflow is None and Workflow.objects.filter(pk=slug).exists()
    if is_hidden or not can(admin, request, "view", workflow):
        raise Http404(f"There is no flow {slug} for you.")
    if not can(admin, request, action, workflow):
        raise PermissionDenied
    return workflow
