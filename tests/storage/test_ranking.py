"""Queues that were there before messages had ranks: what the migration makes of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.storage.conftest import Query, run, stranger_in
from tests.storage.test_doctor import doctor
from tests.waiting import wait_until

BEFORE = "0003"
INDEXES = (
    "select indexrelid::regclass::text, indisvalid from pg_index "
    "where indexrelid::regclass::text like '%rank_idx' order by 1"
)
DEFAULT, GPU, IN_PROCESS = (
    f"pgmq.q_pgflow_{name}_rank_idx" for name in ("default", "gpu", "in_process")
)


def migrate(connection: BaseDatabaseWrapper, *target: str) -> None:
    call_command("migrate", "pgflow_django", *target, database=connection.alias, verbosity=0)


@pytest.fixture
def old(migrated: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """A database as the release before left it: a queue more, a prompt run and a delayed one."""
    migrate(migrated, BEFORE)
    for slug, queue, delay in (("prompt", "default", 0), ("later", "gpu", 3600)):
        # In SQL: the models of today know columns that come later.
        run(migrated, f"insert into workflows (workflow_slug, queue) values ('{slug}', '{queue}')")
        run(
            migrated,
            "insert into workflow_steps"
            " (workflow_slug, step_slug, step_index, deps_count, start_delay)"
            f" values ('{slug}', 'only', 0, 0, {delay})",
        )
        run(migrated, f"select pgflow.start_flow('{slug}', '[{{}}]')")
    return migrated


def claim(connection: BaseDatabaseWrapper, call: str) -> list[str]:
    """Call ``settle_and_claim`` with these arguments after the worker; the steps that it gave."""
    ((worker,),) = run(
        connection,
        "select pgflow.register_worker('in_process', 'host', 1, '{default,gpu}', null, 30)",
    )
    ((answer,),) = run(connection, f"select pgflow.settle_and_claim({worker}, {call})::json")
    return [group[2] for group in (answer or {}).get("groups", ())]


def test_delayed_messages_get_their_rank_and_queues_their_index(old: BaseDatabaseWrapper) -> None:
    assert run(old, INDEXES) == []
    assert run(old, "select 1 from pgmq.q_pgflow_gpu where vt > enqueued_at")
    migrate(old)
    assert run(old, INDEXES) == [(DEFAULT, True), (GPU, True), (IN_PROCESS, True)]
    assert run(old, "select enqueued_at = vt from pgmq.q_pgflow_gpu") == [(True,)]
    assert claim(old, "null, 1, 10") == ["only"]
    assert doctor()[0] == 0


def test_the_way_back_leaves_messages_that_the_release_before_claims(
    old: BaseDatabaseWrapper,
) -> None:
    migrate(old)
    run(old, "select pgflow.start_flow('later', '[{}]')")
    migrate(old, BEFORE)
    assert run(old, INDEXES) == []
    run(old, "update pgmq.q_pgflow_gpu set vt = now()")
    assert claim(old, "null, 1, 10") == ["only"] * 3
    migrate(old)
    assert len(run(old, INDEXES)) == 3


def test_a_build_that_was_interrupted_is_done_again(old: BaseDatabaseWrapper) -> None:
    run(old, "select pgflow.start_flow('prompt', '[{}, {}]')")
    with pytest.raises(Exception, match="could not create unique index"):
        run(
            old,
            "create unique index concurrently q_pgflow_default_rank_idx "
            "on pgmq.q_pgflow_default ((enqueued_at is null))",
        )
    assert run(old, INDEXES) == [(DEFAULT, False)]
    migrate(old)
    assert run(old, INDEXES) == [(DEFAULT, True), (GPU, True), (IN_PROCESS, True)]
    assert "Queues      OK" in doctor()[1]


@contextmanager
def second_session(connection: BaseDatabaseWrapper) -> Iterator[psycopg.Connection[Any]]:
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters, autocommit=True) as other:
        yield other


def test_nobody_waits_for_the_indexes(old: BaseDatabaseWrapper) -> None:
    migrate(old, "0004")

    def migrate_there() -> None:
        try:
            migrate(old)
        finally:
            connections.close_all()

    with second_session(old) as other:
        other.execute("begin")
        other.execute("select pgflow.start_flow('prompt', '[{}]')")  # the build waits for this one
        thread = threading.Thread(target=migrate_there)
        thread.start()
        wait_until(
            lambda: run(old, "select 1 from pg_stat_progress_create_index"), "the building to begin"
        )
        run(old, "set statement_timeout = '5s'")
        run(old, "select pgflow.start_flow('prompt', '[{}]')")
        assert claim(old, "null, 1, 10") == ["only"] * 2
        run(old, "reset statement_timeout")
        other.execute("commit")
        thread.join()
    assert run(old, INDEXES) == [(DEFAULT, True), (GPU, True), (IN_PROCESS, True)]
    assert claim(old, "null, 2, 10") == ["only"]


def test_a_queue_of_another_role_does_not_stop_migrate(
    server: Query, old: BaseDatabaseWrapper, caplog: pytest.LogCaptureFixture
) -> None:
    migrate(old, "0004")
    with stranger_in(server, old) as stranger:
        role = stranger.settings_dict["USER"]
        run(old, f"grant all on schema public, pgflow, pgmq to {role}")
        for schema in ("public", "pgmq"):
            run(old, f"grant all on all tables in schema {schema} to {role}")
        run(old, f"alter table pgmq.q_pgflow_gpu owner to {role}")
        migrate(stranger, "0005")  # the others alter tables, which their owner does
        assert run(old, INDEXES) == [(GPU, True)]
        assert "queue default is another role's" in caplog.text
        assert "pgflow_doctor" in caplog.text


def test_queues_that_are_made_later_have_their_index(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, "select pgflow.ensure_queue('gpu')")
    assert (GPU, True) in run(migrated, INDEXES)


@pytest.mark.parametrize("state", ["missing", "broken"])
def test_the_doctor_finds_and_mends_an_index_that_is_missing(
    state: str, migrated: BaseDatabaseWrapper
) -> None:
    run(migrated, f"drop index {DEFAULT}")
    if state == "broken":
        run(migrated, "select pgmq.send('pgflow_default', '{}'), pgmq.send('pgflow_default', '{}')")
        with pytest.raises(Exception, match="could not create unique index"):
            run(
                migrated,
                "create unique index concurrently q_pgflow_default_rank_idx "
                "on pgmq.q_pgflow_default (enqueued_at)",
            )
        run(migrated, "delete from pgmq.q_pgflow_default")
    status, printed = doctor()
    assert status == 1
    assert "Queues      WRONG  1 without index" in printed
    assert "each claim sorts all that waits: default." in printed

    status, printed = doctor("--repair")

    assert (status, printed.splitlines()[0]) == (0, "repaired    queue default: indexed")
    assert (DEFAULT, True) in run(migrated, INDEXES)


def test_the_checks_warn_of_an_index_that_is_missing(migrated: BaseDatabaseWrapper) -> None:
    run(migrated, f"drop index {DEFAULT}")
    printed = StringIO()
    call_command("check", databases=["scratch"], stderr=printed)
    assert "pgflow.W004" in printed.getvalue()


# -- calls of the release before ---------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "null, 1, 10",
        "null::jsonb, 1, 10, null::uuid",
        "null::jsonb, 1::bigint, 10, null::uuid, true",
        "results => null, claim => 1, wanted => 10, run => null, poll => true",
    ],
)
def test_workers_of_the_release_before_claim_as_they_did(
    call: str, old: BaseDatabaseWrapper
) -> None:
    assert claim(old, call) == ["only"]
    run(old, "select pgflow.start_flow('prompt', '[{}]')")
    migrate(old)
    assert claim(old, call.replace("1", "2", 1) if "=>" not in call else call) == ["only"]


def test_a_prepared_call_goes_on_after_the_migration(old: BaseDatabaseWrapper) -> None:
    with second_session(old) as other:
        ((worker,),) = other.execute(
            "select pgflow.register_worker('in_process', 'host', 1, '{default}', null, 30)"
        ).fetchall()
        call = "select pgflow.settle_and_claim(%s, %s::jsonb, %s, %s, %s, %s)"
        steps = []
        for claim_id in (1, 2):
            answer = other.execute(
                call, [worker, None, claim_id, 1, None, True], prepare=True
            ).fetchone()
            assert answer is not None
            steps.append('"only"' in answer[0])
            if claim_id == 1:
                run(old, "select pgflow.start_flow('prompt', '[{}]')")
                migrate(old)
        assert steps == [True, True]
