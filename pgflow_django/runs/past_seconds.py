"""How long tasks have taken, in one query that is bounded whatever there is.

Looked at are the newest 50 runs of the flow and, for the functions of steps that it has not run
yet, the newest 200 runs of all. Trials tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connections

from pgflow_django.runs.recent import LAST, RECENT
from pgflow_django.runs.simulation import Seconds

_OF_FLOW, _OF_ALL, _TASKS = 50, 200, 50

# Each lateral limit keeps the planner from reading whole tables, whatever it takes for small; a
# status beside the key would not: where it is taken for rare, a scan of all looks cheaper.
_PAST = f"""
{RECENT},
newest (id, version_id, workflow_slug, number) as (
    (
        select r.id, r.version_id, r.workflow_slug, 1
        from workflow_runs r where r.version + 0 <> 0 order by r.id desc limit 1
    )
    union all
    (
        select r.id, r.version_id, r.workflow_slug, e.number + 1
        from newest e
        cross join lateral (
            select * from workflow_runs r
            where r.id < e.id and r.version + 0 <> 0 order by r.id desc limit 1
        ) as r
        where e.number < %(of_all)s
    )
),
step as (
    select s.slug, s.function from unnest(%(slugs)s::text[], %(functions)s::text[]) as s (slug, function)
),
own as (
    select s.slug, t.seconds
    from step s
    cross join lateral (
        select t.seconds
        from recent e
        cross join lateral (
            select t.status, extract(epoch from t.ended_at - t.started_at)::double precision as seconds
            from workflow_step_tasks t
            where t.run_id = e.id and t.step_slug = s.slug
            order by t.task_index limit %(tasks)s
        ) as t
        where t.status = 'completed'
        limit %(tasks)s
    ) as t
),
place as (
    select vs.function, e.id, vs.step_slug,
        row_number() over (partition by vs.function order by e.number) as number
    from newest e
    cross join lateral (
        select vs.function, vs.step_slug
        from workflow_version_steps vs
        where vs.version_id = e.version_id
        offset 0
    ) as vs
    where
        e.workflow_slug <> %(slug)s
        and vs.function in (select s.function from step s where s.slug not in (select o.slug from own o))
),
other as (
    select p.function, t.seconds, row_number() over (partition by p.function order by p.number) as number
    from place p
    cross join lateral (
        select t.status, extract(epoch from t.ended_at - t.started_at)::double precision as seconds
        from workflow_step_tasks t
        where t.run_id = p.id and t.step_slug = p.step_slug
        order by t.task_index limit %(tasks)s
    ) as t
    where p.number <= %(tasks)s and t.status = 'completed'
)
select 'step', o.slug, percentile_cont(array[0.5, 0.95]) within group (order by o.seconds), count(*)
from own o group by o.slug
union all
select 'function', o.function, percentile_cont(array[0.5, 0.95]) within group (order by o.seconds), count(*)
from other o where o.number <= %(tasks)s group by o.function
"""  # noqa: E501


def load_seconds(slug: str, functions: Mapping[str, str], *, using: str) -> dict[str, Seconds]:
    """How long a task of each step takes, by its slug; steps that nobody has run are left out.

    ``functions`` are those of the steps. What a step took in this flow comes first, else what its
    function took in others.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(
            _PAST,
            {
                "slug": slug,
                "before": LAST,
                "most": _OF_FLOW,
                "of_all": _OF_ALL,
                "tasks": _TASKS,
                "slugs": list(functions),
                "functions": list(functions.values()),
            },
        )
        rows = cursor.fetchall()
    found = {
        (kind, name): Seconds(round(p50, 6), round(p95, 6), "history", count)
        for kind, name, (p50, p95), count in rows
    }
    past = {
        step: found.get(("step", step)) or found.get(("function", function))
        for step, function in functions.items()
    }
    return {step: seconds for step, seconds in past.items() if seconds is not None}
