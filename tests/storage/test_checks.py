"""System checks: one test for each id, on real databases and settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, Tags, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings

from pgflow_django import executor, flow_builder
from pgflow_django.checks import _judge_value, judge_psycopg
from pgflow_django.conf import Defaults
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.sql import read_sql
from tests.storage.conftest import Query, alias, pgmq_script, role_of, run, stranger_in


def ours(messages: list[CheckMessage]) -> list[CheckMessage]:
    """The messages of pgflow_django; each says what is wrong, and its hint what to do."""
    found = [message for message in messages if str(message.id).startswith("pgflow.")]
    assert all(message.msg.endswith(".") and message.hint for message in found)
    return found


def check_site() -> list[CheckMessage]:
    return ours(run_checks())


def check_database(using: str = "scratch") -> list[CheckMessage]:
    return ours(run_checks(tags=[Tags.database], databases=[using]))


def start_on(queue: str, *, slug: str = "report") -> WorkflowRun:
    """A run of a new flow on this queue, which is made for it."""
    flow_builder.create_flow(slug, queue=queue, using="scratch")
    flow_builder.add_step(slug, "render", using="scratch")
    return executor.start_flow(slug, using="scratch")


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id) for message in messages]


@pytest.fixture
def _unblocked(django_db_blocker: Any) -> Any:
    with django_db_blocker.unblock():
        yield


# -- the site ----------------------------------------------------------------------------------


def test_a_site_without_faults_has_no_messages() -> None:
    assert check_site() == []


class ToSqlite:
    """A router that sends our models to the alias ``sqlite``."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return "sqlite"

    db_for_write = db_for_read


@pytest.mark.usefixtures("_unblocked")
def test_pgflow_e001_alias_is_not_postgresql(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.ToSqlite"]
    with alias("sqlite", ENGINE="django.db.backends.sqlite3", NAME=":memory:"):
        (message,) = check_site()

    assert message.id == "pgflow.E001"
    assert message.msg == (
        'The models of pgflow_django use the database ":memory:" (alias "sqlite"), which is '
        "SQLite, not PostgreSQL."
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [(None, "psycopg 3 is not installed"), ("3.1.18", "psycopg 3.1.18 is too old")],
)
def test_pgflow_e002_psycopg_missing_or_too_old(found: str | None, words: str) -> None:
    (message,) = judge_psycopg(found)

    assert message.id == "pgflow.E002"
    assert message.msg == f"{words}: pgflow_django needs 3.2 or later."
    assert message.hint == "Run `pip install 'psycopg[binary]>=3.2'`."


@pytest.mark.parametrize("found", ["3.2", "3.10.1", "4.0b1"])
def test_pgflow_e002_is_silent_for_a_psycopg_that_will_do(found: str) -> None:
    assert judge_psycopg(found) == []


def test_pgflow_e003_pgtrigger_not_installed(settings: Any) -> None:
    installed = [app for app in settings.INSTALLED_APPS if app != "pgtrigger"]
    with override_settings(INSTALLED_APPS=installed):
        (message,) = check_site()

    assert message.id == "pgflow.E003"
    assert message.hint == 'Add "pgtrigger" to INSTALLED_APPS.'


def test_pgflow_e004_settings_are_not_a_dict(settings: Any) -> None:
    settings.PGFLOW = ["THREADS", 8]

    (message,) = check_site()

    assert message.id == "pgflow.E004"
    assert message.msg == "PGFLOW is not a dict but of type list."


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("THREADS", "8", "a whole number above 0"),
        ("THREADS", 0, "a whole number above 0"),
        ("THREADS", 2.5, "a whole number above 0"),
        ("THREADS", True, "a whole number above 0"),
        ("LEASE_SECONDS", -1, "a number above 0"),
        ("LEASE_SECONDS", float("nan"), "a number above 0"),
        ("LEASE_SECONDS", float("inf"), "a number above 0"),
        ("POLL_INTERVAL", None, "a number above 0"),
        ("MAX_JOINED_BYTES", 2**30, "at most 267,386,880"),
        ("TRIAL_DAYS", 1_000_000, "at most 36,500"),
        ("LEASE_SECONDS", 1e300, "at most 604,800"),
        ("POLL_INTERVAL", 1e300, "at most 604,800"),
        ("LOOP_SECONDS", 1e300, "at most 604,800"),
        ("QUEUES", "gpu", "a list of names"),
    ],
)
def test_pgflow_e005_setting_has_a_bad_value(
    settings: Any, name: str, value: object, wanted: str
) -> None:
    settings.PGFLOW = {name: value}

    (message,) = check_site()

    assert message.id == "pgflow.E005"
    assert message.msg == f'PGFLOW["{name}"] is {value!r}, not {wanted}.'
    assert message.hint == (
        f"Remove it for the default, {getattr(Defaults(), name)!r}, or set {wanted}."
    )


def test_pgflow_e005_is_silent_for_good_values(settings: Any) -> None:
    settings.PGFLOW = {"THREADS": 8, "LEASE_SECONDS": 60, "POLL_INTERVAL": 0.5, "QUEUES": ["gpu"]}

    assert check_site() == []


