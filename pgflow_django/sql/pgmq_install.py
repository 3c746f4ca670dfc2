"""How pgmq gets into a database and out of it again.

Storage layer: imports Django, and lazily the PyPI package ``pgmq`` for the script that it ships.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import DatabaseError, transaction

from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.sql.pgmq import MARKER, MINIMUM, PREFIX, Pgmq, find_trouble, inspect, queue_names
from pgflow_django.storage.trouble import place

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

_DEPENDENTS = "2BP01"


class InstallationError(DatabaseNotReady, CommandError):
    """Something can't be installed. A ``CommandError``: ``migrate`` prints it as one line."""


def install(connection: BaseDatabaseWrapper) -> str:
    """Make sure that a pgmq is there that serves; say what was found or done.

    Raises ``InstallationError``.
    """
    found = inspect(connection)
    if found.state != "missing":
        _require_serving(connection)
        return f"pgmq: {found}"
    refusal = _install_extension(connection)
    if refusal:
        _install_script(connection)
    return f"pgmq: {inspect(connection)}" + (f"; {refusal}" if refusal else "")


def _require_serving(connection: BaseDatabaseWrapper) -> None:
    trouble = find_trouble(inspect(connection), connection.alias)
    if trouble:
        raise InstallationError(" ".join(trouble))


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
            _require_serving(connection)
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
            "Let the database's owner grant the role of the migrations the right to create schemas "
            "in it (`grant create on database`), or install pgmq there beforehand."
        ) from error


def _mark(cursor: CursorWrapper, version: str) -> None:
    """Note on the schema that it is ours, for the reverse migration and the doctor."""
    version = ".".join(map(str, _numbers(version)))
    cursor.execute(f"comment on schema pgmq is 'pgmq {version}, {MARKER}'")


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
    script = _script()[0].lower()
    functions = re.findall(r'create (?:or replace )?function pgmq\."?(\w+)', script)
    tables = re.findall(r"create (?:unlogged )?table if not exists pgmq\.(\w+)", script)
    types = re.findall(r"create type pgmq\.(\w+)", script)
    cursor.execute(
        "select string_agg(p.oid::regprocedure::text, ', ') from pg_proc p "
        "where p.pronamespace = 'pgmq'::regnamespace and p.proname = any(%s)",
        [functions],
    )
    (routines,) = cursor.fetchone()
    return [
        f"drop routine {routines}",
        "drop table " + ", ".join(f"pgmq.{name}" for name in tables),
        "drop type " + ", ".join(f"pgmq.{name}" for name in types),
        "drop schema pgmq",
    ]
