"""The index by which a queue's messages are claimed, on queues that were there before it.

New queues get theirs from ``pgflow.ensure_queue``. Without it all works, but each claim sorts the
whole queue.

Storage layer: imports Django.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgflow_django.sql.pgmq import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

# An index whose building was interrupted is there, but serves nobody.
_LOOK = """
select
    substr(t.relname, 3 + length(%(prefix)s)), coalesce(x.indisvalid, false),
    pg_has_role(t.relowner, 'usage')
from pg_class t
left join pg_class i on i.relnamespace = t.relnamespace and i.relname = t.relname || '_rank_idx'
left join pg_index x on x.indexrelid = i.oid and x.indrelid = t.oid
where
    t.relnamespace = to_regnamespace('pgmq') and t.relkind = 'r'
    and starts_with(t.relname, 'q_' || %(prefix)s)
order by 1
"""


@dataclass(frozen=True, slots=True)
class Ranks:
    """One of our queues: whether it has the index, and whether this role may make and drop it."""

    name: str
    is_ranked: bool
    may_change: bool


def look_at_ranks(connection: BaseDatabaseWrapper) -> list[Ranks]:
    """Look at all our queues."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, {"prefix": PREFIX})
        return [Ranks(*row) for row in cursor.fetchall()]


def ranking(queue: str, *, concurrently: bool) -> Iterator[str]:
    """Give the statements that bring a queue's messages into the order in which they are due.

    ``concurrently`` is for outside of transactions: nobody who claims or sends waits.
    """
    table = f"q_{PREFIX}{queue}"
    how = "concurrently " if concurrently else ""
    yield (
        f'update pgmq."{table}" set enqueued_at = vt where msg_id = any(array('
        f'select msg_id from pgmq."{table}" where vt > enqueued_at for update skip locked))'
    )
    yield unranking(queue, concurrently=concurrently)
    yield f'create index {how}"{table}_rank_idx" on pgmq."{table}" (enqueued_at, msg_id)'


def unranking(queue: str, *, concurrently: bool) -> str:
    """Give the statement that drops the index, whole or not."""
    how = "concurrently " if concurrently else ""
    return f'drop index {how}if exists pgmq."q_{PREFIX}{queue}_rank_idx"'
