"""How pgmq gets into real databases, and out of them again."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django.operations import CreateQueues, InstallationError, InstallPgmq
from pgflow_django.sql.pgmq import inspect
from tests.storage.conftest import PGMQ, Query, apply, objects, pgmq_script, revert, role_of, run

Offer = Callable[..., None]


# -- pgmq: how it comes ------------------------------------------------------------------------


def test_pgmq_comes_from_the_package_where_the_server_offers_no_extension(
    server: Query, database: BaseDatabaseWrapper
) -> None:
    if server("select 1 from pg_available_extensions where name = 'pgmq'"):
        pytest.skip("this server offers the extension")

    apply(database, InstallPgmq())

    assert str(inspect(database)) == f"from SQL, version {PGMQ}, installed by pgflow_django"
    run(database, "select pgmq.create('letters')")
    run(database, """select pgmq.send('letters', '{"to": "50% of all"}')""")
    assert run(database, "select message->>'to' from pgmq.read('letters', 1, 1)") == [
        ("50% of all",)
    ]


def test_pgmq_needs_no_more_than_a_role_that_owns_its_database(owner: BaseDatabaseWrapper) -> None:
    apply(owner, InstallPgmq())

    assert inspect(owner).state == "serves"
    run(owner, "select pgmq.create('letters')")
    run(owner, "select pgmq.drop_queue('letters')")
    before_pgmq = {("schema", "public")}
    revert(owner, InstallPgmq())
    assert objects(owner) - before_pgmq == set()


def test_pgmq_is_the_extension_where_the_server_offers_it(
    database: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension()

    apply(database, InstallPgmq())

    assert str(inspect(database)) == f"extension {PGMQ}, installed by pgflow_django"


def test_the_extension_needs_no_more_than_a_role_that_owns_its_database(
    owner: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension()
    before = objects(owner)

    apply(owner, InstallPgmq())
    assert str(inspect(owner)) == f"extension {PGMQ}, installed by pgflow_django"
    run(owner, "select pgmq.create('pgflow_letters')")

    revert(owner, InstallPgmq())
    assert objects(owner) == before


def test_an_extension_that_only_a_superuser_may_create_is_replaced_by_the_script(
    owner: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension(control="superuser = true")

    apply(owner, InstallPgmq())

    assert str(inspect(owner)) == f"from SQL, version {PGMQ}, installed by pgflow_django"


def test_a_trusted_extension_whose_tables_belong_to_a_superuser_is_replaced_by_the_script(
    owner: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension(control="superuser = true\ntrusted = true")

    apply(owner, InstallPgmq())

    assert str(inspect(owner)) == f"from SQL, version {PGMQ}, installed by pgflow_django"


def test_an_old_extension_is_not_taken(
    database: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension("1.5.1")

    apply(database, InstallPgmq())

    assert str(inspect(database)) == f"from SQL, version {PGMQ}, installed by pgflow_django"


def test_a_pgmq_of_somebody_else_is_used_and_stays(database: BaseDatabaseWrapper) -> None:
    run(database, pgmq_script())
    before = objects(database)

    apply(database, InstallPgmq())
    assert str(inspect(database)) == f"from SQL, found there (owner: {role_of(database)})"
    run(database, "select pgmq.create('pgflow_letters')")

    revert(database, InstallPgmq())
    assert objects(database) == before


def test_an_extension_of_somebody_else_is_used_and_stays(
    database: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension()
    run(database, "create extension pgmq")
    before = objects(database)

    apply(database, InstallPgmq())
    assert str(inspect(database)) == f"extension {PGMQ}, found there (owner: {role_of(database)})"

    revert(database, InstallPgmq())
    assert objects(database) == before


def test_a_pgmq_that_is_too_old_is_refused(database: BaseDatabaseWrapper) -> None:
    run(database, pgmq_script())
    run(database, "drop function pgmq.acquire_queue_lock")

    with pytest.raises(InstallationError) as refused:
        apply(database, InstallPgmq())

    message = str(refused.value)
    name = database.settings_dict["NAME"]
    assert f'pgmq in the database "{name}" (alias "scratch", ' in message
    assert message.endswith(
        f"is older than 1.6.0 (from SQL, found there (owner: {role_of(database)})): it lacks "
        f"acquire_queue_lock(text). Let {role_of(database)} update it: pgmq's own update scripts, "
        "one version after the other."
    )


def test_an_extension_that_is_too_old_is_refused(
    database: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension("1.5.1")
    run(database, "create extension pgmq")
    run(database, "alter extension pgmq drop function pgmq.acquire_queue_lock")
    run(database, "drop function pgmq.acquire_queue_lock")

    with pytest.raises(InstallationError, match=r"update it: `alter extension pgmq update`\."):
        apply(database, InstallPgmq())


def test_a_schema_pgmq_that_is_something_else_is_refused(database: BaseDatabaseWrapper) -> None:
    run(database, "create schema pgmq; create table pgmq.jobs (id int)")

    with pytest.raises(CommandError) as refused:
        apply(database, InstallPgmq())

    message = str(refused.value)
    assert message.startswith(f'The database "{database.settings_dict["NAME"]}" (alias "scratch", ')
    assert message.endswith(
        f'has a schema "pgmq" of {role_of(database)} that is not pgmq: jobs. Rename or drop that '
        "schema, or give flows another database."
    )
    assert run(database, "select count(*) from pgmq.jobs") == [(0,)]


def test_a_pgmq_out_of_the_roles_reach_is_refused_with_the_grants_that_mend_it(
    database: BaseDatabaseWrapper, stranger: BaseDatabaseWrapper
) -> None:
    run(database, pgmq_script())

    with pytest.raises(InstallationError) as refused:
        apply(stranger, InstallPgmq())

    message = str(refused.value)
    assert "it lacks USAGE, CREATE, SELECT on meta, INSERT on meta, DELETE on meta." in message
    grants = message.partition(f"Let {role_of(database)} run `")[2].removesuffix("`.")
    run(database, grants)
    apply(stranger, InstallPgmq())
    run(stranger, "select pgmq.create('pgflow_letters')")
    run(stranger, "select pgmq.drop_queue('pgflow_letters')")


def test_a_package_that_can_not_be_imported_is_named(
    server: Query, database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server("select 1 from pg_available_extensions where name = 'pgmq'"):
        pytest.skip("this server offers the extension")
    monkeypatch.setitem(sys.modules, "pgmq.install", None)

    with pytest.raises(InstallationError, match="Python package pgmq, whose SQL is needed here"):
        apply(database, InstallPgmq())


def test_a_role_that_may_not_create_schemas_is_told_so(stranger: BaseDatabaseWrapper) -> None:
    with pytest.raises(InstallationError) as refused:
        apply(stranger, InstallPgmq())

    name = stranger.settings_dict["NAME"]
    assert f"permission denied for database {name}. Let the database's owner " in str(refused.value)
    assert "`grant create on database`" in str(refused.value)


# -- pgmq: how it goes -------------------------------------------------------------------------


def test_taking_pgmq_back_leaves_nothing(database: BaseDatabaseWrapper) -> None:
    before = objects(database)
    apply(database, InstallPgmq())
    run(database, "select pgmq.create('pgflow_a'), pgmq.create('pgflow_B'), pgmq.create('PGflow')")
    run(database, "select pgmq.drop_queue('PGflow'), pgmq.send('pgflow_a', '{}')")

    revert(database, InstallPgmq())

    assert objects(database) == before
    apply(database, InstallPgmq())


def test_queues_of_others_keep_pgmq(database: BaseDatabaseWrapper) -> None:
    apply(database, InstallPgmq())
    run(database, "select pgmq.create('pgflow_a'), pgmq.create('letters')")

    revert(database, InstallPgmq())

    assert run(database, "select queue_name from pgmq.meta") == [("letters",)]
    assert "q_pgflow_a" not in inspect(database).relations


@pytest.mark.parametrize(
    "thing",
    [
        "create view public.queues as select queue_name from pgmq.meta",
        "create table public.kept (message pgmq.message_record)",
        "create function pgmq.mine() returns int language sql as 'select 1'",
        "create table pgmq.mine (id int)",
    ],
)
def test_what_others_built_upon_pgmq_keeps_it(database: BaseDatabaseWrapper, thing: str) -> None:
    apply(database, InstallPgmq())
    run(database, thing)
    before = objects(database)

    revert(database, InstallPgmq())

    assert objects(database) == before


def test_what_others_built_upon_the_extension_keeps_it(
    database: BaseDatabaseWrapper, offer_extension: Offer
) -> None:
    offer_extension()
    apply(database, InstallPgmq())
    run(database, "create view public.queues as select queue_name from pgmq.meta")

    revert(database, InstallPgmq())

    assert inspect(database).extension == PGMQ


def test_taking_back_a_pgmq_that_is_gone_does_nothing(database: BaseDatabaseWrapper) -> None:
    apply(database, InstallPgmq())
    run(database, "drop schema pgmq cascade")

    revert(database, InstallPgmq(), CreateQueues(["default"]))

    assert inspect(database).state == "missing"
