"""How a database connection stands, and how it is put back: blocks, autocommit, transaction."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import psycopg
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import PipelineStatus, TransactionStatus

from pgflow_django.worker.sessions import Session, abandon, count_uses

logger = logging.getLogger("pgflow_django.steps")

LEFT_OPEN = (
    "the step left a transaction.atomic() open, so what it wrote there was rolled back: enter it "
    "by `with`, and leave it before the step returns"
)
ENDED = "the step ended a transaction that it had not begun: leave that to its owner"
MARKED = (
    "the step returned normally, but its transaction was marked to be rolled back: by an error of "
    "the database that it caught inside transaction.atomic(), by set_rollback(True), or by closing "
    "the connection. Put what may fail into an atomic() of its own, or let the error pass"
)
BUSY = (
    "the step left a query unfinished, a COPY or a pipeline open in its transaction: read it to "
    "the end, or close it"
)
ABORTED = (
    "the step returned normally, but PostgreSQL has aborted its transaction because of an error "
    "that it caught: put what may fail into an atomic() of its own, or let the error pass"
)


class Depth:
    """How many blocks of ``atomic()`` a connection is in."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.blocks = len(connection.atomic_blocks) if connection.in_atomic_block else 0
        self.savepoints = len(connection.savepoint_ids)
        self.is_marked = connection.needs_rollback
        self._raw: Any = connection.connection
        self._uses = -1
        if self._raw is not None and connection.vendor == "postgresql":
            self._uses = count_uses(self._raw)

    @classmethod
    def none(cls, connection: BaseDatabaseWrapper) -> Depth:
        """That of a connection which the step is the first to use."""
        depth = cls(connection)
        depth.blocks = depth.savepoints = 0
        depth._raw = None
        return depth

    def complaint(self) -> str:
        """Why what the step wrote since can't be kept, as a sentence; empty where it can."""
        connection = self.connection
        blocks = len(connection.atomic_blocks) if connection.in_atomic_block else 0
        if blocks > self.blocks:
            return LEFT_OPEN
        if blocks < self.blocks:
            return ENDED
        if not self.blocks or self.is_marked:
            return ""
        if connection.needs_rollback:
            return MARKED
        return "" if self._uses < 0 else self._driver_complaint(self._raw)

    def _driver_complaint(self, raw: Any) -> str:
        """What Django does not know: SQL of the step's own that ended or broke the transaction."""
        current: Any = self.connection.connection
        if raw.closed or raw is not current:
            return ENDED
        if not _is_ready(raw):
            return BUSY
        status = raw.info.transaction_status
        if status == TransactionStatus.INERROR:
            return ABORTED
        # Where nothing was sent nothing has begun.
        is_used = self.savepoints > 0 or count_uses(raw) != self._uses
        return ENDED if status == TransactionStatus.IDLE and is_used else ""

    def unwind(self) -> None:
        """Leave the blocks that were entered since, and roll back what they hold."""
        connection = self.connection
        raw: Any = connection.connection
        is_postgres = raw is not None and connection.vendor == "postgresql"
        if is_postgres and not raw.closed and not _is_ready(raw):
            abandon(raw)
        if len(connection.atomic_blocks) <= self.blocks:
            return
        for block in connection.atomic_blocks[self.blocks :]:
            # Whoever leaves it later (the collector, for a generator) is to leave no other block.
            block.using = "left by a step that has ended"
        entered: list[Any] = connection.savepoint_ids[self.savepoints :]
        del connection.atomic_blocks[self.blocks :]
        del connection.savepoint_ids[self.savepoints :]
        if self.blocks == 0:
            connection.in_atomic_block = False
            connection.run_on_commit = []
        elif entered and entered[0] is not None and not connection.closed_in_transaction:
            try:
                connection.needs_rollback = False
                connection.savepoint_rollback(entered[0])
            except Error:
                connection.needs_rollback = True
        else:
            connection.needs_rollback = True


