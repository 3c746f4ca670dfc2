"""Workers in the admin: one page that says who is alive and what each is doing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from pgflow_django.admin.own import LookedAt
from pgflow_django.models import WorkflowWorker
from pgflow_django.views.urls import WORKER_PAGES, urls_of


@admin.register(WorkflowWorker)
class WorkflowWorkerAdmin(LookedAt, admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """Workers are looked at: they come and go by themselves.

    Sites narrow who may see them by overriding ``has_view_permission``.
    """

    def get_urls(self) -> list[Any]:
        """Give the one page that there is, under the name of Django's list."""
        return urls_of(self, WORKER_PAGES)
