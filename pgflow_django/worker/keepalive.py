"""Connections that notice within seconds that the server is out of reach.

Without this a worker whose network is cut off waits for many minutes, and can't be stopped.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

#: libpq's options, in seconds (``tcp_user_timeout``: milliseconds). Local sockets ignore them.
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def harden(using: str) -> None:
    """Let this thread's connection to the alias have the options, where the site has set none.

    Only before it is opened; and not with Django's pool, whose connections other threads share.
    """
    connection = connections[using]
    if connection.connection is not None:
        return
    options = connection.settings_dict.get("OPTIONS") or {}
    if not options.get("pool"):
        # The dict is shared by the alias's connections in all threads.
        connection.settings_dict = {
            **connection.settings_dict,
            "OPTIONS": {**_OPTIONS, **options},
        }
