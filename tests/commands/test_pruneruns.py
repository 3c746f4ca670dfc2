"""``pruneruns`` and the SQL function behind it."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pgtrigger
import pytest
from django.db import connection, transaction
from django.utils import timezone

from pgflow_django import engine, executor, flow_builder
from pgflow_django.cli.pruning import ENDED, prune, prune_calls
from pgflow_django.models import (
    AgentCall,
    Workflow,
    WorkflowRun,
    WorkflowRunEvent,
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
    WorkflowVersion,
    WorkflowVersionStep,
)
from tests.commands.calling import Answer, call, on_terminal
from tests.engine.database import query
from tests.waiting import wait_for

OF_RUNS = (WorkflowRunEvent, WorkflowTaskAttempt, WorkflowStepTask, WorkflowStepState, WorkflowRun)


def age(days: float) -> None:
    """Let everything that is there have happened so many days ago."""
    with pgtrigger.ignore(), transaction.atomic():
        query(
            "update workflow_runs set started_at = started_at - %s, ended_at = ended_at - %s",
            timedelta(days),
            timedelta(days),
        )
        query("update workflow_versions set created_at = created_at - %s", timedelta(days))


def rows(run: WorkflowRun) -> int:
    """How many rows belong to a run."""
    return sum(
        model._default_manager.filter(
            **{"id" if model is WorkflowRun else "run_id": run.id}
        ).count()
        for model in OF_RUNS
    )


def run_of(slug: str, **options: Any) -> WorkflowRun:
    call("runflow", slug, **options)
    return WorkflowRun.objects.order_by("-id")[0]


def test_old_runs_go_with_all_their_rows_and_active_ones_stay(doubles: str, failing: str) -> None:
    old = [run_of(doubles), run_of(failing)]
    active = executor.start_flow(doubles)
    age(40)
    fresh = run_of(failing)
    before = rows(fresh), rows(active)
    answer = call("pruneruns", older_than="30d")
    assert answer.status == 0
    assert answer.stdout == "Deleted 2 runs.\n"
    assert "Deleting 2 runs that ended before " in answer.stderr
    assert answer.stderr.endswith(" (1 completed, 1 failed) …\n")
    assert [rows(run) for run in old] == [0, 0]
    assert (rows(fresh), rows(active)) == before
    executor.drain()
    assert WorkflowRun.objects.get(id=active.id).status == "completed"


def test_a_dry_run_deletes_nothing(doubles: str) -> None:
    run_of(doubles)
    answer = call("pruneruns", older_than="0s", dry_run=True)
    assert answer.stdout.startswith("Would delete 1 run that ended before ")
    assert answer.stdout.endswith(" (1 completed).\n")
    told = call("pruneruns", older_than="0s", dry_run=True, json=True).json
    assert (told["found"], told["deleted"], told["dry_run"]) == ({"completed": 1}, 0, True)
    assert WorkflowRun.objects.count() == 1


def test_trials_are_told_with_the_time_that_counts_for_them(doubles: str, settings: Any) -> None:
    run_of(doubles, draft=True, yes=True)
    age(8)
    days = [(timezone.now() - timedelta(ago)).strftime("%Y-%m-%d") for ago in (30, 7)]
    answer = call("pruneruns", older_than="30d", dry_run=True)
    told = re.sub(r" \d\d:\d\d:\d\d", "", answer.stdout)
    assert told == (
        f"Would delete 1 run that ended before {days[0]}, trials before {days[1]} (1 completed).\n"
    )
    told = call("pruneruns", older_than="30d", dry_run=True, json=True).json
    assert [told["before"][:10], told["trials_before"][:10]] == days
    told = call("pruneruns", older_than="1d", dry_run=True, json=True).json
    assert told["trials_before"] == told["before"]
    assert "trials" not in call("pruneruns", older_than="1d", dry_run=True).stdout
    settings.PGFLOW = {"TRIAL_DAYS": 30}
    assert call("pruneruns", older_than="40d").stdout == "Deleted 0 runs.\n"


@pytest.mark.parametrize("age", ["9999999d", "800000d", "999999999w", "1" * 400 + "d"])
def test_no_length_of_time_is_too_long_to_be_told_so(age: str, django_user_model: Any) -> None:
    django_user_model.objects.create(username="ann")
    answer = call("pruneruns", older_than=age)
    assert (answer.status, answer.stdout) == (2, "")
    assert answer.stderr.startswith("Error: --older-than is '")
    made = call("agenttoken", "create", "ann", "--name", "bot", "--expires-in", age)
    assert (made.status, made.stdout) == (2, "")


@pytest.mark.parametrize("days", [1_000_000, 1e300])
def test_trials_that_are_kept_for_ever_stop_no_pruning(
    doubles: str, settings: Any, days: float
) -> None:
    run_of(doubles)
    settings.PGFLOW = {"TRIAL_DAYS": days}
    assert call("pruneruns", older_than="0s").stdout == "Deleted 1 run.\n"


def test_statuses_can_be_picked(doubles: str, failing: str) -> None:
    kept = run_of(failing)
    run_of(doubles)
    assert (
        call("pruneruns", older_than="0s", status="completed,cancelled", json=True).json["deleted"]
        == 1
    )
    assert list(WorkflowRun.objects.values_list("id", flat=True)) == [kept.id]


def test_nothing_to_delete() -> None:
    assert call("pruneruns", older_than="1d12h") == Answer("Deleted 0 runs.\n", "", 0)


def test_many_batches_tell_how_far_they_are(doubles: str) -> None:
    runs = executor.start_flows(doubles, [{}] * 7)
    for run in runs:
        executor.cancel_run(run.id)
    told: list[int] = []
    later = timezone.now() + timedelta(hours=1)
    each = rows(runs[0])
    assert prune(later, ENDED, batch=3 * each, using="default", on_batch=told.append) == 7
    assert told == [3, 6]
    assert not WorkflowStepTask.objects.exists()


def test_a_terminal_gets_a_bar_that_goes_away(doubles: str) -> None:
    for run in executor.start_flows(doubles, [{}] * 5):
        executor.cancel_run(run.id)
    screen = on_terminal("pruneruns", "--older-than", "0s", "--batch-size", "2")
    assert screen.status == 0
    assert "5 runs" in screen.text
    assert screen.raw.endswith("Deleted 5 runs.\r\n")
    assert screen.raw.count("\x1b[?25l") == screen.raw.count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"older_than": "soon"}, "--older-than is 'soon', but must be a length of time"),
        ({"older_than": "30"}, "--older-than is '30', but must be a length of time"),
        ({"older_than": "999999999w"}, "--older-than is '999999999w', but must be a length"),
        (
            {"older_than": "1d", "status": "started"},
            '--status knows completed, failed, cancelled, but not "started".',
        ),
        ({"older_than": "1d", "status": ""}, "--status needs one of completed, failed, cancelled."),
        ({"older_than": "1d", "status": " , "}, "--status needs one of completed, failed, canc"),
        ({"older_than": "1d", "batch_size": 0}, "--batch-size is 0, but must be 1 or more."),
    ],
)
def test_bad_choices_exit_with_2(options: dict[str, Any], message: str) -> None:
    answer = call("pruneruns", **options)
    assert answer.status == 2
    assert answer.stderr.startswith(f"Error: {message}")


def test_versions_that_nothing_needs_go_too(doubles: str) -> None:
    run_of(doubles)
    Workflow.objects.update(timeout=99)
    run_of(doubles)
    current = Workflow.objects.get().version
    assert WorkflowVersion.objects.count() == 2
    call("pruneruns", older_than="0s")
    assert WorkflowVersion.objects.get().version == current
    assert WorkflowVersionStep.objects.count() == 3
    flow_builder.delete_flow(doubles)
    call("pruneruns", older_than="0s")
    assert not WorkflowVersion.objects.exists()
    assert not WorkflowVersionStep.objects.exists()


def test_a_version_with_runs_stays(doubles: str) -> None:
    run_of(doubles)
    executor.start_flow(doubles)
    Workflow.objects.update(timeout=99)
    run_of(doubles)
    call("pruneruns", older_than="0s")
    assert WorkflowVersion.objects.count() == 2
    executor.drain()
    assert WorkflowRun.objects.get().status == "completed"


def test_a_version_that_an_open_transaction_starts_a_run_of_stays(doubles: str) -> None:
    run_of(doubles)
    started, pruned = threading.Event(), threading.Event()
    runs = []

    def start_slowly() -> None:
        try:
            with transaction.atomic():
                runs.append(executor.start_flow(doubles))
                started.set()
                wait_for(pruned, "the pruning")
        finally:
            connection.close()

    thread = threading.Thread(target=start_slowly)
    thread.start()
    wait_for(started, "the start")
    Workflow.objects.update(timeout=99)
    call("pruneruns", older_than="0s")
    pruned.set()
    thread.join()
    executor.drain()
    assert WorkflowRun.objects.get(id=runs[0].id).status == "completed"


def test_a_run_that_is_being_retried_is_passed_over(doubles: str) -> None:
    run = executor.start_flow(doubles)
    executor.cancel_run(run.id)
    retried, pruned = threading.Event(), threading.Event()

    def retry_slowly() -> None:
        try:
            with transaction.atomic():
                executor.retry_run(run.id)
                retried.set()
                wait_for(pruned, "the pruning")
        finally:
            connection.close()

    thread = threading.Thread(target=retry_slowly)
    thread.start()
    wait_for(retried, "the retry")
    assert engine.prune_runs(timezone.now(), ["cancelled"], 10, using="default") == 0
    pruned.set()
    thread.join()
    executor.drain()
    assert WorkflowRun.objects.get().status == "completed"


def test_the_function_deletes_the_oldest_first_and_no_more_than_a_batch(doubles: str) -> None:
    runs = executor.start_flows(doubles, [{}] * 5)
    for run in runs:
        executor.cancel_run(run.id)
    ids = sorted(run.id for run in runs)
    later = timezone.now() + timedelta(hours=1)
    assert engine.prune_runs(later, ["cancelled"], 2, using="default") == 2
    assert list(WorkflowRun.objects.order_by("id").values_list("id", flat=True)) == ids[2:]
    assert engine.prune_runs(later, ["failed", "started"], 2, using="default") == 0
    assert engine.prune_runs(later, ["cancelled"], 10, using="default") == 3


def test_a_time_before_all_time_deletes_nothing(doubles: str) -> None:
    run_of(doubles)
    assert call("pruneruns", older_than="36500d", json=True).json["deleted"] == 0


def test_old_calls_of_programs_go_too_in_batches(doubles: str) -> None:
    now = timezone.now()
    ages = (40, 35, 31, 29, 0)
    AgentCall.objects.bulk_create(
        AgentCall(operation=f"of-{days}", at=now - timedelta(days)) for days in ages
    )
    told = call("pruneruns", older_than="30d", dry_run=True)
    assert "Would delete 3 calls of programs." in told.stdout
    assert AgentCall.objects.count() == 5
    answer = call("pruneruns", older_than="30d", batch_size="2", json=True).json
    assert (answer["found_calls"], answer["deleted_calls"]) == (3, 3)
    left = AgentCall.objects.order_by("at").values_list("operation", flat=True)
    assert list(left) == ["of-29", "of-0"]
    assert "calls" not in call("pruneruns", older_than="30d").stdout
    assert "Deleted 1 call of programs." in call("pruneruns", older_than="20d").stdout
    later = timezone.now() + timedelta(1)
    AgentCall.objects.bulk_create(AgentCall(operation="x") for _ in range(5))
    assert prune_calls(later, batch=2, using="default") == 6


def test_calls_go_whatever_the_status_of_runs(doubles: str) -> None:
    AgentCall.objects.create(operation="old", at=timezone.now() - timedelta(40))
    call("pruneruns", older_than="30d", status="failed")
    assert not AgentCall.objects.exists()
