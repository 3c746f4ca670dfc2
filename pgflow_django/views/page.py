"""What all pages have in common: what the admin shows around them, addresses, files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin


def frame_options() -> dict[str, Any]:
    """Variables for the admin's own templates.

    Django's sidebar is left out: drawings and tables need the width, and the breadcrumbs lead
    everywhere. Under Unfold the sidebar is the only menu, and can be folded: it stays.
    """
    return {} if apps.is_installed("unfold") else {"is_nav_sidebar_enabled": False}


def describe_page(
    request: HttpRequest, admin: ModelAdmin[Any], title: str, **more: Any
) -> dict[str, Any]:
    """The variables that every page of ours has, whatever it shows."""
    return {
        **admin.admin_site.each_context(request),
        "title": title,
        "opts": admin.opts,
        **frame_options(),
        **more,
    }


def find_address(admin: ModelAdmin[Any], name: str, *args: Any) -> str:
    """The address of a page by the end of its name: ``workflow_edit``, ``workflowrun_change``."""
    return reverse(f"admin:pgflow_django_{name}", args=args, current_app=admin.admin_site.name)


def give_file(content: str | bytes, name: str, content_type: str) -> HttpResponse:
    """Return a file that browsers store and never show as a page of the site."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
