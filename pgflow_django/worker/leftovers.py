"""What statements leave behind in a session of PostgreSQL, and how it is taken away again.

Only for a session that goes on being its owner's: any other is simply closed.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

#: Each kind as statements that undo it, so that what was there before can be told apart.
_FIND: Final = """
select format('close %I', name) from pg_cursors where is_holdable
union
select format('unlisten %I', channel) from pg_listening_channels() as channel
union
select format('drop table if exists pg_temp.%I cascade', relname)
from pg_class where relnamespace = pg_my_temp_schema() and relkind in ('r', 'p')
union
select format(
    'select pg_advisory_unlock%s(%s)',
    case when mode = 'ShareLock' then '_shared' else '' end,
    case
        when objsubid = 1 then ((classid::bigint << 32) | objid::bigint)::text
        else format('%s, %s', classid::bigint::bit(32)::int, objid::bigint::bit(32)::int)
    end
)
from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
"""


def find(raw: psycopg.Connection[Any]) -> set[str]:
    """Cursors, channels, temporary tables and locks of a session, as statements against them."""
    return {statement for (statement,) in psycopg.Cursor(raw).execute(_FIND).fetchall()}


def remove(raw: psycopg.Connection[Any], before: set[str]) -> None:
    """Take away what was not there before."""
    cursor = psycopg.Cursor(raw)
    for statement in sorted(find(raw) - before):
        cursor.execute(statement.encode())
