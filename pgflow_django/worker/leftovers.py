"""What statements leave behind in a session of PostgreSQL, and how it is taken away again.

Only for a session that goes on being its owner's: any other is simply closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import psycopg
from psycopg import sql

#: By what undoes it, or by the name of a setting: its value, else nothing.
Held = dict[tuple[str, str], str]

#: One round trip. Statements of the driver's own (`from_sql` is false) are its affair.
_FIND: Final = """
select 'set', name, setting from pg_settings
where source = 'session' and name not like 'transaction\\_%'
union all
select 'undo', format('close %I', name), '' from pg_cursors where is_holdable
union all
select 'undo', format('unlisten %I', channel), '' from pg_listening_channels() as channel
union all
select 'undo', format('deallocate %I', name), '' from pg_prepared_statements where from_sql
union all
select 'undo', format(
    'drop %s if exists pg_temp.%I cascade',
    case relkind
        when 'v' then 'view' when 'S' then 'sequence' when 'c' then 'type' else 'table'
    end,
    relname
), ''
from pg_class where relnamespace = pg_my_temp_schema() and relkind in ('r', 'p', 'v', 'S', 'c')
union all
select 'undo', format('drop routine if exists %s cascade', oid::regprocedure), ''
from pg_proc where pronamespace = pg_my_temp_schema()
union all
select 'undo', format(
    'select pg_advisory_unlock%s(%s)',
    case when mode = 'ShareLock' then '_shared' else '' end,
    case
        when objsubid = 1 then ((classid::bigint << 32) | objid::bigint)::text
        else format('%s, %s', classid::bigint::bit(32)::int, objid::bigint::bit(32)::int)
    end
), ''
from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
"""


def find(raw: psycopg.Connection[Any]) -> Held:
    """Settings of a session, and its cursors, channels, temporary objects and locks."""
    rows = psycopg.Cursor(raw).execute(_FIND).fetchall()
    return {(kind, name): value for kind, name, value in rows}


def read(raw: psycopg.Connection[Any], names: Iterable[str]) -> dict[str, str | None]:
    """The values of settings by their names, ``None`` for those that there are not."""
    query = "select name, nullif(current_setting(name, true), '') from unnest(%s::text[]) as name"
    return dict(psycopg.Cursor(raw).execute(query, [list(names)]).fetchall())


def set_back(cursor: psycopg.Cursor[Any], name: str, value: str | None) -> None:
    """Give a setting a value, or, for ``None``, the one that it has by itself."""
    if value is None:
        cursor.execute(sql.SQL("reset {}").format(sql.Identifier(*name.split("."))))
    else:
        cursor.execute("select set_config(%s, %s, false)", [name, value])


def remove(raw: psycopg.Connection[Any], before: Held) -> None:
    """Set back what was set, and take away what was not there before."""
    cursor = psycopg.Cursor(raw)
    now = find(raw)
    for kind, name in sorted(now.keys() - before.keys()):
        if kind == "set":
            set_back(cursor, name, None)
        else:
            cursor.execute(name.encode())
    # What a transaction has begun to listen to is seen nowhere before it is committed.
    heard = [name.removeprefix("un") for _, name in before if name.startswith("unlisten ")]
    cursor.execute("; ".join(["unlisten *", *heard]).encode())
    for (kind, name), value in before.items():
        if kind == "set" and now.get((kind, name)) != value:
            set_back(cursor, name, value)
