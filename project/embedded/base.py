"""Django's PostgreSQL backend, which makes sure that the embedded server runs before it connects.

`manage.py help`, `check` and the like need no database and so start none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import OperationalError
from django.db.backends.postgresql import base, client

from project import embedded


class DatabaseClient(client.DatabaseClient):
    """`manage.py dbshell` with the server's own psql."""

    def runshell(self, parameters: Iterable[str]) -> None:
        """Start the server, then psql. Raises OperationalError."""
        _ensure_running()
        self.executable_name = str(embedded.program_folder() / "psql")
        super().runshell(list(parameters))


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to the embedded server."""

    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        """Give what psycopg needs, with the server running. Raises OperationalError."""
        _ensure_running()
        return super().get_connection_params()


def _ensure_running() -> None:
    try:
        embedded.ensure_running()
    except embedded.EmbeddedServerError as error:
        raise OperationalError(str(error)) from error
