"""Which database the demo site and the tests use."""

from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured

#: What `DATABASE_URL` should look like.
EXAMPLE = "postgresql://user:password@host:5432/name"


def database_settings() -> dict[str, Any]:
    """Give Django's `DATABASES["default"]`: `DATABASE_URL` where set, else the embedded server.

    Raises `ImproperlyConfigured`, which names `DATABASE_URL`, where that is not the URL of a
    PostgreSQL.
    """
    url = os.environ.get("DATABASE_URL")
    if url:
        return _read(url)
    from project import embedded

    return embedded.database_settings()


def _read(url: str) -> dict[str, Any]:
    import dj_database_url

    try:
        found = dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
    except ValueError:  # of whatever kind; its message may hold the password
        found = {}
    if found.get("ENGINE") != "django.db.backends.postgresql":
        raise ImproperlyConfigured(
            f"DATABASE_URL is not the URL of a PostgreSQL database, such as {EXAMPLE} (characters "
            "like @ and / in a password are written %40 and %2F). Fix it, or unset it for the demo "
            "site's own server."
        )
    return found
