"""The SQL functions for runs: start and prune them. What people do to one is in ``control``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connections

from pgflow_django.engine.calling import call, call_telling, kept_whole
from pgflow_django.exceptions import (
    InvalidInput,
    PgflowError,
    WorkflowConflict,
    WorkflowNotFound,
)

#: ``xmin`` has 32 bits: those above are of the newest number that is not 2**31 away.
_ENDED_HERE = """
select ended and pg_xact_status((newest + ((written - newest + (1::bigint << 31)) & 4294967295)
    - (1::bigint << 31))::text::xid8) = 'in progress'
from (
    select
        status not in ('started', 'paused') as ended,
        xmin::text::bigint as written,
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint as newest
    from workflow_runs
    where id = %s
) as run
"""


class Starter(NamedTuple):
    """Who starts a run: the name of a user, and the door by which."""

    name: str = ""
    via: str = ""


#: Code starts most runs, and says nothing of itself.
_CODE: Final = Starter()
_starter: ContextVar[Starter] = ContextVar("pgflow_starter", default=_CODE)


@contextmanager
def starting_as(name: str, via: str) -> Iterator[None]:
    """Keep with the runs that are started in this block who did it, and by which door.

    Not with those that their steps start.
    """
    token = _starter.set(Starter(name, via))
    try:
        yield
    finally:
        _starter.reset(token)


class WorkflowOutdated(PgflowError):
    """The stored definition of a code flow is not the one that the caller has."""

    default_code = "workflow_outdated"


class InputNotChecked(PgflowError):
    """The flow has a schema that the caller has not checked its inputs against."""

    default_code = "input_not_checked"

    def __init__(self, schema_json: str) -> None:
        super().__init__("the inputs were not checked")
        self.schema_json = schema_json
        #: What ``checked`` must be once they are.
        self.digest = hashlib.sha256(schema_json.encode()).hexdigest()


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
    checked: str | None = None,
) -> list[UUID]:
    """Start one run per element of ``inputs_json`` (a JSON array); their ids in that order.

    Raises ``WorkflowNotFound``, ``WorkflowConflict`` (inactive, without steps), ``InvalidInput``
    (a root map over what is no array) and ``WorkflowOutdated``; and ``InputNotChecked`` unless
    ``checked`` is the digest of the flow's schema, if it has one. ``None`` asks for no check.
    """
    return _start(
        workflow_slug,
        "select pgflow.start_flow(%s, %s::jsonb, %s, %s, %s, %s, %s, %s, null, %s, %s)",
        [
            *(workflow_slug, inputs_json, key, owner, has_caller_functions, parent),
            *(fingerprint, checked, *find_starter(parent)),
        ],
        using,
    )


def start_trial(
    workflow_slug: str,
    steps_json: str,
    input_json: str,
    *,
    using: str,
    key: str | None = None,
    owner: int | None = None,
    parent: UUID | None = None,
) -> UUID:
    """Start a run of these steps: rows of ``workflow_version_steps``, without their version.

    Where the flow has a run of this ``key`` already, nothing is started, and that is given.

    Raises ``InvalidInput`` (a root map over what is no array).
    """
    (run_id,) = _start(
        workflow_slug,
        "select pgflow.start_flow(%s, %s::jsonb, %s, owner => %s, parent => %s, "
        "trial => pgflow.pin_trial(%s, %s::jsonb), started_by => %s, via => %s)",
        [
            *(workflow_slug, f"[{input_json}]", key, owner, parent),
            *(workflow_slug, steps_json, *find_starter(parent)),
        ],
        using,
    )
    return run_id


def find_starter(parent: UUID | None) -> Starter:
    """Who starts a run here: nobody known, where a step of the run ``parent`` does."""
    return _starter.get() if parent is None else _CODE


def _start(slug: str, sql: str, parameters: list[Any], using: str) -> list[UUID]:
    try:
        with kept_whole(using):
            found: list[UUID] = call_telling(sql, parameters, using)
    except DatabaseError as error:
        raise start_error(error, slug) from error
    return found


def has_ended_here(run: str, *, using: str) -> bool:
    """Whether it is the transaction that is open here in which a run has ended.

    Then the row that it sees is of a transaction in progress: its own, or a savepoint of it.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(_ENDED_HERE, [run])
        row = cursor.fetchone()
    return row is not None and bool(row[0])


def prune_rows(
    before: datetime,
    statuses: Sequence[str],
    rows: int,
    after: UUID | None,
    *,
    using: str,
    trials_before: datetime | None = None,
) -> tuple[int, UUID | None]:
    """Delete up to so many rows of runs that ended before then, from the one after ``after`` on.

    Of trials those that ended before ``trials_before``, if that is later.

    Gives how many runs are gone, and after which one to go on: ``None``, if none is left.
    """
    runs, following = call(
        "select array[p.runs::text, p.next::text] "
        "from pgflow.prune_rows(%s, %s, %s, %s, trials_before => %s) as p",
        [before, list(statuses), rows, after, trials_before],
        using,
    )
    return int(runs), None if following is None else UUID(following)


def prune_runs(before: datetime, statuses: Sequence[str], batch: int, *, using: str) -> int:
    """Delete up to ``batch`` runs that ended before then; a smaller number says: none is left.

    In one transaction, however many rows they have.
    """
    return call("select pgflow.prune_runs(%s, %s, %s)", [before, list(statuses), batch], using)


def start_error(error: DatabaseError, slug: str) -> Exception:
    """What a start of this flow raises where the database refuses it; else the error itself."""
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
        case "PF010":
            return InputNotChecked(error.__cause__.diag.message_detail)  # type: ignore[union-attr]
        case _:
            return error
