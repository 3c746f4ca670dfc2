"""How ``pruneruns`` goes through runs that have many rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from pgflow_django import RunNotFound, engine, executor
from pgflow_django.cli.pruning import ENDED, prune
from pgflow_django.models import WorkflowRun, WorkflowRunEvent, WorkflowStepTask
from tests.commands.calling import call
from tests.commands.test_pruneruns import OF_RUNS, rows
from tests.engine.building import build
from tests.engine.database import query
from tests.engine.workers import HandWorker


@pytest.fixture
def deletions() -> Iterator[None]:
    """A witness that notes down how many rows each transaction deletes."""
    tables = [model._meta.db_table for model in OF_RUNS]
    query("create table deletions (xid xid8, count bigint)")
    query(
        "create function note_deletions() returns trigger language plpgsql as $$ begin "
        "insert into deletions select pg_current_xact_id(), count(*) from gone; return null; end $$"
    )
    for table in tables:
        query(
            f"create trigger note_deletions after delete on {table} "
            "referencing old table as gone for each statement execute function note_deletions()"
        )
    yield
    for table in tables:
        query(f"drop trigger note_deletions on {table}")
    query("drop function note_deletions")
    query("drop table deletions")


def largest() -> int:
    """The most rows that a transaction has deleted."""
    ((count,),) = query("select max(sum) from (select sum(count) from deletions group by xid) as x")
    return int(count)


def cancelled(slug: str, *inputs: Any) -> list[WorkflowRun]:
    """Runs that were started and cancelled, in the order of their ids."""
    runs = executor.start_flows(slug, inputs)
    for run in runs:
        executor.cancel_run(run.id)
    return sorted(runs, key=lambda run: run.id)


def log(run: WorkflowRun, count: int) -> None:
    """Give a run so many more rows."""
    query(
        "insert into workflow_run_events (run_id, kind, message) "
        "select %s, 'log', 'line' from generate_series(1, %s)",
        run.id,
        count,
    )


def later() -> Any:
    return timezone.now() + timedelta(hours=1)


def test_no_transaction_deletes_more_rows_than_a_batch(deletions: None) -> None:
    build("wide", {"each*": []})
    runs = cancelled("wide", [1], list(range(300)), [1], [1])
    log(runs[2], 200)
    answer = call("pruneruns", older_than="0s", batch_size=50, json=True)
    assert answer.json["deleted"] == 4
    assert largest() <= 50
    assert not any(model._default_manager.exists() for model in OF_RUNS)


def test_the_rows_of_small_runs_go_together(deletions: None) -> None:
    build("wide", {"each*": []})
    cancelled("wide", *[[1]] * 20)
    call("pruneruns", older_than="0s")
    assert largest() == 80


def slice_of(rows: int, after: UUID | None = None) -> tuple[int, UUID | None]:
    return engine.prune_rows(later(), ENDED, rows, after, using="default")


def test_a_run_of_many_rows_goes_in_slices_and_its_own_row_last() -> None:
    build("wide", {"each*": []})
    small, wide, last = cancelled("wide", [1], [1], [1])
    log(wide, 120 - rows(wide))
    assert slice_of(30) == (1, small.id)
    before = rows(wide)
    assert slice_of(30, small.id) == (0, small.id)
    assert rows(wide) == before - 30
    assert WorkflowRun.objects.filter(id=wide.id).exists()
    for _ in range(3):
        slice_of(30, small.id)
    assert [rows(run) for run in (small, wide)] == [0, 0]
    assert slice_of(30, wide.id) == (1, None)
    assert rows(last) == 0


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_the_smallest_batches_come_to_an_end(batch: int) -> None:
    build("wide", {"each*": [], "end": ["each"]})
    cancelled("wide", [1, 2, 3], [1])
    assert prune(later(), ENDED, batch=batch, using="default") == 2
    assert not any(model._default_manager.exists() for model in OF_RUNS)


def test_a_run_that_is_being_deleted_can_not_be_taken_up_again(client: Client) -> None:
    build("wide", {"each*": [], "end": ["each"]})
    (run,) = cancelled("wide", list(range(10)))
    assert slice_of(1) == (0, UUID(int=0))
    with pytest.raises(RunNotFound, match="it is being deleted"):
        executor.retry_run(run.id)
    assert call("retryrun", str(run.id)).status != 0
    client.force_login(User.objects.create_superuser("ada"))
    page = client.get(f"/admin/pgflow_django/workflowrun/{run.id}/change/")
    assert page.status_code == 200
    assert "/retry/" not in page.content.decode()
    assert WorkflowStepTask.objects.filter(run_id=run.id).count() == 10
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_what_was_interrupted_is_taken_up_by_the_next_one() -> None:
    build("wide", {"each*": []})
    cancelled("wide", list(range(100)))
    slice_of(30)
    call("pruneruns", older_than="0s")
    assert not any(model._default_manager.exists() for model in OF_RUNS)


def test_each_batch_goes_on_where_the_last_one_ended() -> None:
    build("flow", {"a": []})
    runs = cancelled("flow", *[{}] * 6)
    size = rows(runs[0])
    _, after = slice_of(2 * size)
    assert after == runs[1].id
    # Older ones that come to be deletable meanwhile are for the next time.
    assert engine.prune_rows(later(), ENDED, 10 * size, runs[3].id, using="default") == (2, None)
    assert WorkflowRun.objects.count() == 2


def test_the_function_of_before_deletes_runs_of_any_size() -> None:
    build("wide", {"each*": []})
    runs = cancelled("wide", [1], [1], [1])
    log(runs[1], 11_000)
    assert engine.prune_runs(later(), list(ENDED), 2, using="default") == 2
    assert [rows(run) for run in runs[:2]] == [0, 0]
    assert engine.prune_runs(later(), list(ENDED), 2, using="default") == 1
    assert not WorkflowRunEvent.objects.exists()


def test_a_run_with_tasks_that_have_failed_keeps_nothing() -> None:
    build("wide", {"each*": []}, max_attempts=2)
    run = executor.start_flow("wide", [1, 2, 3])
    worker = HandWorker()
    for _ in range(2):
        worker.fail(*worker.claim(3))
    worker.leave()
    assert rows(run) > 6
    assert prune(later(), ENDED, batch=3, using="default") == 1
    assert rows(run) == 0
