"""Workers in the admin: one page that says who is alive and what each is doing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import path

from pgflow_django.admin.permissions import LookedAt
from pgflow_django.models import WorkflowWorker


@admin.register(WorkflowWorker)
class WorkflowWorkerAdmin(LookedAt, admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """Workers are looked at: they come and go by themselves.

    Sites narrow who may see them by overriding ``has_view_permission``.
    """

    def get_urls(self) -> list[Any]:
        """Give the one page that there is, under the name of Django's list."""
        from pgflow_django.views.htmx import admin_page
        from pgflow_django.views.worker_page import workers

        page = admin_page(self, workers)
        return [path("", page, name="pgflow_django_workflowworker_changelist")]
