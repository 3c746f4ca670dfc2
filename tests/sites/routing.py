"""A router that keeps flows in a database of their own."""

from __future__ import annotations

from typing import Any


class FlowsApart:
    """Our models are in the alias ``flows``, and nothing else is."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """The alias of a model."""
        return "flows" if model._meta.app_label == "pgflow_django" else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Whether an app has tables there."""
        return (db == "flows") == (app_label == "pgflow_django")
