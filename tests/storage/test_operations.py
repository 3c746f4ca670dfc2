"""Migration operations on real databases, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.writer import OperationWriter

import pgflow_django.operations
from pgflow_django.operations import (
    CreateQueues,
    CreateSchema,
    InstallationError,
    InstallFunctions,
    InstallPgmq,
)
from pgflow_django.sql import read_sql
from pgflow_django.sql.pgmq import inspect
from tests.storage.conftest import alias, apply, objects, revert, run

# -- where it runs -----------------------------------------------------------------------------


class KeepOut:
    """A router that keeps our app out of every database but the default one."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "default"


@pytest.fixture
def sqlite() -> Iterator[BaseDatabaseWrapper]:
    with alias("sqlite", ENGINE="django.db.backends.sqlite3", NAME=":memory:") as connection:
        yield connection


ALL = [InstallPgmq(), CreateSchema(), InstallFunctions("0001"), CreateQueues(["default"])]


def test_nothing_happens_where_the_router_says_no(
    database: BaseDatabaseWrapper, sqlite: BaseDatabaseWrapper, settings: Any
) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.KeepOut"]
    before = objects(database)

    for connection in (database, sqlite):
        apply(connection, *ALL)
        revert(connection, *ALL)

    assert objects(database) == before


def test_another_kind_of_database_is_refused(
    django_db_blocker: Any, sqlite: BaseDatabaseWrapper
) -> None:
    with django_db_blocker.unblock(), pytest.raises(InstallationError) as refused:
        apply(sqlite, InstallPgmq())

    assert str(refused.value) == (
        'pgflow_django needs PostgreSQL, but the database ":memory:" (alias "sqlite") is SQLite. '
        "Keep the app out of it with allow_migrate() of a database router, or point the alias at a "
        "PostgreSQL server."
    )


# -- schema, functions and queues --------------------------------------------------------------


def test_a_schema_pgflow_that_holds_something_is_refused(database: BaseDatabaseWrapper) -> None:
    run(database, "create schema pgflow; create table pgflow.flows (flow_slug text)")

    with pytest.raises(InstallationError, match=r'a schema "pgflow" of \w+ that holds flows'):
        apply(database, CreateSchema())

    assert run(database, "select count(*) from pgflow.flows") == [(0,)]


def test_an_empty_schema_pgflow_is_taken(database: BaseDatabaseWrapper) -> None:
    run(database, "create schema pgflow")

    apply(database, CreateSchema())
    revert(database, CreateSchema())

    assert run(database, "select 1 from pg_namespace where nspname = 'pgflow'") == []


@pytest.fixture
def frozen(tmp_path: Path) -> Callable[..., None]:
    def write(number: str, **functions: str) -> None:
        folder = tmp_path / number / "functions"
        folder.mkdir(parents=True)
        for name, text in functions.items():
            (folder / f"{name}.sql").write_text(text)

    return write


def source(name: str, arguments: str, value: str) -> str:
    return (
        f"-- Says a word.\ncreate or replace function pgflow.{name}({arguments})\nreturns text\n"
        f"language sql stable\nas $$ select {value} $$;\n"
    )


def test_functions_are_installed_replaced_removed_and_put_back(
    database: BaseDatabaseWrapper, frozen: Callable[..., None], tmp_path: Path
) -> None:
    frozen("0001", a=source("a", "", "pgflow.b() || '100%'"), b=source("b", "", "'b1'"))
    frozen("0003", a=source("a", "x int", "'a3' || x"), b=source("b", "", "'b3'"))
    frozen("0004", b="", c=source("c", "", "'c4'"))
    first, third, fourth = (
        InstallFunctions(number, root=tmp_path) for number in ("0001", "0003", "0004")
    )

    def signatures() -> list[str]:
        return [
            row[0]
            for row in run(
                database,
                "select p.oid::regprocedure::text from pg_proc p "
                "where p.pronamespace = 'pgflow'::regnamespace order by 1",
            )
        ]

    apply(database, CreateSchema(), first)
    assert run(database, "select pgflow.a()") == [("b1100%",)]
    apply(database, third)
    assert run(database, "select pgflow.a(1), pgflow.b()") == [("a31", "b3")]
    assert signatures() == ["pgflow.a(integer)", "pgflow.b()"]
    apply(database, fourth)
    assert signatures() == ["pgflow.a(integer)", "pgflow.c()"]

    revert(database, fourth)
    assert run(database, "select pgflow.a(1), pgflow.b()") == [("a31", "b3")]
    assert signatures() == ["pgflow.a(integer)", "pgflow.b()"]
    revert(database, third)
    assert run(database, "select pgflow.a()") == [("b1100%",)]
    assert signatures() == ["pgflow.a()", "pgflow.b()"]
    revert(database, first)
    assert signatures() == []


def test_queues_are_created_and_dropped(
    database: BaseDatabaseWrapper, frozen: Callable[..., None], tmp_path: Path
) -> None:
    frozen("0001", ensure_queue=read_sql("ensure_queue"))
    queues = CreateQueues(["default", "gpu"])

    apply(database, InstallPgmq(), CreateSchema(), InstallFunctions("0001", root=tmp_path), queues)
    assert {"q_pgflow_default", "q_pgflow_gpu"} <= inspect(database).relations

    revert(database, queues)
    assert run(database, "select queue_name from pgmq.meta") == []


def test_sqlmigrate_gets_the_statements_and_changes_nothing(
    database: BaseDatabaseWrapper, frozen: Callable[..., None], tmp_path: Path
) -> None:
    frozen("0001", a=source("a", "", "'100%'"))
    before = objects(database)

    with database.schema_editor(collect_sql=True) as editor:
        for operation in (CreateSchema(), InstallFunctions("0001", root=tmp_path)):
            operation.database_forwards("pgflow_django", editor, None, None)  # type: ignore[arg-type]
        CreateQueues(["default"]).database_forwards("pgflow_django", editor, None, None)  # type: ignore[arg-type]
        statements = "\n".join(editor.collected_sql)

    assert "create schema if not exists pgflow" in statements
    assert "as $$ select '100%' $$;" in statements
    assert "select pgflow.ensure_queue('default')" in statements
    assert objects(database) == before
    assert InstallPgmq.reduces_to_sql is False


@pytest.mark.parametrize("operation", ALL)
def test_operations_can_be_written_into_a_migration(operation: Any) -> None:
    text, imports = OperationWriter(operation, indentation=0).serialize()

    assert imports == {"import pgflow_django.operations"}
    written = eval(text.removesuffix(","), {"pgflow_django": pgflow_django})  # noqa: S307
    assert OperationWriter(written, indentation=0).serialize() == (text, imports)
    assert written.describe()
    assert written.migration_name_fragment.isidentifier()
