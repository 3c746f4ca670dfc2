"""pgmq in a database: what is there, how it gets there and how it goes.

Storage layer: imports Django, and lazily the PyPI package ``pgmq`` for the script that it ships.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import DatabaseError, transaction

from pgflow_django.database import doctor_command, place
from pgflow_django.exceptions import DatabaseNotReady

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

#: From 1.6.0 on queues are plain tables, no longer members of the extension: any role that may
#: use the schema can make and drop them, and pg_dump saves the messages in them.
MINIMUM = "1.6.0"

#: What the engine calls. ``acquire_queue_lock`` came with 1.6.0, so that it tells the age of a
#: pgmq that was installed from its SQL, which has no version.
NEEDED = frozenset(
    {
        "acquire_queue_lock(text)",
        "create(text)",
        "drop_queue(text)",
        "send_batch(text, jsonb[], timestamp with time zone)",
    }
)

#: Our queues in pgmq; the others belong to somebody else.
PREFIX = "pgflow_"

_MARKER = "installed by pgflow_django"
_DEPENDENTS = "2BP01"


class InstallationError(DatabaseNotReady, CommandError):
    """Something can't be installed. A ``CommandError``: ``migrate`` prints it as one line."""


@dataclass(frozen=True, slots=True)
class Pgmq:
    """What a database has under the name of pgmq."""

    #: Version of the extension; ``None`` where there is none.
    extension: str | None
    #: Comment on the schema; tells what we installed.
    comment: str
    #: Owner of the schema ``pgmq``; empty where there is none.
    owner: str
    #: Functions and relations in the schema.
    functions: frozenset[str]
    relations: frozenset[str]
    #: Rights that the connection's role lacks.
    lacks_rights: tuple[str, ...]

    @property
    def is_missing(self) -> bool:
        """Whether nothing at all is there."""
        return self.extension is None and not self.functions and not self.relations

    @property
    def is_foreign(self) -> bool:
        """Whether the schema holds something else than pgmq."""
        return not (self.is_missing or self.extension or "create(text)" in self.functions)

    @property
    def is_old(self) -> bool:
        """Whether it is a pgmq that lacks what the engine calls."""
        return not (self.is_missing or self.is_foreign or self.functions >= NEEDED)

    @property
    def is_ours(self) -> bool:
        """Whether our migration installed it."""
        return _MARKER in self.comment

    def __str__(self) -> str:
        """Say in a few words what it is and whose."""
        if self.is_missing:
            return "not installed"
        if self.is_foreign:
            return f'a schema "pgmq" that holds something else (owner: {self.owner})'
        if self.extension:
            what = f"extension {self.extension}"
        else:
            version = re.search(r"\d[\d.]*\d", self.comment)
            what = f"from SQL, version {version[0]}" if version else "from SQL"
        whose = _MARKER if self.is_ours else f"found there (owner: {self.owner})"
        return f"{what}, {whose}"


def inspect(connection: BaseDatabaseWrapper) -> Pgmq:
    """Look what is there. Reads only the catalog, so that no right is needed."""
    with connection.cursor() as cursor:
        cursor.execute(_INSPECT)
        extension, comment, owner, functions, relations, rights = cursor.fetchone()
    lacks = tuple(right for right, granted in (rights or {}).items() if not granted)
    return Pgmq(extension, comment, owner, frozenset(functions), frozenset(relations), lacks)


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
    json_build_object(
        'USAGE', has_schema_privilege(n.oid, 'usage'),
        'CREATE', has_schema_privilege(n.oid, 'create'),
        'SELECT on meta', has_table_privilege(m.oid, 'select'),
        'INSERT on meta', has_table_privilege(m.oid, 'insert'),
        'DELETE on meta', has_table_privilege(m.oid, 'delete')
    )
from (values (true)) always
left join pg_namespace n on n.nspname = 'pgmq'
left join pg_class m on m.relnamespace = n.oid and m.relname = 'meta'
"""


def problem(found: Pgmq, using: str) -> tuple[str, str]:
    """Say why this pgmq can't serve and what to do; two empty strings where it can."""
    where = place(using)
    if found.is_missing:
        return (
            f"pgmq is not in the {where}.",
            f"`{doctor_command(using)} --repair` installs it again.",
        )
    if found.is_foreign:
        things = ", ".join(sorted(found.functions | found.relations)[:5])
        return (
            f'The {where} has a schema "pgmq" of {found.owner} that is not pgmq: {things}.',
            "Rename or drop that schema, or give flows another database.",
        )
    if found.is_old:
        scripts = "pgmq's own update scripts, one version after the other"
        mend = "`alter extension pgmq update`" if found.extension else scripts
        return (
            f"pgmq in the {where} is older than {MINIMUM} ({found}); it lacks "
            f"{', '.join(sorted(NEEDED - found.functions))}.",
            f"Let {found.owner} update it: {mend}.",
        )
    if found.lacks_rights:
        return (
            f"The role may not use pgmq in the {where} ({found}): it lacks "
            f"{', '.join(found.lacks_rights)}.",
            f"Let {found.owner} run: grant usage, create on schema pgmq to <role>; grant select, "
            "insert, update, delete on all tables in schema pgmq to <role>.",
        )
    return "", ""


