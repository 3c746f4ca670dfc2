"""The newest runs of a flow, without trials, found one by one along their index.

Asked for all at once, a planner that takes the table for small would read all runs of the flow.
Of "version + 0" it has no statistics: those of a moment with trials only would do the same. And it
takes "<> 0" to be true of most, so that reading in order up to the first looks cheap.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connections

#: Ids of at most ``%(most)s`` runs of flow ``%(slug)s`` that started before run ``%(before)s``.
RECENT = """
with recursive recent (id, number) as (
    (
        select r.id, 1 from workflow_runs r
        where r.workflow_slug = %(slug)s and r.id < %(before)s and r.version + 0 <> 0
        order by r.id desc limit 1
    )
    union all
    select
        (
            select r.id from workflow_runs r
            where r.workflow_slug = %(slug)s and r.id < e.id and r.version + 0 <> 0
            order by r.id desc limit 1
        ),
        e.number + 1
    from recent e
    where e.number < %(most)s and e.id is not null
)
"""
#: The id that all runs are before.
LAST = UUID(int=2**128 - 1)


def list_recent(slug: str, most: int, *, using: str, before: UUID = LAST) -> list[UUID]:
    """The ids of a flow's newest runs before another one."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"{RECENT} select id from recent where id is not null",
            {"slug": slug, "most": most, "before": before},
        )
        return [run_id for (run_id,) in cursor.fetchall()]
