"""The sites that are crawled: what each has in its settings that ours has not."""

from __future__ import annotations

from typing import Any, NamedTuple


class Site(NamedTuple):
    """A site: its settings, and what is different about its databases and admins."""

    settings: dict[str, Any] = {}
    #: The flows are in the alias ``flows``, everything else in an SQLite.
    is_apart: bool = False
    #: Options of the database.
    options: dict[str, Any] = {}
    #: Where its admins are.
    admins: tuple[str, ...] = ("/admin/",)
    #: Whether its database must be made anew.
    has_own_tables: bool = False


_HASHING = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
_FILES = {"BACKEND": "django.core.files.storage.FileSystemStorage"}

SITES = {
    "english": Site({"LANGUAGE_CODE": "en", "USE_THOUSAND_SEPARATOR": True}),
    "french": Site({"LANGUAGE_CODE": "fr", "USE_THOUSAND_SEPARATOR": True}),
    "german": Site({"LANGUAGE_CODE": "de", "USE_THOUSAND_SEPARATOR": True}),
    "right to left": Site({"LANGUAGE_CODE": "ar", "USE_THOUSAND_SEPARATOR": True}),
    "without time zones": Site({"USE_TZ": False, "TIME_ZONE": "Asia/Kolkata"}),
    "hashed files": Site({"STORAGES": {"default": _FILES, "staticfiles": {"BACKEND": _HASHING}}}),
    "own users": Site({"AUTH_USER_MODEL": "people.Person"}, has_own_tables=True),
    "flows apart": Site({"DATABASE_ROUTERS": ["tests.sites.routing.FlowsApart"]}, is_apart=True),
    "two admins": Site({"ROOT_URLCONF": "tests.sites.urls"}, admins=("/back/stage/", "/office/")),
    "pool": Site(options={"pool": True}),
}
