"""The databases of the benchmarks: made, judged fit for measuring, dropped.

A comment on each tells that it is ours; a database without it is never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import OperationalError, connections
from psycopg import sql

from bench import settings

COMMENT = "made by python -m bench, which drops it again"
DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")


class Refused(Exception):
    """The database can't be used for measuring."""


def connect(alias: str = "default", **parameters: Any) -> psycopg.Connection[Any]:
    """A plain psycopg connection to a database of ours, in autocommit. Raises ``Refused``."""
    try:
        ours: dict[str, Any] = dict(connections[alias].get_connection_params())
        for name in ("cursor_factory", "context", "server_side_binding"):
            ours.pop(name, None)
        return psycopg.connect(**ours | parameters, autocommit=True)
    except (OperationalError, psycopg.OperationalError) as error:
        raise Refused(f"no connection to the database: {error}") from error


@contextmanager
def empty_databases(names: Sequence[str]) -> Iterator[None]:
    """Databases of these names, for a while. Raises ``Refused``."""
    with ExitStack() as stack:
        server = stack.enter_context(connect(dbname=settings.SITE_NAME))
        _refuse_unsafe(server)
        for name in names:
            stack.enter_context(_made(server, name))
        yield


@contextmanager
def bench_database() -> Iterator[None]:
    """The migrated database ``default``, for a while. Raises ``Refused``."""
    with empty_databases([settings.NAME]):
        call_command("migrate", verbosity=0)
        yield


@contextmanager
def level_databases(levels: Sequence[int]) -> Iterator[None]:
    """Copies of the database ``default`` for the growth workload, for a while."""
    with ExitStack() as stack:
        server = stack.enter_context(connect(dbname=settings.SITE_NAME))
        connections.close_all()  # a database that is copied must have no connection
        for level in levels:
            stack.enter_context(_made(server, f"{settings.NAME}_{level}", template=settings.NAME))
        yield


@contextmanager
def _made(
    server: psycopg.Connection[Any], name: str, template: str = "template1"
) -> Iterator[None]:
    _drop_left_behind(server, name)
    create = sql.SQL("create database {} template {}")
    try:
        server.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(f"{error}: the role must be allowed to create databases") from error
    comment = sql.SQL("comment on database {} is {}")
    try:
        server.execute(comment.format(sql.Identifier(name), sql.Literal(COMMENT)))
        yield
    finally:
        connections.close_all()
        server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _drop_left_behind(server: psycopg.Connection[Any], name: str) -> None:
    """Drop the database that an interrupted bench has left. Raises ``Refused`` for any other."""
    found = server.execute(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [name]
    ).fetchone()
    if found is None:
        return
    if found != (COMMENT,):
        raise Refused(f'there is a database "{name}" that is not ours; pass --database NAME')
    try:
        server.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))
    except psycopg.errors.ObjectInUse as error:
        raise Refused(f'"{name}" is in use: is another bench running?') from error


def _refuse_unsafe(server: psycopg.Connection[Any]) -> None:
    """Figures without durable commits would mean nothing."""
    for name in DURABILITY:
        found = server.execute("select current_setting(%s)", [name]).fetchone()
        if found == ("off",):
            raise Refused(f"{name} is off on this server; only durable commits are measured")
