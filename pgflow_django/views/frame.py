"""What the admin shows around our pages."""

from __future__ import annotations

from typing import Any

from django.apps import apps


def frame_options() -> dict[str, Any]:
    """Variables for the admin's own templates.

    Django's sidebar is left out: drawings and tables need the width, and the breadcrumbs lead
    everywhere. Under Unfold the sidebar is the only menu, and can be folded: it stays.
    """
    return {} if apps.is_installed("unfold") else {"is_nav_sidebar_enabled": False}
