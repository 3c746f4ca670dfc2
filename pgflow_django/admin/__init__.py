"""The app in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern

from pgflow_django.models import Workflow


@admin.register(Workflow)
class WorkflowAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """Flows: their list, and the pages of each."""

    def get_urls(self) -> list[Any]:
        """Give the pages of flows, before those that Django has for every model."""
        from pgflow_django.views import editor

        pages: list[URLPattern] = editor.urlpatterns(self)
        return [*pages, *super().get_urls()]
