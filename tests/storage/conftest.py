"""Databases of their own for tests that install, break and remove what a whole database has."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from pgmq.install import get_embedded_install_sql, get_embedded_sql_version

from pgflow_django.storage.diagnosis import repair

Query = Callable[..., list[Any]]

#: Version of the script that the package `pgmq` ships.
PGMQ = get_embedded_sql_version()


@contextmanager
def alias(name: str, **settings: Any) -> Iterator[BaseDatabaseWrapper]:
    """A database alias like ``default`` but for these settings, for a while."""
    connections.settings[name] = {**connections.settings["default"], "OPTIONS": {}, **settings}
    try:
        yield connections[name]
    finally:
        driver = connections[name].connection
        connections[name].close()
        if driver is not None:
            driver.close()  # Django leaves that of an SQLite in memory open
        del connections[name]
        del connections.settings[name]


@pytest.fixture(scope="session")
def server() -> Iterator[Query]:
    """Runs SQL in the server's maintenance database, as the role of the tests."""
    parameters = connections["default"].get_connection_params() | {"dbname": "postgres"}
    for name in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters, autocommit=True) as connection:

        def run_there(sql: str) -> list[Any]:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

        yield run_there


@contextmanager
def scratch(server: Query, *, template: str = "template1") -> Iterator[str]:
    """A database for a while; its name."""
    name = f"pgflow_scratch_{secrets.token_hex(4)}"
    server(f"create database {name} template {template}")
    try:
        yield name
    finally:
        server(f"drop database {name} with (force)")


@pytest.fixture
def database(server: Query, django_db_blocker: Any) -> Iterator[BaseDatabaseWrapper]:
    """An empty database of its own, under the alias ``scratch``."""
    with (
        scratch(server) as name,
        django_db_blocker.unblock(),
        alias("scratch", NAME=name) as connection,
    ):
        yield connection


@pytest.fixture(scope="session")
def migrated_template(server: Query, django_db_blocker: Any) -> Iterator[str]:
    """A database with our migrations applied, to be copied."""
    with scratch(server) as name:
        with django_db_blocker.unblock(), alias("template", NAME=name):
            call_command("migrate", database="template", verbosity=0)
            # Of a function that is edited and not yet frozen only the parity tests shall tell.
            repair("template")
        yield name


@pytest.fixture
def migrated(
    server: Query, migrated_template: str, django_db_blocker: Any
) -> Iterator[BaseDatabaseWrapper]:
    """A database of its own with our migrations applied, under the alias ``scratch``."""
    with (
        scratch(server, template=migrated_template) as name,
        django_db_blocker.unblock(),
        alias("scratch", NAME=name) as connection,
    ):
        yield connection


@contextmanager
def stranger_in(server: Query, database: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """A database under the alias ``stranger``, for a role that may only connect to it."""
    role = f"pgflow_role_{secrets.token_hex(4)}"
    name = database.settings_dict["NAME"]
    try:
        server(f"create role {role} login password 'open sesame'")
    except psycopg.errors.InsufficientPrivilege:
        pytest.skip("the role of the tests may not create roles")
    try:
        with alias("stranger", NAME=name, USER=role, PASSWORD="open sesame") as connection:
            yield connection
    finally:
        run(database, f"reassign owned by {role} to current_user")
        run(database, f"drop owned by {role}")
        server(f"alter database {name} owner to current_user")
        server(f"drop role {role}")


@pytest.fixture
def stranger(server: Query, database: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """The empty database under the alias ``stranger``, for a role that may only connect to it."""
    with stranger_in(server, database) as connection:
        yield connection


@pytest.fixture
def owner(
    server: Query, database: BaseDatabaseWrapper, stranger: BaseDatabaseWrapper
) -> BaseDatabaseWrapper:
    """The role of ``stranger`` made the owner of the database, and no more than that."""
    role, name = stranger.settings_dict["USER"], database.settings_dict["NAME"]
    server(f"alter database {name} owner to {role}")
    return stranger


@pytest.fixture
def offer_extension(server: Query, database: BaseDatabaseWrapper) -> Iterator[Callable[..., None]]:
    """Makes the server offer pgmq as an extension, to connections that begin afterwards.

    The script is the extension's own: it is what the package ``pgmq`` ships.
    """
    if server("select current_setting('server_version_num')::int < 180000")[0][0]:
        pytest.skip("a folder of extensions of its own needs PostgreSQL 18")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    name = database.settings_dict["NAME"]

    def offer(version: str = PGMQ, *, control: str = "superuser = false") -> None:
        extension = folder / "extension"
        extension.mkdir()
        (extension / "pgmq.control").write_text(
            f"default_version = '{version}'\nschema = 'pgmq'\nrelocatable = false\n{control}\n"
        )
        (extension / f"pgmq--{version}.sql").write_text(pgmq_script())
        server(f"alter database {name} set extension_control_path = '{folder}:$system'")
        database.close()

    yield offer
    shutil.rmtree(folder)


def pgmq_script() -> str:
    """The SQL that the package ``pgmq`` ships."""
    return str(get_embedded_install_sql())


def run(connection: BaseDatabaseWrapper, sql: str) -> list[Any]:
    """Run SQL and give the rows, if any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, None)
        return cursor.fetchall() if cursor.description else []


def role_of(connection: BaseDatabaseWrapper) -> str:
    """The role that a connection has."""
    return str(run(connection, "select current_user")[0][0])


def apply(connection: BaseDatabaseWrapper, *operations: Operation) -> None:
    """Apply operations as a migration of pgflow_django does."""
    with connection.schema_editor(atomic=True) as editor:
        for operation in operations:
            operation.database_forwards("pgflow_django", editor, ProjectState(), ProjectState())


def revert(connection: BaseDatabaseWrapper, *operations: Operation) -> None:
    """Take operations back, the last one first."""
    with connection.schema_editor(atomic=True) as editor:
        for operation in reversed(operations):
            operation.database_backwards("pgflow_django", editor, ProjectState(), ProjectState())


def objects(connection: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    """Everything in a database that PostgreSQL did not come with, by kind and name."""
    return set(
        run(
            connection,
            """
            select 'relation', c.relname from pg_class c
            where c.oid >= 16384 and c.relnamespace <> 'pg_toast'::regnamespace
            union select 'function', p.proname from pg_proc p where p.oid >= 16384
            union select 'type', t.typname from pg_type t where t.oid >= 16384
            union select 'schema', n.nspname from pg_namespace n where n.oid >= 16384
            union select 'trigger', t.tgname from pg_trigger t where not t.tgisinternal
            union select 'constraint', c.conname from pg_constraint c where c.oid >= 16384
            union select 'extension', e.extname from pg_extension e where e.oid >= 16384
            union select 'default privilege', d.defaclnamespace::regnamespace::text
            from pg_default_acl d
            union select 'comment', d.description from pg_description d where d.objoid >= 16384
            """,
        )
    )