def install(connection: BaseDatabaseWrapper) -> str:
    """Make sure that a pgmq is there that serves; say what was found or done.

    Raises ``InstallationError``.
    """
    found = inspect(connection)
    if not found.is_missing:
        wrong, mend = problem(found, connection.alias)
        if wrong:
            raise InstallationError(f"{wrong} {mend}")
        return f"pgmq: {found}"
    refusal = _install_extension(connection)
    if refusal:
        _install_script(connection)
    return f"pgmq: {inspect(connection)}" + (f"; {refusal}" if refusal else "")


def _install_extension(connection: BaseDatabaseWrapper) -> str:
    """Install the extension, or say why it can't be had: the server itself knows best."""
    with connection.cursor() as cursor:
        cursor.execute("select default_version from pg_available_extensions where name = 'pgmq'")
        row = cursor.fetchone()
    if row is None:
        return "the server does not offer the extension"
    if _numbers(row[0]) < _numbers(MINIMUM):
        return f"the extension that the server offers is older than {MINIMUM} ({row[0]})"
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute("create extension pgmq")
            # Everything in a trusted extension belongs to a superuser, out of this role's reach.
            wrong, _ = problem(inspect(connection), connection.alias)
            if wrong:
                raise InstallationError(wrong)
            _mark(cursor, row[0])
    except (DatabaseError, InstallationError) as error:
        return f"the extension {row[0]} can't be used by this role: {_first_line(error)}"
    return ""


def _install_script(connection: BaseDatabaseWrapper) -> None:
    script, version = _script()
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            # Without parameters the driver takes many statements at once and "%" as it is.
            cursor.execute(script, None)
            _mark(cursor, version)
    except DatabaseError as error:
        raise InstallationError(
            f"pgmq can't be installed in the {place(connection.alias)}: {_first_line(error)}. "
            "Let the database's owner run `grant create on database … to …` for the role of the "
            "migrations, or install pgmq beforehand."
        ) from error


def _mark(cursor: CursorWrapper, version: str) -> None:
    """Note on the schema that it is ours, for the reverse migration and the doctor."""
    version = ".".join(map(str, _numbers(version)))
    cursor.execute(f"comment on schema pgmq is 'pgmq {version}, {_MARKER}'")


def _script() -> tuple[str, str]:
    try:
        from pgmq.install import get_embedded_install_sql, get_embedded_sql_version
    except ImportError as error:
        raise InstallationError(
            f"The Python package pgmq, whose SQL is needed here, can't be imported ({error}). "
            "Run `pip install 'pgmq>=1.1'`."
        ) from error
    return get_embedded_install_sql(), get_embedded_sql_version()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def queue_names(connection: BaseDatabaseWrapper) -> list[str]:
    """Give the names of all queues in pgmq, anybody's."""
    with connection.cursor() as cursor:
        cursor.execute("select queue_name from pgmq.meta order by queue_name")
        return [name for (name,) in cursor.fetchall()]


def uninstall(connection: BaseDatabaseWrapper) -> str:
    """Drop our queues, and pgmq too where it is ours and nobody else's; say what was done."""
    found = inspect(connection)
    if "drop_queue(text)" not in found.functions:
        return f"pgmq: {found}"
    others = [name for name in queue_names(connection) if not name.startswith(PREFIX)]
    with connection.cursor() as cursor:
        drop_queues(cursor, PREFIX)
    if not found.is_ours:
        return f"pgmq: kept, {found}"
    if others:
        return f"pgmq: kept, other queues live there: {', '.join(others)}"
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            for statement in _drop_statements(cursor, found):
                cursor.execute(statement, None)
    except DatabaseError as error:
        cause: Any = error.__cause__
        if cause.sqlstate != _DEPENDENTS:
            raise
        return f"pgmq: kept, other things need it: {cause.diag.message_detail}"
    return "pgmq: removed"


def drop_queues(cursor: CursorWrapper, prefix: str) -> None:
    """Drop the queues whose names start so, and what they hold."""
    cursor.execute(
        "select pgmq.drop_queue(queue_name) from pgmq.meta where starts_with(queue_name, %s)",
        [prefix],
    )
    # pgmq folds the case of a queue's tables but not of its name here, and so can leave a row.
    cursor.execute("delete from pgmq.meta where starts_with(queue_name, %s)", [prefix])


def _drop_statements(cursor: CursorWrapper, found: Pgmq) -> list[str]:
    """Name all that we installed and nothing else; without "cascade", the server guards the rest.

    Whatever somebody else has put into the schema, or built upon it elsewhere, makes them fail.
    """
    if found.extension:
        return ["drop extension pgmq", "drop schema pgmq"]
    script, _ = _script()
    functions = set(re.findall(r'create (?:or replace )?function pgmq\."?(\w+)', script, re.I))
    tables = re.findall(r"create (?:unlogged )?table if not exists pgmq\.(\w+)", script, re.I)
    types = re.findall(r"create type pgmq\.(\w+)", script, re.I)
    cursor.execute(
        "select string_agg(p.oid::regprocedure::text, ', ') from pg_proc p "
        "where p.pronamespace = 'pgmq'::regnamespace and p.proname = any(%s)",
        [list(functions)],
    )
    (routines,) = cursor.fetchone()
    return [
        f"drop routine {routines}",
        "drop table " + ", ".join(f"pgmq.{name}" for name in tables),
        "drop type " + ", ".join(f"pgmq.{name}" for name in types),
        "drop schema pgmq",
    ]
