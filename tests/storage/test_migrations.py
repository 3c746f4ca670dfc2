"""What the migrations install is what the source says, and they take all of it back."""

from __future__ import annotations

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django import choices
from pgflow_django.models import Workflow
from pgflow_django.sql import FROZEN, FUNCTIONS, SOURCE, frozen_before, read_sql
from pgflow_django.sql.__main__ import add_operation, freeze
from pgflow_django.sql.pgmq import NEEDED
from tests.storage.conftest import objects, pgmq_script, run

LATEST = "9999"


def migrate(connection: BaseDatabaseWrapper, *target: str, verbosity: int = 1) -> str:
    """Run the command as a person does, with its checks; what it printed."""
    printed = StringIO()
    call_command(
        "migrate",
        *target,
        database=connection.alias,
        verbosity=verbosity,
        stdout=printed,
        skip_checks=False,
    )
    return printed.getvalue()


# -- the source and what is frozen of it -------------------------------------------------------


def test_every_file_of_the_source_is_frozen_as_it_is() -> None:
    names = [path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.sql")]
    outdated = [
        name for name in names if frozen_before(LATEST, name) != (SOURCE / name).read_text()
    ]
    assert outdated == [], "run `python -m pgflow_django.sql freeze NUMBER` for a new migration"


def test_no_function_stays_frozen_that_is_gone_from_the_source() -> None:
    frozen = {path.stem for path in FROZEN.glob("*/functions/*.sql")}
    gone = frozen - set(FUNCTIONS)
    assert [name for name in gone if frozen_before(LATEST, f"functions/{name}.sql")] == []


def definitions(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return dict(
        run(
            connection,
            "select p.oid::regprocedure::text, pg_get_functiondef(p.oid) from pg_proc p "
            "where p.pronamespace = 'pgflow'::regnamespace",
        )
    )


def test_migrated_functions_are_those_of_the_source(database: BaseDatabaseWrapper) -> None:
    migrate(database, "pgflow_django")
    by_migrations = definitions(database)
    with transaction.atomic("scratch"):
        run(database, f"drop function {', '.join(by_migrations)} cascade")
        run(database, "set local check_function_bodies = off")
        for name in FUNCTIONS:
            run(database, read_sql(name))
        by_source = definitions(database)

    assert len(by_source) == len(FUNCTIONS)
    assert by_migrations == by_source


def test_every_body_is_valid_once_all_functions_are_there(migrated: BaseDatabaseWrapper) -> None:
    for name in FUNCTIONS:
        run(migrated, read_sql(name))


def test_models_are_as_the_migrations_leave_them(migrated: BaseDatabaseWrapper) -> None:
    call_command("makemigrations", "pgflow_django", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_file_holds_the_function_that_it_is_named_for(name: str) -> None:
    assert re.findall(r"create or replace function pgflow\.(\w+)\s*\(", read_sql(name)) == [name]


def test_the_engine_calls_only_what_is_asked_of_pgmq() -> None:
    called = {name for text in map(read_sql, FUNCTIONS) for name in _calls(text)}
    assert called <= {needed.partition("(")[0] for needed in NEEDED}


def _calls(text: str) -> list[str]:
    return re.findall(r"\bpgmq\.(?!q_)(\w+)\s*\(", text)  # q_…: the table of a queue


def test_what_is_asked_of_pgmq_is_in_the_script_of_the_package() -> None:
    assert {name.partition("(")[0] for name in NEEDED} <= set(
        re.findall(r"CREATE FUNCTION pgmq\.(\w+)", pgmq_script())
    )


# -- statuses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "known"),
    [
        ("workflow_runs", choices.RunState.values),
        ("workflow_step_states", choices.StepStatus.values),
        ("workflow_step_tasks", choices.TaskStatus.values),
    ],
)
def test_constraints_know_the_statuses_of_choices(
    migrated: BaseDatabaseWrapper, table: str, known: list[str]
) -> None:
    constraints = dict(
        run(
            migrated,
            "select conname, pg_get_constraintdef(oid) from pg_constraint "
            f"where conrelid = '{table}'::regclass and contype = 'c'",
        )
    )
    of_status = " ".join(text for text in constraints.values() if "status" in text)
    assert set(re.findall(r"'(\w+)'", of_status)) == set(known)


def test_functions_name_only_statuses_of_choices() -> None:
    known = {*choices.RunState.values, *choices.StepStatus.values, *choices.TaskStatus.values}
    comparison = re.compile(r"\bstatus\s*(?:=|<>|!=|(?:not\s+)?in)\s*(\([^)]*\)|'\w+')")
    for name in FUNCTIONS:
        literals = {
            literal
            for values in comparison.findall(read_sql(name))
            for literal in re.findall(r"'(\w+)'", values)
        }
        assert literals <= known, name


# -- forwards and back -------------------------------------------------------------------------


def test_migrate_zero_leaves_nothing_and_forward_works_again(database: BaseDatabaseWrapper) -> None:
    migrate(database)
    migrate(database, "pgflow_django", "zero")
    without_us = objects(database)
    assert ours(without_us) == set()

    migrate(database)
    Workflow.objects.using("scratch").create(workflow_slug="report", queue="gpu")
    run(database, "select pgflow.ensure_queue('gpu'), pgmq.send('pgflow_gpu', '{}')")
    assert ours(objects(database))
    migrate(database, "pgflow_django", "zero")
    assert objects(database) == without_us


def ours(things: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """What belongs to us, to pgmq or to our triggers, by its name."""
    return {(kind, name) for kind, name in things if re.search("pgflow|pgmq|workfl|pgtrig", name)}


def test_trigger_functions_of_others_stay(database: BaseDatabaseWrapper) -> None:
    body = "returns trigger language plpgsql as 'begin return _pgtrigger_should_ignore(); end'"
    migrate(database, "pgflow_django")
    run(database, f"create function pgtrigger_mine_0a1b2() {body}")

    migrate(database, "pgflow_django", "zero")

    names = {name for kind, name in ours(objects(database)) if kind == "function"}
    assert names == {"pgtrigger_mine_0a1b2", "_pgtrigger_should_ignore"}


def test_a_role_that_owns_its_database_and_no_more_can_migrate(owner: BaseDatabaseWrapper) -> None:
    migrate(owner, "pgflow_django")
    run(owner, "select pgflow.ensure_queue('gpu')")
    migrate(owner, "pgflow_django", "zero")

    assert ours(objects(owner)) == set()


def test_migrate_says_what_became_of_pgmq(database: BaseDatabaseWrapper) -> None:
    forwards = migrate(database, "pgflow_django")
    found = r"\n  pgmq: (extension|from SQL, version) 1\.\d+\.\d+, installed by pgflow_django"
    assert re.search(found, forwards)
    assert "pgmq" not in migrate(database, "pgflow_django")

    run(database, "select pgmq.create('letters')")
    back = migrate(database, "pgflow_django", "zero")
    assert "\n  pgmq: kept, other queues live there: letters\n" in back


def test_migrate_says_nothing_where_it_shall_not(database: BaseDatabaseWrapper) -> None:
    assert migrate(database, "pgflow_django", verbosity=0) == ""


def test_migrate_that_is_refused_changes_nothing(database: BaseDatabaseWrapper) -> None:
    run(database, "create schema pgflow; create table pgflow.flows (id int)")
    migrate(database, "contenttypes")
    before = objects(database)

    with pytest.raises(CommandError, match='has a schema "pgflow"'):
        migrate(database, "pgflow_django")

    assert objects(database) == before


# -- freezing ----------------------------------------------------------------------------------


def test_freezing_takes_what_changed_and_marks_what_is_gone(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "frozen"
    (source / "functions").mkdir(parents=True)
    (source / "types.sql").write_text("t1")
    (source / "functions" / "a.sql").write_text("a1")
    (source / "functions" / "b.sql").write_text("b1")

    def freeze_as(number: str) -> list[str]:
        return freeze(number, source=source, root=root)

    assert freeze_as("0001") == ["functions/a.sql", "functions/b.sql", "types.sql"]
    (source / "functions" / "a.sql").write_text("a2")
    assert freeze_as("0001") == ["functions/a.sql", "functions/b.sql", "types.sql"]
    assert frozen_before("0002", "functions/a.sql", root=root) == "a2"

    (source / "functions" / "a.sql").write_text("a3")
    (source / "functions" / "b.sql").unlink()
    assert freeze_as("0003") == ["functions/a.sql", "functions/b.sql"]
    assert frozen_before("0003", "functions/b.sql", root=root) == "b1"
    assert frozen_before("0004", "functions/b.sql", root=root) == ""
    assert freeze_as("0004") == []
    with pytest.raises(ValueError, match="0001 is history, since 0003 builds on it"):
        freeze_as("0001")


MADE_BY_DJANGO = """\
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("pgflow_django", "0005_rank_messages")]

    operations = [
        migrations.RunPython(print),
    ]
"""


def test_freezing_lets_the_migration_install_what_was_frozen(tmp_path: Path) -> None:
    path = tmp_path / "0006_priority.py"
    path.write_text(MADE_BY_DJANGO)
    assert add_operation("0005", folder=tmp_path) is None
    assert add_operation("0006", folder=tmp_path) == path.name
    namespace: dict[str, Any] = {}
    exec(path.read_text(), namespace)  # noqa: S102 - our own text
    found = [type(operation).__name__ for operation in namespace["Migration"].operations]
    assert found == ["RunPython", "InstallFunctions"]
    assert add_operation("0006", folder=tmp_path) is None


def test_freezing_wants_a_number() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pgflow_django.sql", "freeze", "1"],
        check=False,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "error: '1' is not the number of a migration: four digits, as in 0002" in result.stderr
