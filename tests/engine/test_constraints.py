"""States that may not be, and steps between states that there are not: not even for raw SQL."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, transaction

from pgflow_django import executor
from pgflow_django.choices import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    RunState,
    StepStatus,
    TaskStatus,
)
from tests.engine.building import build
from tests.engine.database import query, value

# How to put a fresh row into each status, as the CHECKs want it.
RUN_STATES = {
    "started": "status = 'started', ended_at = null, output = null, error = null",
    "paused": "status = 'paused', ended_at = null, output = null, error = null",
    "completed": "status = 'completed', ended_at = now(), remaining_steps = 0, output = '{}', "
    "error = null",
    "failed": "status = 'failed', ended_at = now(), error = '{}', output = null",
    "cancelled": "status = 'cancelled', ended_at = now(), output = null",
}
STEP_STATES = {
    "created": "status = 'created', remaining_tasks = null, initial_tasks = null",
    "started": "status = 'started', remaining_deps = 0, remaining_tasks = 1, initial_tasks = 1, "
    "started_at = now(), ended_at = null",
    "completed": "status = 'completed', remaining_deps = 0, remaining_tasks = 0, "
    "initial_tasks = 0, ended_at = now()",
    "failed": "status = 'failed', ended_at = now()",
    "skipped": "status = 'skipped', ended_at = now()",
    "cancelled": "status = 'cancelled', ended_at = now()",
}
TASK_STATES = {
    "queued": "status = 'queued', claim_id = null, output = null, ended_at = null",
    "started": "status = 'started', claim_id = 1, output = null, ended_at = null",
    "completed": "status = 'completed', claim_id = null, output = 'null', ended_at = now()",
    "failed": "status = 'failed', claim_id = null, output = null, ended_at = now()",
    "skipped": "status = 'skipped', claim_id = null, output = null, ended_at = now()",
    "cancelled": "status = 'cancelled', claim_id = null, output = null, ended_at = now()",
}


@pytest.fixture
def run_id() -> UUID:
    """A run that has just started: step `a` is queued, step `b` waits for it."""
    build("flow", {"a": [], "b": ["a"]})
    return executor.start_flow("flow", {}, key="k").id


def refuse(sql: str, *params: Any, match: str) -> None:
    with pytest.raises(DatabaseError, match=match), transaction.atomic():
        query(sql, *params)


def ignoring(trigger: str) -> Callable[[str], None]:
    """Bring a row into a state past one trigger."""
    import pgtrigger

    def bring(sql: str) -> None:
        with pgtrigger.ignore(trigger):
            query(sql)

    return bring


def test_the_statuses_of_these_tests_are_those_of_the_models() -> None:
    assert list(RUN_STATES) == RunState.values
    assert list(STEP_STATES) == StepStatus.values
    assert list(TASK_STATES) == TaskStatus.values


@pytest.mark.parametrize(("old", "new"), list(product(RUN_STATES, RUN_STATES)))
def test_a_run_moves_along_the_edges_that_there_are_and_no_others(
    run_id: UUID, old: str, new: str
) -> None:
    ignoring("pgflow_django.WorkflowRun:run_status_moves_as_allowed")(
        f"update workflow_runs set {RUN_STATES[old]}"
    )
    move = f"update workflow_runs set {RUN_STATES[new]}"
    if old == new or (old, new) in RUN_TRANSITIONS:
        query(move)
        assert value("select status from workflow_runs") == new
    else:
        refuse(move, match=f'Invalid transition.*"{old}" to "{new}"')


@pytest.mark.parametrize(("old", "new"), list(product(STEP_STATES, STEP_STATES)))
def test_a_step_moves_along_the_edges_that_there_are_and_no_others(
    run_id: UUID, old: str, new: str
) -> None:
    only_a = "where step_slug = 'a'"
    ignoring("pgflow_django.WorkflowStepState:step_status_moves_as_allowed")(
        f"update workflow_step_states set {STEP_STATES[old]} {only_a}"
    )
    move = f"update workflow_step_states set {STEP_STATES[new]} {only_a}"
    if old == new or (old, new) in STEP_TRANSITIONS:
        query(move)
        assert value(f"select status from workflow_step_states {only_a}") == new
    else:
        refuse(move, match=f'Invalid transition.*"{old}" to "{new}"')


def test_the_edges_are_those_of_the_design() -> None:
    ended = {"failed", "cancelled"}
    runs = {("started", end) for end in ("completed", "failed", "cancelled", "paused")}
    runs |= {("paused", end) for end in ("started", "completed", "failed", "cancelled")}
    runs |= {(end, "started") for end in ended}
    assert set(RUN_TRANSITIONS) == runs
    ends = ("completed", "failed", "skipped", "cancelled")
    steps = {("created", "started"), *(("created", end) for end in ends)}
    steps |= {("started", end) for end in ends} | {(end, "created") for end in ended}
    steps |= {("failed", "completed"), ("failed", "skipped")}
    assert set(STEP_TRANSITIONS) == steps


@pytest.mark.parametrize("status", TASK_STATES)
def test_a_task_may_be_in_every_status_that_there_is(run_id: UUID, status: str) -> None:
    query(f"update workflow_step_tasks set {TASK_STATES[status]}")
    assert value("select status from workflow_step_tasks") == status


@pytest.mark.parametrize(
    "change",
    [
        "status = 'running'",
        "status = ''",
        "remaining_steps = -1",
        "ended_at = now()",
        "status = 'completed'",
        "status = 'completed', ended_at = now(), remaining_steps = 0",
        "status = 'completed', ended_at = now(), output = '{}'",
        "status = 'completed', remaining_steps = 0, output = '{}'",
        "status = 'completed', ended_at = now(), remaining_steps = 0, output = '{}', error = '{}'",
        "status = 'failed', ended_at = now()",
        "status = 'failed', error = '{}'",
        "status = 'cancelled'",
        "status = 'paused', ended_at = now()",
        "output = '{}'",
        "error = '{}'",
        "status = 'failed', ended_at = now(), error = '{}', output = '{}'",
        "status = 'cancelled', ended_at = now(), output = '{}'",
    ],
)
def test_a_runs_columns_agree_with_its_status(run_id: UUID, change: str) -> None:
    refuse(f"update workflow_runs set {change}", match="run_columns_agree|Invalid transition")


@pytest.mark.parametrize(
    "change",
    [
        "status = 'queued'",
        "remaining_deps = -1",
        "remaining_deps = 1",
        "remaining_tasks = 0",
        "remaining_tasks = -1",
        "remaining_tasks = 2",
        "remaining_tasks = null",
        "initial_tasks = null",
        "initial_tasks = -1, remaining_tasks = -1",
        "started_at = null",
        "status = 'completed', ended_at = now()",
        "status = 'completed', ended_at = now(), remaining_tasks = null",
        "status = 'completed', ended_at = now(), remaining_tasks = 0, remaining_deps = 1",
    ],
)
def test_a_steps_counters_agree_with_its_status(run_id: UUID, change: str) -> None:
    refuse(
        f"update workflow_step_states set {change} where step_slug = 'a'",
        match="step_counters_agree|Invalid transition",
    )


@pytest.mark.parametrize(
    "change",
    [
        "status = 'created'",
        "task_index = -1",
        "attempts_count = -1",
        "claim_id = 5",
        "output = '1'",
        "status = 'started'",
        "status = 'started', claim_id = 1, output = '1'",
        "status = 'completed'",
        "status = 'completed', output = '1', claim_id = 1",
        "status = 'failed', claim_id = 1",
        "status = 'failed', output = '1'",
        "status = 'cancelled', claim_id = 1",
        "status = 'cancelled', output = 'null'",
        "status = 'skipped', claim_id = 1",
    ],
)
def test_a_tasks_columns_agree_with_its_status(run_id: UUID, change: str) -> None:
    refuse(f"update workflow_step_tasks set {change}", match="task_columns_agree")


@pytest.mark.parametrize(
    "change",
    [
        "id = gen_random_uuid()",
        "workflow_slug = 'other'",
        "version = version + 1",
        "version_id = version_id + 1",
        "input = '{\"other\": 1}'",
        "key = 'other'",
        "parent_run_id = gen_random_uuid()",
        "has_caller_functions = true",
    ],
)
def test_what_a_run_was_started_with_never_changes(run_id: UUID, change: str) -> None:
    refuse(f"update workflow_runs set {change}", match="Cannot update")


def test_an_active_run_can_not_be_deleted_and_an_ended_one_can(run_id: UUID) -> None:
    refuse("delete from workflow_runs", match="Cannot delete")
    query("update workflow_runs set status = 'paused'")
    refuse("delete from workflow_runs", match="Cannot delete")
    executor.cancel_run(run_id)
    query("delete from workflow_runs")
    assert not query("select 1 from workflow_runs")


def test_a_key_is_unique_within_its_flow(run_id: UUID) -> None:
    columns = "workflow_slug, version, version_id, input, remaining_steps, key"
    refuse(
        f"insert into workflow_runs (id, {columns}) "
        f"select gen_random_uuid(), {columns} from workflow_runs",
        match="run_key_is_unique",
    )


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("workflow_step_states", "run_id, step_slug, step_index, status, remaining_deps"),
        ("workflow_step_tasks", "run_id, step_slug, task_index, status"),
    ],
)
def test_a_step_and_a_task_is_there_once(run_id: UUID, table: str, columns: str) -> None:
    refuse(
        f"insert into {table} ({columns}) select {columns} from {table} where step_slug = 'b' "
        f"or '{table}' = 'workflow_step_tasks'",
        match="duplicate key",
    )


@pytest.mark.parametrize(
    "sql",
    [
        "update workflow_versions set version = 9",
        "update workflow_version_steps set timeout = 9",
        "delete from workflow_versions",
        "delete from workflow_version_steps",
        "delete from workflows",
    ],
)
def test_the_version_that_a_run_is_pinned_to_never_changes(run_id: UUID, sql: str) -> None:
    refuse(sql, match="Cannot update|has runs|never changes|has active runs")


def test_a_completed_run_never_starts_again(run_id: UUID) -> None:
    query(f"update workflow_runs set {RUN_STATES['completed']}")
    for state in ("started", "paused", "failed", "cancelled"):
        refuse(f"update workflow_runs set {RUN_STATES[state]}", match="Invalid transition")
