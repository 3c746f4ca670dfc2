"""One call of a SQL function, prepared, and again where nothing was lost."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django import signals
from pgflow_django.conf import joined_bytes
from pgflow_django.storage.trouble import database_errors, retried

#: Characters of an answer that is not kept in memory until the next one.
_LARGE = 64 * 1024

_cursors: WeakKeyDictionary[psycopg.Connection[Any], psycopg.Cursor[Any]] = WeakKeyDictionary()


def call_telling(sql: str, params: list[Any], using: str) -> Any:
    """As ``call``, for a function that moves runs: signals tell of it where anybody listens."""
    is_listened_to, bound = signals.has_receivers(), joined_bytes()
    if not is_listened_to and bound is None:
        return call(sql, params, using)
    # Evaluated from left to right; `told` is null where nothing happened.
    before, after = [], []
    if bound is not None:
        before.append("set_config('pgflow.max_joined_bytes', %s, true)")
        params = [str(bound), *params]
    if is_listened_to:
        before.append("pgflow.tell()")
        after.append("pgflow.told()")
    columns = [*before, sql.removeprefix("select "), *after]
    row = _call(f"select {', '.join(columns)}", params, using)
    if is_listened_to and row[-1] is not None:
        signals.send_after_commit(row[-1], using)
    return row[len(before)]


def kept_whole(using: str) -> AbstractContextManager[None]:
    """A savepoint where the caller has a transaction, which a refusal would break."""
    return transaction.atomic(using) if connections[using].in_atomic_block else nullcontext()


def call(sql: str, params: list[Any], using: str) -> Any:
    """Run one function and give its value; deadlocks are tried again where nothing was lost."""
    return _call(sql, params, using)[0]


def _call(sql: str, params: list[Any], using: str) -> tuple[Any, ...]:
    try:
        return retried(partial(_fetch_row, connections[using], sql, params), using)
    except Error:
        with database_errors(using):  # which costs nothing until something goes wrong
            raise


def _fetch_row(connection: BaseDatabaseWrapper, sql: str, params: list[Any]) -> tuple[Any, ...]:
    """Run a query of one row, prepared on the server, which saves a fifth of a round trip.

    Through Django's own cursor where somebody watches the queries, and unprepared where the site
    says, as Django asks for behind a transaction pooler, DISABLE_SERVER_SIDE_CURSORS.
    """
    if connection.execute_wrappers or connection.force_debug_cursor:
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            row = cursor.fetchone()
            assert row is not None  # noqa: S101 - a function call gives one row
            return row
    connection.ensure_connection()
    prepare = not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    with connection.wrap_database_errors:
        ours = _cursor_of(connection.connection)
        row = ours.execute(sql, params, prepare=prepare).fetchone()
    assert row is not None  # noqa: S101 - a function call gives one row
    for value in row:
        if isinstance(value, str) and len(value) > _LARGE:
            # The cursor would keep the answer until the next call.
            _cursors.pop(connection.connection, None)
    return row


def _cursor_of(connection: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """The connection's cursor for our calls: making one costs more than a call's own Python."""
    cursor = _cursors.get(connection)
    if cursor is None or cursor.closed:
        cursor = _cursors[connection] = psycopg.Cursor(connection)
    return cursor
