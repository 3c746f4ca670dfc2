"""The gateway to the SQL functions: one typed Python function for each, and their errors.

Gateway layer: may import the pure modules and storage. Nothing else calls these SQL functions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django.conf import settings
from pgflow_django.database import database_errors
from pgflow_django.exceptions import (
    InvalidInput,
    LeaseLost,
    PgflowError,
    WorkflowConflict,
    WorkflowNotFound,
)

#: Serialisation failure and deadlock: the transaction has changed nothing and may be tried again.
_TRY_AGAIN = frozenset({"40001", "40P01"})
_MAX_TRIES = 5
_LEASE_LOST = (
    "this process was silent for longer than its lease (PGFLOW['LEASE_SECONDS']), and its work "
    "went to others: was the machine asleep, or the database out of reach?"
)


class WorkflowOutdated(PgflowError):
    """The stored definition of a code flow is not the one that the caller has."""

    default_code = "workflow_outdated"


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks of one step of one run that were claimed together, and what they share.

    ``tasks`` are ``[task_index, attempt, item]``; ``deps`` is ``{dependency: output}`` for a
    single step; ``broadcast`` is ``[value]`` for a map step over a value that is no array.
    """

    run_id: str
    workflow_slug: str
    step_slug: str
    step_type: str
    function: str
    params: Any
    timeout: int
    max_attempts: int
    tasks: list[list[Any]]
    run_input: Any
    deps: dict[str, Any] | None = None
    broadcast: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer of ``settle_and_claim``: how many results counted, and the next tasks."""

    accepted: int = 0
    claim: int | None = None
    groups: tuple[TaskGroup, ...] = ()


def start_flow(
    workflow_slug: str,
    inputs_json: str,
    *,
    using: str,
    key: str | None = None,
    owner: int | None = None,
    has_caller_functions: bool = False,
    parent: UUID | None = None,
    fingerprint: str | None = None,
) -> list[UUID]:
    """Start one run per element of ``inputs_json`` (a JSON array); their ids in that order.

    Raises ``WorkflowNotFound``, ``WorkflowConflict`` (inactive, without steps), ``InvalidInput``
    (a root map over what is no array) and ``WorkflowOutdated``.
    """
    in_atomic = connections[using].in_atomic_block
    try:
        # The savepoint keeps a refusal from breaking the caller's transaction.
        with transaction.atomic(using) if in_atomic else nullcontext():
            return _call(
                "select pgflow.start_flow(%s, %s::jsonb, %s, %s, %s, %s, %s)",
                [workflow_slug, inputs_json, key, owner, has_caller_functions, parent, fingerprint],
                using,
            )
    except DatabaseError as error:
        raise _start_error(error, workflow_slug) from error


def settle_and_claim(
    worker: int | None,
    results_json: str | None,
    claim: int | None,
    wanted: int,
    *,
    using: str,
    run: UUID | None = None,
    poll: bool = True,
) -> Settled:
    """Settle completed tasks and claim up to ``wanted`` others, in one round trip and commit.

    ``claim`` is the caller's claim, to be used again, once nothing of it is left to run.
    """
    try:
        answer = _call(
            "select pgflow.settle_and_claim(%s, %s::jsonb, %s, %s, %s, %s)",
            [worker, results_json, claim, wanted, run, poll],
            using,
        )
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", None) == "PF006":
            raise LeaseLost(_LEASE_LOST) from error
        raise
    if answer is None:
        return Settled()
    data = json.loads(answer)
    inputs = data.get("inputs") or {}
    return Settled(
        accepted=data["accepted"],
        claim=data.get("claim"),
        groups=tuple(
            TaskGroup(run_input=inputs.get(group["run_id"]), **group)
            for group in data.get("groups") or ()
        ),
    )


def fail_tasks(failures: Sequence[dict[str, Any]], *, using: str) -> int:
    """End failed attempts (see ``fail_tasks.sql`` for their keys); how many of them counted."""
    return _call("select pgflow.fail_tasks(%s::jsonb)", [json.dumps(list(failures))], using)


def release_tasks(tasks: Sequence[dict[str, Any]], *, using: str) -> int:
    """Hand back claimed tasks that have not begun; how many were still the caller's."""
    return _call("select pgflow.release_tasks(%s::jsonb)", [json.dumps(list(tasks))], using)


def cancel_run(run: UUID, reason: str, *, using: str) -> str | None:
    """Cancel a run; its status afterwards, ``None`` where there is no such run."""
    return _call("select pgflow.cancel_run(%s, %s)", [run, reason], using)