def test_settings_that_are_no_numbers_are_judged_by_their_type() -> None:
    assert _judge_value("yes", default=True) == "a bool"
    assert _judge_value(False, default=True) == ""
    assert _judge_value(1, default="name") == "a str"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("threads", "THREADS"), ("LEASE_SECOND", "LEASE_SECONDS")],
)
def test_pgflow_w001_unknown_setting(settings: Any, name: str, nearest: str) -> None:
    settings.PGFLOW = {name: 8}

    (message,) = check_site()

    assert message.id == "pgflow.W001"
    assert message.msg == f"PGFLOW has no setting {name!r}."
    question, _, list_of_all = str(message.hint).partition("? ")
    assert question.startswith("Did you mean ")
    assert nearest in question
    assert list_of_all.startswith(
        "The settings are AGENTS, AGENT_ADMIN_SITE, AGENT_AUTHENTICATORS, AGENT_MAX_BYTES, "
    )


def test_pgflow_w001_setting_like_no_other(settings: Any) -> None:
    settings.PGFLOW = {7: 8}

    (message,) = check_site()

    assert str(message.hint).startswith("The settings are ")


@pytest.mark.usefixtures("_unblocked")
@pytest.mark.parametrize(
    ("pool", "threads", "is_small"),
    [(True, 3, False), (True, 4, True), ({"max_size": 9}, 9, True), ({"min_size": 9}, 8, False)],
)
def test_pgflow_w005_a_pool_of_too_few_connections(
    settings: Any, pool: Any, threads: int, is_small: bool
) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.ToPooled"]
    settings.PGFLOW = {"THREADS": threads}
    with alias("pooled", OPTIONS={"pool": pool}, CONN_MAX_AGE=0):
        messages = check_site()

    assert ids(messages) == (["pgflow.W005"] if is_small else [])
    if is_small:
        assert f"too few for the {threads} threads of PGFLOW" in messages[0].msg
        assert f"to {threads + 1} or more" in str(messages[0].hint)


class ToPooled(ToSqlite):
    """A router that sends our models to the alias ``pooled``."""

    def db_for_read(self, model: type, **hints: Any) -> str:
        return "pooled"

    db_for_write = db_for_read


# -- its databases -----------------------------------------------------------------------------


def test_a_migrated_database_has_no_messages(migrated: BaseDatabaseWrapper) -> None:
    assert check_database() == []


def test_an_empty_database_has_no_messages_since_migrate_begins_with_the_checks(
    database: BaseDatabaseWrapper,
) -> None:
    assert check_database() == []


