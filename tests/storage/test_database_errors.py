"""A database that can't serve says what is wrong, where, and what to run."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django import engine
from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.models import Workflow, WorkflowStep
from pgflow_django.storage.trouble import database_errors
from tests.storage.conftest import Query, alias, run, stranger_in

POSTGRESQL = "django.db.backends.postgresql"


def start(using: str) -> Any:
    """Call the engine as every door of the app does in the end."""
    return engine.start_flow("report", "[{}]", using=using)


def message_of(using: str, sql: str = "") -> str:
    with pytest.raises(DatabaseNotReady) as raised, database_errors(using):
        run(connections[using], sql) if sql else start(using)
    assert raised.value.code == "database_not_ready"
    assert "\n" not in raised.value.message
    return raised.value.message


@pytest.fixture(autouse=True)
def _unblocked(django_db_blocker: Any) -> Any:
    with django_db_blocker.unblock():
        yield


# -- no connection -----------------------------------------------------------------------------


def test_server_that_is_down() -> None:
    where = {"ENGINE": POSTGRESQL, "HOST": "127.0.0.1", "PORT": "1", "NAME": "shop", "USER": "ann"}
    with alias("down", **where, PASSWORD="open sesame"):
        message = message_of("down")

    assert message == (
        'No connection to the database "shop" (alias "down", host 127.0.0.1:1, user "ann"): '
        'Connection refused. Start the server or correct DATABASES["down"] (in the demo site: '
        "DATABASE_URL; with that unset, `make demo` brings a server of its own)."
    )


def test_socket_that_is_not_there() -> None:
    where = {"ENGINE": POSTGRESQL, "HOST": "/nowhere", "PORT": "", "NAME": "shop", "USER": ""}
    with alias("down", **where):
        message = message_of("down")

    assert message.startswith(
        'No connection to the database "shop" (alias "down", socket in /nowhere): '
        'No such file or directory. Start the server or correct DATABASES["down"]'
    )


def test_database_that_does_not_exist() -> None:
    with alias("other", NAME="pgflow_never_made"):
        message = message_of("other")

    assert message.endswith(
        'database "pgflow_never_made" does not exist. Create it (`createdb pgflow_never_made`), '
        "then run `python manage.py migrate --database other`."
    )


def test_role_that_does_not_exist() -> None:
    with alias("other", USER="pgflow_never_made", PASSWORD="open sesame"):
        message = message_of("other")

    assert 'DATABASES["other"] (in the demo site: DATABASE_URL).' in message
    assert "Correct USER and PASSWORD of" in message
    assert "open sesame" not in message


def test_connection_that_is_lost(database: BaseDatabaseWrapper) -> None:
    message = message_of("scratch", "select pg_terminate_backend(pg_backend_pid())")
    assert message.startswith("No connection to the database ")
    assert 'Start the server or correct DATABASES["scratch"]' in message


def test_server_of_the_demo_site_that_can_not_start_speaks_for_itself() -> None:
    own_words = "The embedded PostgreSQL cannot be used: the disk is full. Free some space."
    with (
        alias("down", NAME="shop", HOST="", USER=""),
        pytest.raises(DatabaseNotReady) as raised,
        database_errors("down"),
    ):
        raise OperationalError(own_words) from RuntimeError(own_words)

    assert raised.value.message == (
        f'No connection to the database "shop" (alias "down", local socket). {own_words}'
    )


@pytest.mark.parametrize(
    ("sqlstate", "words", "fix"),
    [
        ("53300", "sorry, too many clients already", "Close connections, or raise max_connections"),
        ("57P03", "the database system is starting up", "Start the server or correct"),
        ("53100", "could not extend file: No space left on device", "Free some space there"),
    ],
)
def test_server_at_its_limits(
    database: BaseDatabaseWrapper, sqlstate: str, words: str, fix: str
) -> None:
    message = message_of("scratch", raising(sqlstate, words))
    assert words in message
    assert fix in message


def raising(sqlstate: str, words: str = "as it is") -> str:
    return f"do $$ begin raise exception '{words}' using errcode = '{sqlstate}'; end $$"


# -- not installed -----------------------------------------------------------------------------


def test_migrations_not_applied(database: BaseDatabaseWrapper) -> None:
    name = database.settings_dict["NAME"]
    message = message_of("scratch")

    assert message.startswith(f'The database "{name}" (alias "scratch", ')
    assert ") lacks what pgflow_django's migrations install: schema " in message
    assert message.endswith(
        'schema "pgflow" does not exist. Run `python manage.py migrate --database scratch`; if '
        "that has nothing to do, `python manage.py pgflow_doctor --database scratch --repair` puts "
        "back what was removed by hand."
    )


def test_tables_not_there(database: BaseDatabaseWrapper) -> None:
    with (
        pytest.raises(DatabaseNotReady, match=r'relation "workflows" does not exist\. Run `pyth'),
        database_errors("scratch"),
    ):
        Workflow.objects.using("scratch").exists()


def test_pgmq_missing(migrated: BaseDatabaseWrapper) -> None:
    Workflow.objects.using("scratch").create(workflow_slug="report")
    WorkflowStep.objects.using("scratch").create(
        workflow_slug="report", step_slug="fetch", step_index=0
    )
    run(migrated, "drop schema pgmq cascade")

    message = message_of("scratch")
    assert 'schema "pgmq" does not exist. Run `python manage.py migrate' in message
    assert "`python manage.py pgflow_doctor --database scratch --repair`" in message


def test_default_alias_needs_no_option(migrated: BaseDatabaseWrapper) -> None:
    with pytest.raises(DatabaseNotReady) as raised, database_errors("default"):
        run(migrated, "select pgflow.never_made()")

    assert "function pgflow.never_made() does not exist. Run `python manage.py migrate`; " in str(
        raised.value
    )


def test_role_without_rights(server: Query, migrated: BaseDatabaseWrapper) -> None:
    with stranger_in(server, migrated):
        message = message_of("stranger")

    assert ": permission denied for schema pgflow. Connect as the role that ran the mig" in message


def test_read_only_database(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, "set default_transaction_read_only = on")

    message = message_of("scratch", "delete from workflows")
    assert ") is read-only: cannot execute DELETE in a read-only transaction. Point the" in message


# -- everything else ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1 / 0", DataError),
        ("select * from letters", ProgrammingError),
        ("select sing()", ProgrammingError),
        ("select from", ProgrammingError),
        (raising("23505", "duplicate key in workflows"), IntegrityError),
        (raising("40P01"), OperationalError),
        (raising("40001"), OperationalError),
        (raising("57014"), OperationalError),
        (raising("PF001", "no flow of this name"), Exception),
    ],
)
def test_other_errors_pass_unchanged(
    database: BaseDatabaseWrapper, sql: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as raised, database_errors("scratch"):
        run(database, sql)
    assert not isinstance(raised.value, DatabaseNotReady)


def test_misuse_of_the_driver_passes_unchanged(database: BaseDatabaseWrapper) -> None:
    with database.cursor() as cursor:
        cursor.close()
        with pytest.raises(InterfaceError), database_errors("scratch"):
            cursor.execute("select 1")


def test_what_is_no_error_of_a_database_passes_unchanged() -> None:
    with pytest.raises(KeyError), database_errors("scratch"):
        raise KeyError("x")


def test_nothing_is_asked_as_long_as_nothing_is_wrong() -> None:
    with database_errors("no such alias"):
        pass
