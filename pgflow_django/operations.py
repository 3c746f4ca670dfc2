"""Migration operations: pgmq, the schema ``pgflow``, its functions and the queues.

Storage layer: imports Django and our ``sql`` package. ``migrate`` prints what was found and done
(see ``report``); so does the logger ``pgflow_django``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pgflow_django.sql import FROZEN, frozen_before, frozen_functions, frozen_sql, signature
from pgflow_django.sql.operation import PostgresOperation
from pgflow_django.sql.pgmq import PREFIX, inspect
from pgflow_django.sql.pgmq_install import InstallationError, install, uninstall
from pgflow_django.sql.ranking import look_at_ranks, ranking, unranking
from pgflow_django.sql.triggers import orphaned_functions, unused_shared_functions
from pgflow_django.storage.trouble import doctor_command, place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

__all__ = [
    "CreateQueues",
    "CreateSchema",
    "DropTriggerFunctions",
    "InstallFunctions",
    "InstallPgmq",
    "InstallationError",
    "RankMessages",
    "frozen_sql",
    "report",
]

logger = logging.getLogger("pgflow_django")

#: What became of pgmq, by database alias, until ``migrate`` has printed it.
_reports: dict[str, str] = {}


class InstallPgmq(PostgresOperation):
    """Makes pgmq available: what is there already, else the extension, else its SQL.

    Needs no superuser. Taken back, our queues go, and pgmq too where we installed it and nobody
    else uses it.
    """

    reduces_to_sql = False
    atomic = True

    def apply(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Install pgmq, or keep the one that is there. Raises ``InstallationError``."""
        _note(schema_editor, install(schema_editor.connection))

    def revert(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Drop what is ours."""
        _note(schema_editor, uninstall(schema_editor.connection))

    def describe(self) -> str:
        """Say what it does, for ``migrate --plan``."""
        return "Install pgmq (extension or SQL) unless it is there"

    @property
    def migration_name_fragment(self) -> str:
        """Name of a migration that does only this."""
        return "install_pgmq"


class CreateSchema(PostgresOperation):
    """Creates the schema ``pgflow``. Taken back, it goes with all that is in it."""

    def apply(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Create the schema, unless something else lives under its name."""
        if not getattr(schema_editor, "collect_sql", False):
            _refuse_foreign_schema(schema_editor)
        schema_editor.execute("create schema if not exists pgflow", params=None)

    def revert(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Drop the schema."""
        schema_editor.execute("drop schema if exists pgflow cascade", params=None)

    def describe(self) -> str:
        """Say what it does, for ``migrate --plan``."""
        return "Create schema pgflow"

    @property
    def migration_name_fragment(self) -> str:
        """Name of a migration that does only this."""
        return "schema_pgflow"


def _refuse_foreign_schema(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Raise if ``pgflow`` holds anything: taking the migration back would destroy it."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "select pg_get_userbyid(n.nspowner), array("
            "  select c.relname::text from pg_class c where c.relnamespace = n.oid union all"
            "  select p.proname from pg_proc p where p.pronamespace = n.oid order by 1 limit 5"
            ") from pg_namespace n where n.nspname = 'pgflow'"
        )
        owner, things = cursor.fetchone() or ("", [])
    if things:
        raise InstallationError(
            f'The {place(schema_editor.connection.alias)} has a schema "pgflow" of {owner} that '
            f"holds {', '.join(things)}. pgflow_django needs that name for itself: rename or drop "
            "the schema, or give flows another database."
        )


class DropTriggerFunctions(PostgresOperation):
    """Taken back, drops the functions that django-pgtrigger leaves behind when its triggers go.

    For the beginning of the first migration: taken back, that is when our tables are gone.
    """

    def apply(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Do nothing: triggers bring their functions themselves."""

    def revert(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Drop the functions of our models' triggers, and the one that all triggers share."""
        connection = schema_editor.connection
        for name in orphaned_functions(connection):
            schema_editor.execute(f"drop function {name}", params=None)
        for name in unused_shared_functions(connection):
            schema_editor.execute(f"drop function {name}", params=None)

    def describe(self) -> str:
        """Say what it does, for ``migrate --plan``."""
        return "Drop trigger functions when taken back"

    @property
    def migration_name_fragment(self) -> str:
        """Name of a migration that does only this."""
        return "drop_trigger_functions"


class InstallFunctions(PostgresOperation):
    """Installs the functions that are frozen in ``migrations/sql/<number>/functions``.

    Taken back, each gets the text that the migrations before left, or goes with the first of them.
    An empty file removes its function.
    """

    def __init__(self, number: str, *, root: Path = FROZEN) -> None:
        """``number`` names the folder, as in ``0001``."""
        self.number = number
        self.root = root

    def apply(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Create and replace functions."""
        self._replace(schema_editor, self._changes())

    def revert(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Put back what was there before."""
        self._replace(schema_editor, [(name, new, old) for name, old, new in self._changes()])

    def _changes(self) -> list[tuple[str, str, str]]:
        """Give each function's name and its text before and after."""
        return [
            (name, frozen_before(self.number, f"functions/{name}.sql", root=self.root), text)
            for name, text in frozen_functions(self.number, root=self.root).items()
        ]

    def _replace(
        self, schema_editor: BaseDatabaseSchemaEditor, changes: list[tuple[str, str, str]]
    ) -> None:
        # Bodies of "language sql" may then call functions that come later.
        schema_editor.execute("set local check_function_bodies = off", params=None)
        for name, present, wanted in changes:
            # "create or replace" would leave the old one beside one of another signature.
            if present and signature(present) != signature(wanted):
                schema_editor.execute(f"drop function if exists pgflow.{name}", params=None)
            if wanted:
                schema_editor.execute(wanted, params=None)
        schema_editor.execute("set local check_function_bodies = default", params=None)

    def describe(self) -> str:
        """Say what it does, for ``migrate --plan``."""
        return f"Install SQL functions {self.number}"

    @property
    def migration_name_fragment(self) -> str:
        """Name of a migration that does only this."""
        return "functions"


class CreateQueues(PostgresOperation):
    """Creates queues. Taken back, they go with what they hold."""

    def __init__(self, names: Sequence[str]) -> None:
        """``names`` are ours, without pgmq's ``pgflow_``."""
        self.names = names

    def apply(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Create the queues that are missing."""
        for name in self.names:
            schema_editor.execute("select pgflow.ensure_queue(%s)", [name])

    def revert(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Drop the queues."""
        if inspect(schema_editor.connection).state == "missing":
            return
        for name in self.names:
            schema_editor.execute("select pgmq.drop_queue(%s)", [PREFIX + name])

    def describe(self) -> str:
        """Say what it does, for ``migrate --plan``."""
        return f"Create queues {', '.join(self.names)}"

    @property
    def migration_name_fragment(self) -> str:
        """Name of a migration that does only this."""
        return "queues_" + "_".join(self.names)


class RankMessages(PostgresOperation):
    """Has messages claimed in the order in which they are due, in the queues that are there.

    Claims and sends go on meanwhile, so it is for a migration that is not atomic. What was
    interrupted is done again by the next ``migrate``.
    """

    def apply(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Let the ranks of delayed messages follow, and build the indexes that are missing."""
        connection = schema_editor.connection
        for queue in look_at_ranks(connection):
            if queue.is_ranked:
                continue
            if not queue.may_change:
                command = doctor_command(connection.alias) + " --repair"
                logger.warning(
                    "queue %s is another role's: that must run `%s`", queue.name, command
                )
                continue
            for statement in ranking(queue.name, concurrently=not connection.in_atomic_block):
                schema_editor.execute(statement, params=None)

    def revert(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        """Drop the indexes."""
        connection = schema_editor.connection
        for queue in look_at_ranks(connection):
            if queue.may_change:
                statement = unranking(queue.name, concurrently=not connection.in_atomic_block)
                schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        """Say what it does, for ``migrate --plan``."""
        return "Index queues by when their messages are due"

    @property
    def migration_name_fragment(self) -> str:
        """Name of a migration that does only this."""
        return "rank_messages"


def _note(schema_editor: BaseDatabaseSchemaEditor, sentence: str) -> None:
    alias = schema_editor.connection.alias
    logger.info("%s: %s", alias, sentence)
    _reports[alias] = sentence


def report(*, using: str, verbosity: int, stdout: Any = None, **_: Any) -> None:
    """Print what became of pgmq: a receiver of ``post_migrate``.

    An operation itself knows neither ``--verbosity`` nor the command's output.
    """
    sentence = _reports.pop(using, "")
    if sentence and verbosity >= 1 and stdout is not None:
        stdout.write(f"  {sentence}")
