"""The Django app: finds step functions and registers the system checks."""

from __future__ import annotations

# Imported, it allows Meta.triggers: a site that forgot to install it gets a check, no traceback.
import pgtrigger.apps  # noqa: F401
from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class PgflowConfig(AppConfig):
    """Installs pgflow_django into a site."""

    name = "pgflow_django"
    verbose_name = _("Flows")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Discover ``steps.py`` of the installed apps, as the admin does with ``admin.py``.

        Also register the system checks, and let ``migrate`` tell what became of pgmq.
        """
        from pgflow_django import checks  # noqa: F401 - importing it registers them
        from pgflow_django.models import loading  # noqa: F401 - importing it connects receivers
        from pgflow_django.operations import report

        post_migrate.connect(report, sender=self)
        autodiscover_modules("steps")
