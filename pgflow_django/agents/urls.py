"""Addresses for programs: ``path("agents/", include("pgflow_django.agents.urls"))``."""

from __future__ import annotations

from django.urls import re_path

from pgflow_django.agents import http

urlpatterns = [
    # Whatever is below is answered in JSON, also where nothing is.
    re_path(r"^api/v1(?:/|\Z)(?P<rest>(?s:.*))\Z", http.serve, name="pgflow_api"),
]
