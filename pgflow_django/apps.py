"""The Django app: finds step functions and registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class PgflowConfig(AppConfig):
    """Installs pgflow_django into a site."""

    name = "pgflow_django"
    verbose_name = _("Workflows")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Discover ``steps.py`` of the installed apps, as the admin does with ``admin.py``."""
        autodiscover_modules("steps")
