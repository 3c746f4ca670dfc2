"""`manage.py pgflow_doctor` on healthy and on broken databases."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowWorker
from pgflow_django.sql import FUNCTIONS, read_sql
from tests.storage.conftest import Query, alias, objects, run, stranger_in


def doctor(*arguments: str, using: str = "scratch") -> tuple[int, str]:
    """Run the command; its exit status and what it printed."""
    printed = StringIO()
    try:
        call_command("pgflow_doctor", "--database", using, *arguments, stdout=printed)
    except SystemExit as end:
        return int(str(end.code)), printed.getvalue()
    return 0, printed.getvalue()


def verdicts(printed: str) -> dict[str, str]:
    """Each subject's verdict."""
    lines = (line.split() for line in printed.splitlines() if not line.startswith(" "))
    return {words[0]: words[1] for words in lines}


def test_a_healthy_database(migrated: BaseDatabaseWrapper) -> None:
    WorkflowWorker.objects.using("scratch").create(
        kind="celery", hostname="a", pid=1, lease_until="2999-01-01T00:00Z"
    )
    WorkflowWorker.objects.using("scratch").create(
        kind="celery", hostname="a", pid=2, lease_until="1999-01-01T00:00Z"
    )
    run(migrated, "select pgmq.send('pgflow_default', '{}')")

    status, printed = doctor()

    assert status == 0
    name = migrated.settings_dict["NAME"]
    lines = printed.splitlines()
    assert lines[0].startswith(f'Database    OK     database "{name}" (alias "scratch", ')
    assert lines[1].startswith("PostgreSQL  OK     1")
    assert lines[2].startswith("pgmq        OK     ")
    assert lines[2].endswith(", installed by pgflow_django")
    assert lines[3:] == [
        "Migrations  OK     applied",
        f"Functions   OK     {len(FUNCTIONS)}, current",
        "Queues      OK     default 1, in_process 0",
        "Workers     OK     1 alive, 1 silent: others take over their work",
    ]


def test_json_and_nothing_else(migrated: BaseDatabaseWrapper) -> None:
    status, printed = doctor("--json")

    answer = json.loads(printed)
    assert status == 0
    assert answer["ok"] is True
    assert answer["database"] == "scratch"
    assert [finding["subject"] for finding in answer["findings"]] == [
        "Database",
        "PostgreSQL",
        "pgmq",
        "Migrations",
        "Functions",
        "Queues",
        "Workers",
    ]


def test_json_of_a_fault(database: BaseDatabaseWrapper) -> None:
    status, printed = doctor("--json")

    answer = json.loads(printed)
    assert status == 1
    assert answer["ok"] is False
    (fault,) = (finding for finding in answer["findings"] if not finding["ok"])
    assert fault["subject"] == "Migrations"
    assert fault["mend"] == "Run `python manage.py migrate --database scratch`."


def test_migrations_not_applied(database: BaseDatabaseWrapper) -> None:
    status, printed = doctor()

    assert status == 1
    assert verdicts(printed) == {
        "Database": "OK",
        "PostgreSQL": "OK",
        "pgmq": "OK",
        "Migrations": "WRONG",
    }
    assert printed.endswith("Run `python manage.py migrate --database scratch`.\n")


def test_a_server_that_is_down(django_db_blocker: Any) -> None:
    where = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "1"}
    with django_db_blocker.unblock(), alias("down", **where, NAME="shop", USER="ann"):
        status, printed = doctor(using="down")

    assert status == 1
    title, what, fix = printed.splitlines()
    assert title == "Database    WRONG  can't be used"
    assert what.strip() == (
        'No connection to the database "shop" (alias "down", host 127.0.0.1:1, user "ann"): '
        "Connection refused."
    )
    assert fix.strip() == (
        'Start the server or correct DATABASES["down"] (in the demo site: DATABASE_URL; with that '
        "unset, `make demo` brings a server of its own)."
    )


def test_a_database_that_is_not_postgresql(django_db_blocker: Any) -> None:
    with alias("sqlite", ENGINE="django.db.backends.sqlite3", NAME=":memory:"):
        status, printed = doctor(using="sqlite")

    assert status == 1
    assert 'The database ":memory:" (alias "sqlite") is not PostgreSQL.' in printed


def test_a_role_without_rights(server: Query, migrated: BaseDatabaseWrapper) -> None:
    with stranger_in(server, migrated):
        status, printed = doctor(using="stranger")

    assert status == 1
    assert verdicts(printed)["Rights"] == "WRONG"
    assert "grant usage on schema pgflow to " in printed
    assert "grant select on django_migrations to " in printed


def test_work_that_waits_for_no_worker(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, "select pgmq.send('pgflow_default', '{}'), pgmq.send('pgflow_in_process', '{}')")

    status, printed = doctor()

    assert status == 1
    assert "no worker is alive: queue default." in printed
    assert "Start one: `celery -A tests worker`." in printed


# -- repair ------------------------------------------------------------------------------------


def test_repair_puts_back_what_was_removed_or_changed(migrated: BaseDatabaseWrapper) -> None:
    flow_builder.create_flow("report", queue="gpu", using="scratch")
    flow_builder.add_step("report", "render", using="scratch")
    executor.cancel_run(executor.start_flow("report", using="scratch").id, using="scratch")
    before = objects(migrated)
    run(migrated, "drop schema pgmq cascade")
    run(migrated, "drop function pgflow.uuid7, pgflow.cancel_run")
    run(migrated, read_sql("sweep").replace("begin", "begin -- by hand", 1))
    assert doctor()[0] == 1

    status, printed = doctor("--repair")

    assert status == 0, printed
    repaired = [line for line in printed.splitlines() if line.startswith("repaired")]
    assert repaired[0].startswith("repaired    pgmq: ")
    assert ", installed by pgflow_django" in repaired[0]
    assert repaired[1:] == [
        "repaired    function cancel_run: installed",
        "repaired    function uuid7: installed",
        "repaired    function sweep: installed",
        "repaired    queue default: created, empty",
        "repaired    queue gpu: created, empty",
        "repaired    queue in_process: created, empty",
    ]
    assert before <= objects(migrated)
    assert "repaired" not in doctor("--repair")[1]


def test_repair_is_no_replacement_for_migrate(database: BaseDatabaseWrapper) -> None:
    before = objects(database)

    status, printed = doctor("--repair")

    assert status == 1
    assert printed.startswith('not repaired: Migrations are not applied to the database "pgflow_')
    assert "run `python manage.py migrate --database scratch`." in printed
    assert objects(database) == before


def test_repair_that_fails_changes_nothing(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, "drop schema pgmq cascade; create schema pgmq; create table pgmq.jobs (id int)")
    before = objects(migrated)

    status, printed = doctor("--repair", "--json")

    answer = json.loads(printed)
    assert status == 1
    assert "is not pgmq: jobs." in answer["repair_failed"]
    assert objects(migrated) == before


# -- the command line --------------------------------------------------------------------------


def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        check=False,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )


def test_help_has_an_example() -> None:
    result = manage("pgflow_doctor", "--help")

    assert result.returncode == 0
    assert "Example: manage.py pgflow_doctor --database default --json" in result.stdout


def test_unknown_alias_is_bad_usage() -> None:
    result = manage("pgflow_doctor", "--database", "nowhere")

    assert result.returncode == 2
    assert "invalid choice: 'nowhere' (choose from" in result.stderr
