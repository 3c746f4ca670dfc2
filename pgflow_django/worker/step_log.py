"""What an attempt tells of itself: lines of its run's events, collected and sent in batches.

A line by itself costs a round trip and a commit; a hundred together cost little more.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction

from pgflow_django import jsonvalue
from pgflow_django.conf import settings
from pgflow_django.worker.async_steps import under_gevent

logger = logging.getLogger("pgflow_django.steps")

#: Bytes of one line's message, and of its data; of all lines of an attempt together.
MAX_LINE_BYTES: Final = 8 * 1024
MAX_BYTES: Final = 256 * 1024
#: Lines, and seconds since the first of them, after which what is collected is sent.
_BATCH: Final = 100
_SECONDS: Final = 1.0

_INSERT: Final = """
insert into workflow_run_events (run_id, at, level, kind, step_slug, task_index, message, data)
select %s, line.at, line.level, line.kind, %s, %s, line.message, line.data
from jsonb_to_recordset(%s::jsonb)
    as line (at timestamptz, level text, kind text, message text, data jsonb)
"""


@dataclass(slots=True)
class StepLog:
    """The lines of one attempt. Threads of the step may write at once.

    ``is_held``: until the attempt has ended, since what is written meanwhile is in a transaction
    that may be rolled back. Afterwards lines are not taken any more.
    """

    run_id: UUID
    step_slug: str
    task_index: int
    using: str
    is_held: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _sending: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lines: list[str] = field(default_factory=list, repr=False)
    _count: int = 0
    _bytes: int = 0
    _left_out: int = 0
    _since: float = float("inf")
    _is_closed: bool = False

    def add(self, kind: str, message: str, level: str, data: dict[str, Any]) -> None:
        """Take a line, as far as it can be stored."""
        text = jsonvalue.storable_text(message, limit=MAX_LINE_BYTES)
        shown, size = jsonvalue.storable(data, limit=MAX_LINE_BYTES)
        with self._lock:
            if self._is_closed:
                return
            size += len(text)
            if self._count >= settings.MAX_LOG_LINES or self._bytes + size > MAX_BYTES:
                self._left_out += 1
                return
            self._take({"level": level, "kind": kind, "message": text, "data": shown}, size)
        if self._is_due() and under_gevent():
            time.sleep(0)  # who sends them is another greenlet, and has to get its turn

    def _take(self, line: dict[str, Any], size: int = 0) -> None:
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(jsonvalue.dump({"at": datetime.now(UTC).isoformat(), **line}))
        self._count += 1
        self._bytes += size

    def _is_due(self) -> bool:
        return len(self._lines) >= _BATCH or time.monotonic() - self._since >= _SECONDS

    def send_if_due(self) -> None:
        """Send what a long step has written, if it is time.

        From another thread, on that one's connection: the step may have done anything to its own.
        """
        if self._lines and not self.is_held and self._is_due():
            self.send()

    def close(self) -> None:
        """Send the rest; for the end of an attempt, whatever became of its transaction."""
        with self._lock:
            self._is_closed = True
            if self._left_out:
                count = f"{self._left_out:,} more lines were left out"
                bound = f"an attempt may write {settings.MAX_LOG_LINES:,} and {MAX_BYTES:,} bytes"
                self._take(
                    {
                        "level": "warning",
                        "kind": "log",
                        "message": f"{count}: {bound}",
                        "data": {"left_out": self._left_out},
                    }
                )
        self.send()

    def send(self) -> None:
        """Write what there is. What can't be written is told to the log; no step fails for it.

        One after another, whichever thread sends: lines are read in the order of their ids.
        """
        with self._sending:
            with self._lock:
                lines, self._lines = self._lines, []
                self._since = float("inf")
            if not lines:
                return
            try:
                self._insert(f"[{','.join(lines)}]")
            except Exception:  # the attempt's own outcome is what counts
                logger.exception("%s lines of step %s are lost", len(lines), self.step_slug)

    def _insert(self, lines: str) -> None:
        connection = connections[self.using]
        values: list[Any] = [self.run_id, self.step_slug, self.task_index, lines]
        if connection.in_atomic_block:
            # A failure must not take the caller's transaction along.
            with transaction.atomic(self.using), connection.cursor() as cursor:
                cursor.execute(_INSERT, values)
        else:
            with connection.cursor() as cursor:
                cursor.execute(_INSERT, values)
