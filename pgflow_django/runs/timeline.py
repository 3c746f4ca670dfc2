"""When what of a run happened: attempts of steps, and a look at the tasks of maps.

Service layer. Three queries, however many tasks there are. Called within ``looking``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db import connections

from pgflow_django.drawing.gantt import Span
from pgflow_django.models import WorkflowStepTask, WorkflowTaskAttempt
from pgflow_django.models.querysets import CUT_OFF
from pgflow_django.storage.moments import with_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from pgflow_django.drawing.states import Status
    from pgflow_django.runs.view import RunView, StepView

#: Tasks of maps that are looked at if there are no more; else so many of each, evenly spaced.
ALL, SAMPLE = 10_000, 2_000
#: The least of one map where there are very many; and attempts of single steps.
_LEAST: Final = 100
_ATTEMPTS: Final = 2_000
_DENSITY: Final = """
    select
        m.step, t.status, extract(epoch from t.started_at)::float8,
        extract(epoch from t.ended_at)::float8
    from unnest(%(steps)s::text[], %(strides)s::float[], %(counts)s::int[])
        as m (step, stride, tasks)
    cross join lateral generate_series(0, m.tasks - 1) as place
    join workflow_step_tasks t
        on t.run_id = %(run)s and t.step_slug = m.step
        and t.task_index = floor(place * m.stride)::int
    where t.started_at is not null
"""
_STATUS: Final[Mapping[str, Status]] = {
    "started": "running",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "queued": "retrying",
}


@dataclass(frozen=True, slots=True)
class Timeline:
    """Spans by step, in seconds since 1970; ``begin`` and ``end`` are those of the run, or now.

    ``sampled`` are maps of which not all tasks were looked at, with the number of those that were.
    """

    begin: float
    end: float
    spans: Mapping[str, Sequence[Span]]
    sampled: Mapping[str, int] = field(default_factory=dict)


def read_timeline(run_id: UUID, started_at: datetime, view: RunView, *, using: str) -> Timeline:
    """When the steps of a run waited and ran."""
    begin = with_zone(started_at).timestamp()
    end = begin + view.seconds
    spans: dict[str, list[Span]] = defaultdict(list)
    for step in view.steps:
        spans[step.slug] += _list_waits(step, end)
    singles = [step.slug for step in view.steps if not step.is_map and step.started_at]
    _add_attempts(spans, run_id, singles, using)
    _add_tasks(spans, run_id, singles, end, using)
    counts = _choose_counts([step for step in view.steps if step.is_map and step.started_at])
    totals = {step.slug: step.total or 0 for step in view.steps}
    _add_density(spans, run_id, counts, totals, end, using)
    sampled = {slug: count for slug, count in counts.items() if count < totals[slug]}
    return Timeline(begin, max(end, begin + 1e-3), spans, sampled)


def _list_waits(step: StepView, end: float) -> list[Span]:
    """From when a step was ready until it began."""
    if step.waited is None:
        return []
    until = with_zone(step.started_at).timestamp() if step.started_at else None
    until = until or (with_zone(step.ended_at).timestamp() if step.ended_at else end)
    return [Span("waiting", until - step.waited, until)]


def _add_attempts(
    spans: dict[str, list[Span]], run_id: UUID, singles: list[str], using: str
) -> None:
    """What did not complete of single steps, in every round."""
    attempts = WorkflowTaskAttempt.objects.using(using).filter(
        run_id=run_id, step_slug__in=singles, task_index=0, started_at__isnull=False
    )
    columns = ("step_slug", "code", "started_at", "ended_at")
    # Not by id: where there are few rows, the primary key would promise that order.
    rows: Any = attempts.order_by("step_slug", "started_at").values_list(*columns)[:_ATTEMPTS]
    for slug, code, since, until in rows:
        status: Status = "cancelled" if code == CUT_OFF else "failed"
        moments = (with_zone(since).timestamp(), with_zone(until).timestamp())
        spans[slug].append(Span(status, *moments))


def _add_tasks(
    spans: dict[str, list[Span]], run_id: UUID, singles: list[str], end: float, using: str
) -> None:
    """The last attempt of single steps, where it runs or completed."""
    tasks = WorkflowStepTask.objects.using(using).filter(
        run_id=run_id,
        step_slug__in=singles,
        task_index=0,
        status__in=("started", "completed"),
        started_at__isnull=False,
    )
    rows: Any = tasks.values_list("step_slug", "status", "started_at", "ended_at")
    for slug, status, since, until in rows:
        last = with_zone(until).timestamp() if until else end
        spans[slug].append(Span(_STATUS[status], with_zone(since).timestamp(), last))


def _choose_counts(maps: Sequence[StepView]) -> dict[str, int]:
    """How many tasks of each map are looked at."""
    totals = {step.slug: step.total or 0 for step in maps}
    if sum(totals.values()) <= ALL:
        return totals
    share = max(_LEAST, min(SAMPLE, ALL // len(totals)))
    return {slug: min(total, share) for slug, total in totals.items()}


def _add_density(
    spans: dict[str, list[Span]],
    run_id: UUID,
    counts: Mapping[str, int],
    totals: Mapping[str, int],
    end: float,
    using: str,
) -> None:
    if not counts:
        return
    values: dict[str, Any] = {
        "run": run_id,
        "steps": [*counts],
        "counts": [*counts.values()],
        "strides": [totals[slug] / max(1, count) for slug, count in counts.items()],
    }
    with connections[using].cursor() as cursor:
        cursor.execute(_DENSITY, values)
        for slug, status, since, until in cursor.fetchall():
            spans[slug].append(Span(_STATUS[status], since, until or end))
