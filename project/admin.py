"""The demo's table in the admin."""

from __future__ import annotations

from django.contrib import admin

from project.models import Airport


@admin.register(Airport)
class AirportAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's has no argument
    """Shows what the flow has loaded."""

    list_display = ("code", "name", "city", "state")
    list_filter = ("state",)
    search_fields = ("code", "name", "city")
