"""The demo site as a Django app: it has a table, step functions and a command."""

from __future__ import annotations

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Installs the demo site."""

    name = "project"
    verbose_name = "Demo site"
    default_auto_field = "django.db.models.BigAutoField"
