"""The pgmq of a database: what is there, and whether it serves.

Storage layer: imports Django and ``database``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pgflow_django.storage.trouble import Trouble, doctor_command, place

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

#: From 1.6.0 on queues are plain tables, no longer members of the extension: any role that may
#: use the schema can make and drop them, and pg_dump saves the messages in them.
MINIMUM = "1.6.0"

#: What the engine calls. ``acquire_queue_lock`` came with 1.6.0, so it tells the age of a pgmq
#: that was installed from its SQL, which has no version.
NEEDED = frozenset(
    {
        "acquire_queue_lock(text)",
        "create(text)",
        "drop_queue(text)",
        "send(text, jsonb, timestamp with time zone)",
        "send_batch(text, jsonb[], timestamp with time zone)",
    }
)

#: Our queues in pgmq; the others belong to somebody else.
PREFIX = "pgflow_"

#: In the comment on the schema, where we installed it.
MARKER = "installed by pgflow_django"

State = Literal["missing", "foreign", "old", "forbidden", "serves"]


@dataclass(frozen=True, slots=True)
class Pgmq:
    """What a database has under the name of pgmq."""

    #: Version of the extension; ``None`` where there is none.
    extension: str | None
    #: Comment on the schema; tells what we installed.
    comment: str
    #: Owner of the schema ``pgmq``; empty where there is none.
    owner: str
    #: Functions (with their argument types) and relations in the schema.
    functions: frozenset[str]
    relations: frozenset[str]
    #: The connection's role, and the rights that it lacks.
    role: str
    lacks_rights: tuple[str, ...]

    @property
    def state(self) -> State:
        """Whether it serves, or the first reason why not."""
        if not (self.extension or self.functions or self.relations):
            return "missing"
        if not self.extension and "create(text)" not in self.functions:
            return "foreign"
        if not self.functions >= NEEDED:
            return "old"
        return "forbidden" if self.lacks_rights else "serves"

    @property
    def is_ours(self) -> bool:
        """Whether our migration installed it."""
        return MARKER in self.comment

    def __str__(self) -> str:
        """Say in a few words what it is and whose."""
        if self.state == "missing":
            return "not installed"
        if self.state == "foreign":
            return f'a schema "pgmq" that holds something else (owner: {self.owner})'
        if self.extension:
            what = f"extension {self.extension}"
        else:
            version = re.search(r"\d+(\.\d+)+", self.comment)
            what = f"from SQL, version {version[0]}" if version else "from SQL"
        return f"{what}, {MARKER if self.is_ours else f'found there (owner: {self.owner})'}"


def inspect(connection: BaseDatabaseWrapper) -> Pgmq:
    """Look what is there. Reads only the catalog, so that no right is needed."""
    with connection.cursor() as cursor:
        cursor.execute(_INSPECT, [PREFIX])
        extension, comment, owner, functions, relations, role, lacks = cursor.fetchone()
    return Pgmq(
        extension, comment, owner, frozenset(functions), frozenset(relations), role, tuple(lacks)
    )


_INSPECT = """
select
    (select e.extversion from pg_extension e where e.extname = 'pgmq'),
    coalesce(obj_description(n.oid, 'pg_namespace'), ''),
    coalesce(pg_get_userbyid(n.nspowner), ''),
    array(
        select p.proname || '(' || oidvectortypes(p.proargtypes) || ')'
        from pg_proc p where p.pronamespace = n.oid
    ),
    array(
        select c.relname::text from pg_class c
        where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
    ),
    current_user,
    array(
        select r.name
        from (values
            ('USAGE', has_schema_privilege(n.oid, 'usage')),
            ('CREATE', has_schema_privilege(n.oid, 'create')),
            ('SELECT on meta', has_table_privilege(m.oid, 'select')),
            ('INSERT on meta', has_table_privilege(m.oid, 'insert')),
            ('DELETE on meta', has_table_privilege(m.oid, 'delete'))
        ) r (name, granted)
        where not r.granted
    ) || array(
        select 'SELECT, INSERT, UPDATE, DELETE on ' || q.relname
        from pg_class q
        where
            q.relnamespace = n.oid and q.relkind = 'r' and starts_with(q.relname, 'q_' || %s)
            and not (
                has_table_privilege(q.oid, 'select') and has_table_privilege(q.oid, 'insert')
                and has_table_privilege(q.oid, 'update') and has_table_privilege(q.oid, 'delete')
            )
        order by q.relname
    )
from (values (true)) always
left join pg_namespace n on n.nspname = 'pgmq'
left join pg_class m on m.relnamespace = n.oid and m.relname = 'meta'
"""


def find_trouble(found: Pgmq, using: str) -> Trouble | None:
    """Say why this pgmq can't serve, if so."""
    where = place(using)
    match found.state:
        case "missing":
            fix = f"`{doctor_command(using)} --repair` installs it again."
            return Trouble(f"pgmq is missing from the {where}.", fix)
        case "foreign":
            things = ", ".join(sorted(found.functions | found.relations)[:5])
            what = f'The {where} has a schema "pgmq" of {found.owner} that is not pgmq: {things}.'
            return Trouble(what, "Rename or drop that schema, or give flows another database.")
        case "old":
            lacks = ", ".join(sorted(NEEDED - found.functions))
            scripts = "pgmq's own update scripts, one version after the other"
            fix = "`alter extension pgmq update`" if found.extension else scripts
            what = f"pgmq in the {where} is older than {MINIMUM} ({found}): it lacks {lacks}."
            return Trouble(what, f"Let {found.owner} update it: {fix}.")
        case "forbidden":
            lacks = ", ".join(found.lacks_rights)
            what = f"{found.role} may not use pgmq in the {where} ({found}): it lacks {lacks}."
            grants = (
                f"grant usage, create on schema pgmq to {found.role}; "
                f"grant select, insert, update, delete on all tables in schema pgmq to {found.role}"
            )
            return Trouble(what, f"Let {found.owner} run `{grants}`.")
        case "serves":
            return None


def queue_names(connection: BaseDatabaseWrapper) -> list[str]:
    """Give the names of all queues in pgmq, anybody's."""
    with connection.cursor() as cursor:
        cursor.execute("select queue_name from pgmq.meta order by queue_name")
        return [name for (name,) in cursor.fetchall()]
