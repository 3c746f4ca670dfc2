"""The app ``people``."""

from __future__ import annotations

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """Has the users of a site."""

    name = "tests.sites.people"
    label = "people"
