"""How the steps of a run stand, with what its version says of them: one query.

It reads by keys; of the attempts of a step the first ``_LOOK``, and of its tasks one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections

from pgflow_django.choices import StepStatus, StepType
from pgflow_django.storage.moments import read_moment

#: Attempts of a step that are looked at.
_LOOK = 10_000
#: Subqueries and no joins, since a planner that takes the tables for small would read all of them.
#: They are asked only of steps with the status that they are for.
_STANDING = f"""
select
    s.step_slug, s.status, s.initial_tasks, s.remaining_tasks, s.started_at, s.ended_at,
    p.step_type, p.depends_on, p.queue, p.function, p.start_delay, p.max_attempts, p.timeout,
    case when s.status = 'started' then (
        select t.queued_at from workflow_step_tasks t
        where
            t.run_id = s.run_id and t.step_slug = s.step_slug
            and t.task_index = s.initial_tasks - 1 and t.status = 'queued'
    ) end,
    case when s.status = 'started' then (
        select jsonb_build_object(
            'tasks', found.tasks, 'is_all', found.seen < {_LOOK}, 'attempt', a.attempt + 1,
            'at', a.retry_at, 'kind', left(a.error_type, 80), 'message', left(a.error_message, 400)
        )::text
        from (
            select
                count(*) as seen, count(*) filter (where waits) as tasks,
                (array_agg(id order by retry_at, id) filter (where waits))[1] as next
            from (
                select
                    a.id, a.retry_at,
                    a.retry_at > clock_timestamp() and a.ended_at >= s.started_at as waits
                from workflow_task_attempts a
                where a.run_id = s.run_id and a.step_slug = s.step_slug
                limit {_LOOK}
            ) as each
        ) as found
        join workflow_task_attempts a on a.id = found.next
    ) end,
    case when s.status = 'failed' then (
        select count(distinct each.task_index)
        from (
            select a.task_index, a.error_type, a.ended_at
            from workflow_task_attempts a
            where a.run_id = s.run_id and a.step_slug = s.step_slug
            limit {_LOOK}
        ) as each
        where each.error_type = %(error)s and each.ended_at >= s.started_at
    ) end,
    clock_timestamp()
from workflow_step_states s
join workflow_version_steps p on p.version_id = %(version)s and p.step_slug = s.step_slug
where s.run_id = %(run)s
order by s.step_index
"""


@dataclass(frozen=True, slots=True)
class Retry:
    """Tasks of a step that wait for their next attempt, and the first of them.

    ``is_all`` says whether these are all: of very many attempts not each is looked at.
    """

    tasks: int
    is_all: bool
    attempt: int
    at: datetime
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a step stands. ``queued_at``: since when its last task has waited to be taken.

    ``alike`` counts the tasks of a failed step that had the type of error that it failed with.
    """

    slug: str
    status: str
    total: int | None
    left: int | None
    started_at: datetime | None
    ended_at: datetime | None
    kind: str
    depends_on: Sequence[str]
    queue: str
    function: str
    start_delay: int
    max_attempts: int
    timeout: int
    queued_at: datetime | None
    retry: Retry | None
    alike: int
    now: datetime

    @property
    def is_map(self) -> bool:
        """Whether it has a task for each element of an array."""
        return self.kind == StepType.MAP

    @property
    def is_started(self) -> bool:
        """Whether it has tasks left that may run, or wait to."""
        return self.status == StepStatus.STARTED

    @property
    def needs_nothing(self) -> bool:
        """Whether what depends on it may go on."""
        return self.status in {StepStatus.COMPLETED, StepStatus.SKIPPED}

    @property
    def starts_at(self) -> datetime | None:
        """When its tasks may first be taken, where that lies ahead."""
        if self.started_at is None:
            return None
        due = self.started_at + timedelta(seconds=self.start_delay)
        return due if due > self.now else None

    def count_due(self, held: int) -> int:
        """How many of its tasks wait for nothing but a worker, if so many are held by some."""
        if self.left is None or self.starts_at is not None:
            return 0
        later = self.retry.tasks if self.retry else 0
        return max(0, self.left - held - later)

    @property
    def waits_since(self) -> datetime | None:
        """Since when a task of it could have been taken."""
        moments = [self.queued_at or self.started_at, self.started_at]
        if self.started_at is not None:
            moments.append(self.started_at + timedelta(seconds=self.start_delay))
        return max((moment for moment in moments if moment), default=None)


def read_standing(
    run_id: UUID, version_id: int, *, error_type: str = "", using: str
) -> list[Standing]:
    """The steps of a run in their order; ``error_type`` is what it failed with."""
    with connections[using].cursor() as cursor:
        cursor.execute(_STANDING, {"run": run_id, "version": version_id, "error": error_type})
        return [_read(row) for row in cursor.fetchall()]


def _read(columns: tuple[Any, ...]) -> Standing:
    *plain, text, alike, now = columns
    retry = None
    if text is not None:
        found = json.loads(text)
        retry = Retry(**{**found, "at": read_moment(found["at"])})
    return Standing(*(*plain, retry, alike or 0, now))