class ConnectionState:
    """How one of a thread's connections is to stand whenever a step has ended."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.depth = Depth(connection)
        self._autocommit = bool(connection.settings_dict["AUTOCOMMIT"])
        if connection.connection is not None:
            self._autocommit = connection.autocommit
        self._wrappers = len(connection.execute_wrappers)
        self._is_debugged = connection.force_debug_cursor
        self._is_unused = False
        self._session = Session(connection) if connection.vendor == "postgresql" else None

    @classmethod
    def unused(cls, connection: BaseDatabaseWrapper) -> ConnectionState:
        """That of a connection which the step was the first to use: nobody needs it."""
        state = cls(connection)
        state.depth = Depth.none(connection)
        state._autocommit = bool(connection.settings_dict["AUTOCOMMIT"])
        state._wrappers, state._is_unused = 0, True
        return state

    def begin(self) -> None:
        """See what the step does from now on."""
        if self._session is not None:
            self._session.begin()

    def is_touched(self) -> bool:
        """Whether the step has used it, or changed how Django sees it."""
        connection = self.connection
        return (
            self._session is None
            or self._session.is_used()
            or len(connection.atomic_blocks) != self.depth.blocks
            or connection.needs_rollback != self.depth.is_marked
            or connection.autocommit != self._autocommit
        )

    def set_back(self) -> bool:
        """Set back what the step has set, in its transaction; whether that was possible."""
        return self._session is None or not self._session.is_suspect or self._session.restore()

    def end(self) -> None:
        """The step has ended: what follows is not its doing."""
        del self.connection.execute_wrappers[self._wrappers :]
        self.connection.force_debug_cursor = self._is_debugged
        if self._session is not None:
            self._session.end()

    def restore(self, *, is_borrowed: bool) -> None:
        """Undo what the step has left. Never raises: what can't be undone is closed."""
        connection = self.connection
        try:
            self.depth.unwind()
            if self.depth.blocks == 0:
                connection.in_atomic_block = False
                self._end_transaction()
            self._restore_session(is_borrowed=is_borrowed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one shall not meet it
            logger.warning('connection "%s" is closed: %s', connection.alias, error)
            drop(connection)

    def _end_transaction(self) -> None:
        connection = self.connection
        connection.needs_rollback = False
        raw: Any = connection.connection
        if raw is None:
            return
        if connection.vendor != "postgresql":
            if connection.get_autocommit() != self._autocommit:
                connection.rollback()
                connection.set_autocommit(self._autocommit)
        elif connection.closed_in_transaction or not _is_ready(raw):
            drop(connection)
        else:
            if raw.info.transaction_status != TransactionStatus.IDLE and self._autocommit:
                logger.warning(
                    'a step left a transaction open on database "%s": what it wrote there is '
                    "rolled back",
                    connection.alias,
                )
                raw.rollback()
            if (raw.autocommit, connection.autocommit) != (self._autocommit,) * 2:
                raw.rollback()
                raw.autocommit = connection.autocommit = self._autocommit

    def _restore_session(self, *, is_borrowed: bool) -> None:
        session, connection = self._session, self.connection
        if connection.connection is None or session is None:
            return
        if self._is_unused:
            drop(connection)  # nobody knows what was done to it
        elif session.was_used and not session.is_as_before():
            is_restored = is_borrowed and session.restore()
            if not is_restored and self.depth.blocks == 0:
                drop(connection)


def drop(connection: BaseDatabaseWrapper) -> None:
    """Close a connection, whatever it is in the middle of; the next query connects anew."""
    if connection.vendor != "postgresql":
        return
    connection.in_atomic_block = connection.closed_in_transaction = False
    connection.atomic_blocks, connection.savepoint_ids = [], []
    with suppress(Error, psycopg.Error):
        if connection.connection is not None:
            # First the driver's, which Django's pool would hand to the next one.
            abandon(connection.connection)
        connection.close()
    connection.connection = None


def _is_ready(raw: Any) -> bool:
    """Whether a statement can be sent: nothing is under way, and it is no pipeline."""
    return (
        not raw.closed
        and raw.pgconn.pipeline_status == PipelineStatus.OFF
        and raw.info.transaction_status not in {TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN}
    )


def is_idle(raw: Any) -> bool:
    """Whether a driver's connection is in no transaction, and ready for the next statement."""
    return _is_ready(raw) and raw.info.transaction_status == TransactionStatus.IDLE
