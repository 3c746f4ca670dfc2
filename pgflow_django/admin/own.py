"""What Django's admin does for every model by itself, and the admin of flows and runs does not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin


class OwnAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """An admin whose objects are seen and changed on pages of its own.

    Django's views of one object know neither what these pages ask nor what they hide, and they take
    an id in any spelling: none of them is there.
    """

    #: What is kept of the views that Django has for every model.
    kept_views: tuple[str, ...] = ("changelist",)

    def get_urls(self) -> list[Any]:
        """Give the addresses of the views that are kept."""
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        kept = {f"{prefix}{view}" for view in self.kept_views}
        return [url for url in super().get_urls() if url.name in kept]
