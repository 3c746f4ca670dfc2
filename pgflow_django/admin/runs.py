"""Runs in the admin: their list, and the page of each."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from pgflow_django.models import WorkflowRun


@admin.register(WorkflowRun)
class WorkflowRunAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """Runs are looked at, cancelled and retried; nobody adds, edits or deletes one here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Runs are started from a flow's page."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the engine changes runs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Old runs are removed by ``manage.py pruneruns``."""
        return False

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may cancel this run."""
        return _has(request, "cancel_workflowrun")

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may retry this run."""
        return _has(request, "retry_workflowrun")

    def has_payload_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may see this run's input and outputs."""
        return _has(request, "view_payload")


def _has(request: HttpRequest, codename: str) -> bool:
    return request.user.has_perm(f"pgflow_django.{codename}")
