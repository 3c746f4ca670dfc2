"""What a step function does to the session of a database connection, and how that is undone.

A session keeps what statements have set, locked, prepared or created for it. The next step, and the
caller whose connection was borrowed, are to find it as it was. Looking costs a round trip: only
where the step has used the connection.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql as composing

from pgflow_django.worker import leftovers
from pgflow_django.worker.driver_state import DriverState

#: Settings that change what later statements mean, may do, or how long they may take. Functions and
#: triggers may set them unseen; any others are noticed in the text of a statement.
_WATCHED: Final = (
    "role",
    "search_path",
    "session_authorization",
    "default_transaction_read_only",
    "default_transaction_isolation",
    "default_transaction_deferrable",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "bytea_output",
    "extra_float_digits",
    "client_encoding",
    "client_min_messages",
    "standard_conforming_strings",
    "session_replication_role",
    "row_security",
    "synchronous_commit",
    "work_mem",
    "plan_cache_mode",
    "enable_seqscan",
    "enable_indexscan",
    "application_name",
    "check_function_bodies",
)
_NAMES: Final = frozenset(map(str.lower, _WATCHED))
_LOOK: Final = "select " + ", ".join(f"current_setting('{name}', true)" for name in _WATCHED)

_START: Final = r"(?:^|;)(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_SETS: Final = re.compile(
    _START + r"(?:set\s+(?!local\b|transaction\b|constraints\b)(?:session\s+)?|reset\s+)([\w.]+)"
    r"|\bset_config\s*\(\s*'([\w.]+)'",
    re.IGNORECASE | re.DOTALL,
)
_LEAVES: Final = re.compile(
    _START + r"(?:discard|listen|load|prepare|do|call|create\s+(?:local\s+|global\s+)?temp"
    r"|declare\s.*\bwith\s+hold|select\s.*\binto\s+temp)\b"
    r"|\bpg_(?:try_)?advisory_lock|\bset_config\s*\(\s*[^'\s]",
    re.IGNORECASE | re.DOTALL,
)


class _CountingLock:
    """The lock under which the driver runs every statement: counts them, and tells of the first.

    ``known`` is how the session is where no step function has changed it.
    """

    __slots__ = ("_lock", "before_use", "known", "uses")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.uses = 0
        self.known: list[Any] | None = None
        self.before_use: Callable[[], None] | None = None

    def __enter__(self) -> Any:
        self.uses += 1
        if self.before_use is not None:
            before_use, self.before_use = self.before_use, None
            before_use()
        return self._lock.__enter__()

    def __exit__(self, *error: object) -> Any:
        return self._lock.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)


def _lock_of(raw: Any) -> _CountingLock:
    lock = raw.lock
    if type(lock) is not _CountingLock:
        lock = raw.lock = _CountingLock(lock)
    return lock


def count_uses(raw: Any) -> int:
    """How many statements the driver's connection has run since it was first asked."""
    return _lock_of(raw).uses


def forget(raw: Any) -> None:
    """Look anew when a step uses this connection next: its owner may have changed its session."""
    if raw is not None:
        _lock_of(raw).known = None


def abandon(raw: Any) -> None:
    """Close a driver's connection that somebody may be in the middle of using.

    Whoever reads a stream holds its lock until the end: others would wait for ever, rather than
    hear that it is closed.
    """
    raw.lock = threading.Lock()
    raw.close()


