"""Which database the demo site and the tests use."""

from __future__ import annotations

import os
from typing import Any


def database_settings() -> dict[str, Any]:
    """Give Django's `DATABASES["default"]`: `DATABASE_URL` where set, else the embedded server."""
    url = os.environ.get("DATABASE_URL")
    if url:
        import dj_database_url

        return dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
    from project import embedded

    return embedded.database_settings()
