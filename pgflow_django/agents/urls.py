"""The addresses of agents, for a site to include: ``path("agents/", include(...))``."""

from __future__ import annotations

from django.urls import path, re_path

from pgflow_django.agents import http, mcp

urlpatterns = [
    path("mcp/", mcp.serve, name="pgflow_mcp"),
    # A redirect would turn a POST into a GET.
    path("mcp", mcp.serve),
    # Whatever is below is answered in JSON, also where nothing is.
    re_path(r"^api/v1(?:/|\Z)(?P<rest>(?s:.*))\Z", http.serve, name="pgflow_api"),
]
