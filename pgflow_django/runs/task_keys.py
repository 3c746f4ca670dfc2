"""Where the tasks are that somebody wants to see, found without an index on how tasks stand.

Service layer, below ``tasks``. Such an index would cost each task that completes. So what fails or
waits for its next attempt is looked for among attempts, what runs among the claims of live workers,
and the rest along the key of tasks, in looks of bounded length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import connections

from pgflow_django.models.querysets import CUT_OFF
from pgflow_django.runs.failure_groups import FIRST_LINE, FailureKind
from pgflow_django.runs.task_filter import Key, TaskFilter

if TYPE_CHECKING:
    from uuid import UUID

#: Rows that one look goes through, and tasks that a page shows.
LOOK: Final = 20_000
PAGE: Final = 50

_FROM_TASKS: Final = """
    select t.step_slug, t.task_index, t.status
    from workflow_step_tasks t where t.run_id = %(run)s
"""
_FROM_ATTEMPTS: Final = f"""
    select a.step_slug, a.task_index, a.id, a.round, a.code, a.retry_at, a.error_type,
        {FIRST_LINE} as line
    from workflow_task_attempts a where a.run_id = %(run)s
"""
#: The whole of what runs: as many tasks as there are threads of workers, or a batch for each.
FROM_CLAIMS: Final = """
    select t.step_slug, t.task_index
    from workflow_workers w
    join workflow_claims c on c.worker_id = w.id
    cross join lateral jsonb_to_recordset(c.tasks)
        as part (run_id uuid, step_slug text, task_index integer, count integer)
    join workflow_step_tasks t
        on t.run_id = part.run_id and t.step_slug = part.step_slug
        and t.task_index >= part.task_index and t.task_index < part.task_index + part.count
        and t.claim_id = c.id and t.status = 'started'
    where w.lease_until > now() and part.run_id = %(run)s
"""
#: Not ``exists``: that may become a join, which reads all tasks of the run for a few of them.
_STATUS: Final = """(
    select t.status from workflow_step_tasks t
    where t.run_id = %(run)s and t.step_slug = candidate.step_slug
        and t.task_index = candidate.task_index
)"""
_IN_THIS_ROUND: Final = f"and looked.round = %(round)s and looked.code <> '{CUT_OFF}'"
_FAILED: Final = f"{_IN_THIS_ROUND} and looked.retry_at is null"
_RETRYING: Final = f"{_IN_THIS_ROUND} and looked.retry_at > clock_timestamp()"
_RETRY_AT: Final = """(
    select max(a.retry_at) from workflow_task_attempts a
    where a.run_id = %(run)s and a.step_slug = candidate.step_slug
        and a.task_index = candidate.task_index and a.round = %(round)s
)"""
_ALIKE: Final = "looked.error_type = %(type)s and looked.line ~ %(pattern)s"

_LOOK: Final = """
    with looked as materialized ({source} {bounds} {order} limit {look})
    select
        (select count(*) from looked),
        (select array[step_slug, task_index::text] from looked {back} limit 1),
        array_agg(found.step_slug order by found.step_slug, found.task_index),
        array_agg(found.task_index order by found.step_slug, found.task_index)
    from (
        select candidate.step_slug, candidate.task_index
        from (
            select distinct looked.step_slug, looked.task_index from looked
            where {match} {order}
        ) as candidate
        where {check} {order} limit {page}
    ) as found
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look has found: the tasks, in their order, at most one more than a page shows.

    ``rows`` is how many it went through; ``edge`` where it stopped before the end of what there is.
    """

    keys: list[Key]
    rows: int
    edge: Key | None


def find_keys(
    run_id: UUID, wanted: TaskFilter, kind: FailureKind | None, round: int, using: str
) -> Look:
    """The tasks that a page with this filter shows. One query."""
    values: dict[str, Any] = {"run": run_id, "round": round}
    source, match, check = _choose(wanted, kind, values)
    bounds, within = _bound(wanted, values), _range(wanted, values)
    is_back = wanted.before is not None
    if wanted.step:  # then the key leads to these indexes
        bounds += within
    else:
        match += within
    look = LOOK if match else PAGE + 1
    sql = _LOOK.format(
        source=source,
        bounds=bounds,
        order=_order(is_back=is_back),
        back=_order(is_back=not is_back),
        look=look,
        match=f"true {match}",
        check=check,
        page=PAGE + 1,
    )
    with connections[using].cursor() as cursor:
        cursor.execute(sql, values)
        rows, edge, steps, indexes = cursor.fetchone()
    keys = [Key(*key) for key in zip(steps or (), indexes or (), strict=True)]
    if rows < LOOK or len(keys) > PAGE:
        return Look(keys, rows, None)
    end = Key(edge[0], int(edge[1]))
    # Of the last task some attempts may lie beyond: the next look begins with it.
    return Look([key for key in keys if key != end], rows, end)


def _choose(
    wanted: TaskFilter, kind: FailureKind | None, values: dict[str, Any]
) -> tuple[str, str, str]:
    """Where to look, which of the rows are meant, and what is asked of those, one by one."""
    if kind is not None:
        values |= {"type": kind.error_type, "pattern": kind.pattern}
        return _FROM_ATTEMPTS, f"{_IN_THIS_ROUND} and {_ALIKE}", "true"
    if wanted.status == "failed":
        return _FROM_ATTEMPTS, _FAILED, f"{_STATUS} = 'failed'"
    if wanted.status == "retrying":
        return _FROM_ATTEMPTS, _RETRYING, f"{_STATUS} = 'queued'"
    if wanted.status == "running":
        return f"select * from ({FROM_CLAIMS}) as held where true", "", "true"
    if wanted.status is not None:
        values["status"] = wanted.status
        is_due = f"coalesce({_RETRY_AT} <= clock_timestamp(), true)"
        check = is_due if wanted.status == "queued" else "true"
        return _FROM_TASKS, "and looked.status = %(status)s", check
    return _FROM_TASKS, "", "true"


def _bound(wanted: TaskFilter, values: dict[str, Any]) -> str:
    """Where the look begins, and where it ends at the latest, in terms of the key.

    Within a step by its index alone: else PostgreSQL would begin with the step's first task.
    """
    bounds = ""
    if wanted.step:
        values["step"] = wanted.step
        bounds += " and step_slug = %(step)s"
    for name, key, sign in (("since", wanted.since, ">="), ("before", wanted.before, "<")):
        if key is None:
            continue
        values |= {f"{name}_step": key.step, f"{name}_index": key.index}
        if wanted.step:
            bounds += f" and task_index {sign} %({name}_index)s"
        else:
            bounds += f" and (step_slug, task_index) {sign} (%({name}_step)s, %({name}_index)s)"
    return bounds


def _range(wanted: TaskFilter, values: dict[str, Any]) -> str:
    found = ""
    for name, index, sign in (("first", wanted.first, ">="), ("last", wanted.last, "<=")):
        if index is not None:
            values[name] = index
            found += f" and task_index {sign} %({name})s"
    return found


def _order(*, is_back: bool) -> str:
    way = " desc" if is_back else ""
    return f"order by step_slug{way}, task_index{way}"