class KeepOut:
    """A router that keeps our app out of every database but the default one."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "default"


def test_databases_of_others_are_not_looked_at(
    settings: Any, database: BaseDatabaseWrapper
) -> None:
    run(database, "create schema pgmq; create table pgmq.jobs (id int)")
    settings.DATABASE_ROUTERS = [f"{__name__}.KeepOut"]

    assert check_database() == []


@pytest.mark.usefixtures("_unblocked")
def test_pgflow_e006_no_connection() -> None:
    where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "1"}
    with alias("down", **where, NAME="shop", USER="ann"):
        (message,) = check_database("down")
        with pytest.raises(SystemCheckError, match=r"Connection refused\."):
            call_command("migrate", database="down", skip_checks=False)

    assert message.id == "pgflow.E006"
    assert message.msg == (
        'No connection to the database "shop" (alias "down", host 127.0.0.1:1, user "ann"): '
        "Connection refused."
    )


def test_pgflow_e007_postgresql_too_old(
    database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Django asks a server's version once for each alias, so this one must be new to it.
    with alias("elder", NAME=database.settings_dict["NAME"]) as connection:
        monkeypatch.setattr(connection.features, "minimum_database_version", (99,))
        (message,) = check_database("elder")

    assert message.id == "pgflow.E007"
    assert "is too old: PostgreSQL 99 or later is required (found " in message.msg


def test_pgflow_e008_pgmq_missing(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, "drop schema pgmq cascade")

    (message,) = check_database()

    assert message.id == "pgflow.E008"
    assert str(message.hint).startswith(
        "`python manage.py pgflow_doctor --database scratch --repair` installs it again."
    )


def test_pgflow_e009_pgmq_too_old(database: BaseDatabaseWrapper) -> None:
    run(database, pgmq_script())
    run(database, "drop function pgmq.acquire_queue_lock")

    (message,) = check_database()

    assert message.id == "pgflow.E009"
    assert "is older than 1.6.0" in message.msg


def test_pgflow_e010_schema_pgmq_is_foreign(database: BaseDatabaseWrapper) -> None:
    run(database, "create schema pgmq; create table pgmq.jobs (id int)")

    (message,) = check_database()

    assert message.id == "pgflow.E010"
    assert message.msg.endswith(" that is not pgmq: jobs.")


def test_pgflow_e011_pgmq_out_of_reach(server: Query, migrated: BaseDatabaseWrapper) -> None:
    with stranger_in(server, migrated) as connection:
        role = connection.settings_dict["USER"]
        run(migrated, f"grant select on django_migrations to {role}")
        messages = check_database("stranger")

    assert ids(messages) == ["pgflow.E011", "pgflow.E014"]
    assert f"{role} may not use pgmq in the database " in messages[0].msg


def test_pgflow_e011_a_queue_out_of_reach(server: Query, migrated: BaseDatabaseWrapper) -> None:
    with stranger_in(server, migrated) as connection:
        grant_all(migrated, connection.settings_dict["USER"])
        run(migrated, f"revoke update on pgmq.q_pgflow_default from {role_of(connection)}")
        (message,) = check_database("stranger")
        assert "lacks SELECT, INSERT, UPDATE, DELETE on q_pgflow_default." in message.msg
        run(migrated, grants_of(message))
        assert check_database("stranger") == []

    assert message.id == "pgflow.E011"


#: What is taken from a role that had all, and what it is to be given back.
MISSING = {
    "usage on schema pgflow": "usage on schema pgflow",
    "execute on function pgflow.sweep()": "execute on all functions in schema pgflow",
    "update on workflow_runs": "select, insert, update, delete on workflow_runs",
    "select on django_migrations": "select on django_migrations",
}


@pytest.mark.parametrize(("taken", "given"), MISSING.items())
def test_pgflow_e014_a_right_is_missing(
    server: Query, migrated: BaseDatabaseWrapper, taken: str, given: str
) -> None:
    with stranger_in(server, migrated) as connection:
        role = connection.settings_dict["USER"]
        grant_all(migrated, role)
        assert check_database("stranger") == []
        run(migrated, f"revoke {taken} from {role}, public")

        (message,) = check_database("stranger")
        run(migrated, grants_of(message))
        assert check_database("stranger") == []

    assert message.id == "pgflow.E014"
    assert message.msg.startswith(f"{role} may not use all that pgflow_django installed in the ")
    assert message.hint == f"Let {role_of(migrated)} run `grant {given} to {role}`."


def test_pgflow_e014_the_schema_of_the_tables_is_out_of_reach(
    server: Query, migrated: BaseDatabaseWrapper
) -> None:
    run(migrated, "revoke usage on schema public from public")
    with stranger_in(server, migrated) as connection:
        role = connection.settings_dict["USER"]
        grant_all(migrated, role)
        run(migrated, f"revoke usage on schema public from {role}")
        (message,) = check_database("stranger")

    assert message.id == "pgflow.E014"
    assert f"`grant usage on schema public to {role}`" in str(message.hint)


def grant_all(database: BaseDatabaseWrapper, role: str) -> None:
    """Give a role all that it needs of a database."""
    for schema, more in (("public", ""), ("pgflow", ""), ("pgmq", ", create")):
        run(database, f"grant usage{more} on schema {schema} to {role}")
        run(database, f"grant all on all tables in schema {schema} to {role}")


def grants_of(message: CheckMessage) -> str:
    """The SQL that a hint names."""
    return str(message.hint).split("`")[1]


def test_pgflow_e012_functions_missing(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, "drop function pgflow.cancel_run, pgflow.sweep")

    (message,) = check_database()

    assert message.id == "pgflow.E012"
    assert message.msg.startswith("Functions of pgflow_django are missing from the database ")
    assert message.msg.endswith(": cancel_run, sweep.")


def test_pgflow_w002_functions_differ(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, read_sql("sweep").replace("begin", "begin -- by hand", 1))

    (message,) = check_database()

    assert message.id == "pgflow.W002"
    assert message.msg.endswith("differ from this version of pgflow_django: sweep.")
    assert not message.is_serious()


def test_pgflow_e013_queues_missing(migrated: BaseDatabaseWrapper) -> None:
    start_on("gpu")
    run(migrated, "select pgmq.drop_queue('pgflow_default'), pgmq.drop_queue('pgflow_gpu')")

    (message,) = check_database()

    assert message.id == "pgflow.E013"
    assert message.msg.endswith(": default, gpu.")


def test_pgflow_e013_is_silent_for_queues_that_no_run_has_needed_yet(
    migrated: BaseDatabaseWrapper,
) -> None:
    flow_builder.create_flow("nightly", queue="gpu", using="scratch")
    flow_builder.add_step("nightly", "render", queue="printer", using="scratch")

    assert check_database() == []
    call_command("migrate", database="scratch", verbosity=0, skip_checks=False)
    executor.start_flow("nightly", using="scratch")
    assert check_database() == []


def test_pgflow_e013_queues_that_only_runs_of_an_older_version_use(
    migrated: BaseDatabaseWrapper,
) -> None:
    start_on("gpu", slug="active")
    executor.cancel_run(start_on("old", slug="ended").id, using="scratch")
    Workflow.objects.using("scratch").update(queue="default")
    run(migrated, "select pgmq.drop_queue('pgflow_gpu'), pgmq.drop_queue('pgflow_old')")

    (message,) = check_database()

    assert message.msg.endswith(": gpu.")


def test_checks_of_a_database_leave_its_connection_usable(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, "drop schema pgmq cascade")
    check_database()

    assert run(connections["scratch"], "select 1") == [(1,)]
