"""URLs of the tests: the admin, where a site has it, and what programs call."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("agents/", include("pgflow_django.agents.urls")),
]