def retry_run(run: UUID, owner: int | None, *, using: str) -> str | None:
    """Take an ended run up again; its status before, ``None`` where there is no such run."""
    return _call("select pgflow.retry_run(%s, %s)", [run, owner], using)


def sweep(*, using: str) -> int:
    """Take back what lost workers held; the number of those workers."""
    return _call("select pgflow.sweep()", [], using)


def register_worker(
    kind: str,
    hostname: str,
    pid: int,
    queues: Sequence[str],
    functions: Sequence[str] | None,
    *,
    using: str,
) -> int:
    """Register a process that claims tasks; its worker id. ``functions=None``: can run any."""
    return _call(
        "select pgflow.register_worker(%s, %s, %s, %s::text[], %s::text[], %s)",
        [
            kind,
            hostname,
            pid,
            list(queues),
            None if functions is None else list(functions),
            settings.LEASE_SECONDS,
        ],
        using,
    )


def renew_lease(worker: int, *, using: str) -> bool:
    """Extend the lease on all that a worker holds; False where it has ended and was swept."""
    return _call("select pgflow.renew_lease(%s, %s)", [worker, settings.LEASE_SECONDS], using)


def remove_worker(worker: int, *, using: str) -> None:
    """Unregister a worker; what it still holds returns to the queues."""
    _call("select pgflow.remove_worker(%s)", [worker], using)


def list_queues(*, using: str) -> list[str]:
    """Every queue that a worker may serve."""
    return _call("select pgflow.list_queues()", [], using)


def release_claims(claims: Sequence[int], *, using: str) -> int:
    """Hand back whatever these claims still cover, and forget them; how many tasks that were."""
    return _call("select pgflow.release_claims(%s::bigint[])", [list(claims)], using)


def next_visible(worker: int, *, using: str, run: UUID | None = None) -> float | None:
    """Seconds until the next message that a worker could take is due, ``None`` for none."""
    return _call("select pgflow.next_visible(%s, %s)", [worker, run], using)


def prune_runs(before: datetime, statuses: Sequence[str], batch: int, *, using: str) -> int:
    """Delete up to ``batch`` runs that ended before then; a smaller number says: none is left."""
    return _call("select pgflow.prune_runs(%s, %s, %s)", [before, list(statuses), batch], using)


def _call(sql: str, params: list[Any], using: str) -> Any:
    """Run one function and give its value; deadlocks are tried again where nothing was lost."""
    connection = connections[using]
    for tries in range(1, _MAX_TRIES + 1):
        try:
            with database_errors(using):
                return _fetch_value(connection, sql, params)
        except OperationalError as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if state not in _TRY_AGAIN or connection.in_atomic_block or tries == _MAX_TRIES:
                raise
    raise AssertionError("unreachable")


def _fetch_value(connection: BaseDatabaseWrapper, sql: str, params: list[Any]) -> Any:
    """Run a query of one value, prepared on the server, which saves a fifth of a round trip.

    Through Django's own cursor where somebody watches the queries, and unprepared where the site
    says, as Django asks for behind a transaction pooler, DISABLE_SERVER_SIDE_CURSORS.
    """
    if connection.execute_wrappers or connection.force_debug_cursor:
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            row = cursor.fetchone()
            assert row is not None  # noqa: S101 - a function call gives one row
            return row[0]
    connection.ensure_connection()
    prepare = not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        row = cursor.execute(sql, params, prepare=prepare).fetchone()
        assert row is not None  # noqa: S101 - a function call gives one row
        return row[0]


def _start_error(error: DatabaseError, slug: str) -> Exception:
    state = getattr(error.__cause__, "sqlstate", None)
    match state:
        case "PF001":
            return WorkflowNotFound(slug)
        case "PF002":
            return WorkflowConflict(
                f'flow "{slug}" is inactive: set is_active to let it start again',
                code="workflow_inactive",
            )
        case "PF003":
            return WorkflowOutdated(slug)
        case "PF004":
            return WorkflowConflict(
                f'flow "{slug}" has no steps: add one with '
                f'flow_builder.add_step("{slug}", "first_step") before it is started',
                code="workflow_has_no_steps",
            )
        case "PF005":
            detail = json.loads(error.__cause__.diag.message_detail)  # type: ignore[union-attr]
            article = "an" if detail["found"] == "object" else "a"
            return InvalidInput(
                f'flow "{slug}": map step "{detail["step_slug"]}" maps over the run input, which '
                f"is {article} {detail['found']}, not an array; pass a list, or give the step "
                "initial_tasks",
                code="type_violation",
            )
        case _:
            return error
