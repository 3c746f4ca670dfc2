"""What lies in a queue before the messages of a run.

Storage layer: bounded reads of the tables of pgmq.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connections
from psycopg import sql

#: Tasks that are counted, about: messages are counted until they have so many.
MOST = 1_000
#: Messages are taken in the order of their ranks. The first are read along the index of those, not
#: all that there are up to a rank, which a planner would sort. Of a run with very many, some are
#: looked at.
_AHEAD = """
with own as materialized (
    select mine.enqueued_at, mine.msg_id
    from (
        select q.enqueued_at, q.msg_id from pgmq.{queue} q
        where q.message->>'run_id' = %(run)s and q.vt <= clock_timestamp()
        limit 1000
    ) as mine
    order by mine.enqueued_at, mine.msg_id limit 1
)
select each.function, sum(each.tasks)::integer
from (
    select
        q.enqueued_at, q.msg_id, q.message->>'function' as function,
        (q.message->>'count')::integer as tasks
    from pgmq.{queue} q
    where greatest(q.vt, q.enqueued_at) <= clock_timestamp()
    order by q.enqueued_at, q.msg_id
    limit %(most)s
) as each
join own on (each.enqueued_at, each.msg_id) < (own.enqueued_at, own.msg_id)
group by each.function
"""


def count_ahead(run_id: UUID, queue: str, *, using: str) -> dict[str, int]:
    """How many tasks of each function are to be taken before those of a run, about."""
    name = f"q_pgflow_{queue}"
    with connections[using].cursor() as cursor:
        statement = sql.SQL(_AHEAD).format(queue=sql.Identifier(name))
        cursor.execute(statement, {"run": str(run_id), "most": MOST})
        return dict(cursor.fetchall())
