"""What a step function does to the session of a database connection, and how that is undone.

A session keeps what statements have set, locked, prepared or created for it. The next step, and the
caller whose connection was borrowed, are to find it as it was. Looking costs a round trip: only
where the step has used the connection.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from pgflow_django import jsonvalue
from pgflow_django.worker import leftovers
from pgflow_django.worker.driver_state import DriverState

#: Settings that change what later statements mean, may do, or how long they may take. Functions and
#: triggers may set them unseen; any others are looked at where a statement may have set them.
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
_LOOK: Final = "select " + ", ".join(f"current_setting('{name}', true)" for name in _WATCHED)

_START: Final = r"\A(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
#: Statements that leave nothing in a session, but for the functions and clauses below.
_PLAIN: Final = re.compile(
    _START + r"(?:select|insert|update|delete|merge|with|values|table|savepoint|release"
    r"|rollback\s+to|set\s+constraints|explain|truncate|fetch|copy)\b",
    re.IGNORECASE | re.DOTALL,
)
_LEAVES: Final = re.compile(
    r";\s*\S|\b(?:set_config|setseed|pg_temp|dblink_connect)\b|_advisory_lock|\binto\s+(?:\w+\s+)?temp",
    re.IGNORECASE,
)
#: Those whose effects can't be looked at for certain.
_OPAQUE: Final = re.compile(
    r"(?:\A|;)\W*(?:do|call|load|listen|discard|execute|reset\s+all)\b|\bsetseed\b"
    r"|\bset_config\s*\((?!\s*(?:e?'[\w.]+'|%s|\$1)\s*(?:::\w+\s*)?,)",
    re.IGNORECASE,
)
#: What names a setting that an extension or a site has made up: no view lists those.
_MADE_UP: Final = re.compile(r'"?([a-z_][\w$]*)"?\."?([a-z_][\w$]*)"?', re.IGNORECASE)
#: Methods of the driver's cursors that send what they are given.
_SENDING: Final = frozenset({"execute", "executemany", "stream", "copy"})


class _CountingLock:
    """The lock under which the driver runs every statement: counts them, and tells of a step's.

    ``known`` is how the session is where no step function has changed it; ``changes`` counts how
    often its owner has changed it.
    """

    __slots__ = ("_lock", "before_use", "changes", "known", "uses")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.uses = self.changes = 0
        self.known: list[Any] | None = None
        self.before_use: Callable[[FrameType], None] | None = None

    def __enter__(self) -> Any:
        self.uses += 1
        if self.before_use is not None:
            self.before_use(sys._getframe(1))  # noqa: SLF001 - the driver's, with the statement
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
        lock = _lock_of(raw)
        lock.known = None
        lock.changes += 1


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
        self._uses = self._changes = 0
        #: Made-up settings that statements have named, with their values before.
        self._others: dict[str, str | None] = {}
        self._is_opaque = False
        #: What the session held before a statement that may leave something there.
        self._held: leftovers.Held | None = None
        self.was_used = self._has_sent = False
        self._watcher = self._watch
        self._is_used: bool | None = None

    def begin(self) -> None:
        """Note how it stands. Sends nothing."""
        self._is_used = None
        if self.was_used:
            self.was_used = self._is_opaque = False
            self._others, self._held = {}, None
        raw: Any = self.connection.connection
        if raw is not self._raw:
            self._raw = raw
            self._lock = None if raw is None else _lock_of(raw)
            self._driver, self._changes = None, -1
        lock = self._lock
        if lock is None:
            return
        if lock.changes != self._changes:
            self._changes = lock.changes
            self._driver = DriverState(raw)
        self._uses = lock.uses
        lock.before_use = self._watcher

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

    def _watch(self, frame: FrameType) -> None:
        """See what is sent before it is sent, by Django's cursors and by those of the driver."""
        lock, raw = self._lock, self._raw
        if lock is None:
            return
        lock.before_use = None  # what is asked here is not the step's
        try:
            if lock.known is None:
                _get_to_know(raw)
            if frame.f_code.co_name in _SENDING:
                self._look_at(frame.f_locals, raw)
        except psycopg.Error:
            self._is_opaque = True
        finally:
            lock.before_use = self._watcher

    def _look_at(self, sent: Mapping[str, Any], raw: Any) -> None:
        text = _text_of(sent.get("query", sent.get("statement")), raw)
        if _PLAIN.match(text) and not _LEAVES.search(text):
            return
        if _OPAQUE.search(text):
            self._is_opaque = True
        if self._held is None:
            self._held = leftovers.find(raw)
        # A name may come as a parameter, too.
        words = f"{text} {jsonvalue.text_of(sent.get('params') or '', 10_000)}"
        named = {f"{one}.{two}".lower() for one, two in _MADE_UP.findall(words)}
        if new := named.difference(self._others):
            self._others.update(leftovers.read(raw, new))

    @property
    def is_suspect(self) -> bool:
        """Whether it has been sent something that may have changed it."""
        return self._is_opaque or self._held is not None

    def is_as_before(self) -> bool:
        """Whether the session is what it was, as far as that can be told. One round trip."""
        raw: Any = self.connection.connection
        known = _lock_of(raw).known
        if known is None or self._is_opaque:
            return False
        driver = self._driver
        if driver is None or not driver.is_as_before():
            return False
        try:
            # First of all: how long a statement may take, and as whom it is run.
            if _look(raw) != known:
                return False
            if self._held is not None and leftovers.find(raw) != self._held:
                return False
            return not self._others or leftovers.read(raw, self._others) == self._others
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
                    leftovers.set_back(cursor, name, value)
            for name, other in self._others.items():
                leftovers.set_back(cursor, name, other)
            if self._held is not None:
                leftovers.remove(self._raw, self._held)
        except psycopg.Error:
            return False
        return True


def _get_to_know(raw: Any) -> None:
    with suppress(psycopg.Error):  # then it is not known
        _lock_of(raw).known = _look(raw)


def _look(raw: Any) -> list[Any]:
    row = psycopg.Cursor(raw).execute(_LOOK).fetchone()
    return list(row or ())


def _text_of(sql: Any, raw: Any) -> str:
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode(errors="replace")
    return sql.as_string(raw) if hasattr(sql, "as_string") else str(sql)
