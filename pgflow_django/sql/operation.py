"""What our migration operations have in common.

Storage layer: imports Django and ``database``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import router
from django.db.migrations.operations.base import Operation, OperationCategory

from pgflow_django.sql.pgmq_install import InstallationError
from pgflow_django.storage.trouble import place

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState


class PostgresOperation(Operation):
    """Runs where the router lets our app live, which must be PostgreSQL. Changes no state."""

    category = OperationCategory.SQL

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Models know nothing of it."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Apply it."""
        if _is_asked_for(app_label, schema_editor):
            self.apply(schema_editor)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Take it back."""
        if _is_asked_for(app_label, schema_editor):
            self.revert(schema_editor)

    def apply(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Change the database."""
        raise NotImplementedError

    def revert(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Change it back."""
        raise NotImplementedError


def _is_asked_for(app_label: str, schema_editor: BaseDatabaseSchemaEditor) -> bool:
    connection = schema_editor.connection
    if not router.allow_migrate(connection.alias, app_label):
        return False
    if connection.vendor != "postgresql":
        raise InstallationError(
            f"pgflow_django needs PostgreSQL, but the {place(connection.alias)} is "
            f"{connection.display_name}. Keep the app out of it with allow_migrate() of a database "
            "router, or point the alias at a PostgreSQL server."
        )
    return True