class Session:
    """Watches the session of one Django connection while step functions run, one after another."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._raw: Any = None
        self._lock: _CountingLock | None = None
        self._driver: DriverState | None = None
        self._uses = 0
        #: Settings beside those watched that statements have named, with their values before.
        self._others: dict[str, str | None] = {}
        self._is_changed = False
        #: What the session held before a statement that may leave something there.
        self._leftovers: set[str] | None = None
        self.was_used = self._has_sent = False
        self._is_used: bool | None = None

    def begin(self) -> None:
        """Note how it stands. Sends nothing."""
        self._is_used = None
        if self.was_used:
            self.was_used = self._is_changed = False
            self._others, self._leftovers = {}, None
        raw: Any = self.connection.connection
        if raw is not self._raw:
            self._raw = raw
            self._lock = None if raw is None else _lock_of(raw)
            self._driver = None if raw is None else DriverState(raw)
        lock = self._lock
        if lock is None:
            return
        self._uses = lock.uses
        if lock.known is None:
            lock.before_use = partial(_get_to_know, raw)

    def is_used(self) -> bool:
        """Whether a statement has run since, on whatever connection, or it was changed."""
        if self._is_used is None:
            self._is_used = self._look_whether_used()
        return self._is_used

    def _look_whether_used(self) -> bool:
        raw: Any = self.connection.connection
        if raw is not self._raw:
            return True
        if self._lock is None or self._driver is None:
            return False
        return self._lock.uses != self._uses or not self._driver.is_untouched()

    def end(self) -> None:
        """What is sent from now on is not the step's."""
        self.was_used = self.is_used()
        if self._lock is not None:
            self._has_sent = self._lock.uses != self._uses
            self._lock.before_use = None

    def watch(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """See a statement before it is executed: an execute wrapper of Django."""
        raw = self.connection.connection
        text = sql if isinstance(sql, str) else _text_of(sql, raw)
        # Most statements hold none of these words.
        if _SETS.search(text) or _LEAVES.search(text):
            self._note(text, raw)
        return execute(sql, params, many, context)

    def _note(self, text: str, raw: Any) -> None:
        self._is_changed = True
        if self._leftovers is None and raw is not None and _LEAVES.search(text):
            with suppress(psycopg.Error):
                self._leftovers = leftovers.find(raw)
        for found in _SETS.finditer(text):
            name = (found[1] or found[2]).lower()
            if raw is not None and name not in {*_NAMES, *self._others}:
                with suppress(psycopg.Error):
                    self._remember(name, raw)

    def _remember(self, name: str, raw: Any) -> None:
        row = psycopg.Cursor(raw).execute("select current_setting(%s, true)", [name]).fetchone()
        value = row[0] if row else None
        if value is not None or "." in name:  # else it is a word of another kind of SET
            self._others[name] = value

    def is_as_before(self) -> bool:
        """Whether the session is what it was, as far as that can be told. One round trip."""
        raw: Any = self.connection.connection
        known = _lock_of(raw).known
        if known is None or self._is_changed:
            return False
        driver = self._driver
        if driver is None or not (driver.is_as_before() and driver.adapts_as_before()):
            return False
        try:
            return _look(raw) == known
        except psycopg.Error:
            return False

    def restore(self) -> bool:
        """Set back what was set, and take away what was left; whether that was possible."""
        lock, driver = self._lock, self._driver
        if lock is None or driver is None or self._raw is not self.connection.connection:
            return False
        if self._raw.closed:
            return False
        try:
            driver.restore()
            if lock.known is None:
                return not self._has_sent
            known = lock.known
            cursor = psycopg.Cursor(self._raw)
            cursor.execute("reset role; reset statement_timeout")
            before, now = dict(zip(_WATCHED, known, strict=True)), _look(self._raw)
            for (name, value), found in zip(before.items(), now, strict=True):
                if value != found:
                    _set(cursor, name, value)
            for name, other in self._others.items():
                _set(cursor, name, other)
            if self._leftovers is not None:
                leftovers.remove(self._raw, self._leftovers)
        except psycopg.Error:
            return False
        return True


def _get_to_know(raw: Any) -> None:
    with suppress(psycopg.Error):  # then it is not known
        _lock_of(raw).known = _look(raw)


def _look(raw: Any) -> list[Any]:
    row = psycopg.Cursor(raw).execute(_LOOK).fetchone()
    return list(row or ())


def _set(cursor: psycopg.Cursor[Any], name: str, value: str | None) -> None:
    if value is None:
        cursor.execute(composing.SQL("reset {}").format(composing.Identifier(*name.split("."))))
    else:
        cursor.execute("select set_config(%s, %s, false)", [name, value])


def _text_of(sql: Any, raw: Any) -> str:
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    return sql.as_string(raw) if hasattr(sql, "as_string") else str(sql)
