"""Workers in the admin: one page that says who is alive and what each is doing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import path

from pgflow_django.models import WorkflowWorker


@admin.register(WorkflowWorker)
class WorkflowWorkerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """Workers are looked at: they come and go by themselves.

    Sites narrow who may see them by overriding ``has_view_permission``.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Workers register themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only workers change their rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Workers that end, or are lost, are removed by the engine."""
        return False

    def get_urls(self) -> list[Any]:
        """Give the one page that there is, under the name of Django's list."""
        from pgflow_django.views.htmx import admin_page
        from pgflow_django.views.worker_page import workers

        page = admin_page(self, workers)
        return [path("", page, name="pgflow_django_workflowworker_changelist")]
