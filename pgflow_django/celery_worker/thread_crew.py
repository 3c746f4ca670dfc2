"""The loop of a worker whose pool is threads, greenlets or nothing, as its parent sees it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from pgflow_django.celery_worker.loop import Loop, SharedOutage
from pgflow_django.worker.bell import ThreadBell


class ThreadCrew:
    """One loop with its lanes in threads, or greenlets, of this very process."""

    def __init__(self, when_parked: Callable[[], None]) -> None:
        self._bell = ThreadBell(when_parked)
        self.loop: Loop | None = None
        self.is_asleep = False
        self.is_closed = False
        self.due_at = math.inf
        #: See ``OutageMemory``.
        self.is_out = False
        self.back_at = -math.inf

    def new_bell(self) -> ThreadBell:
        """A bell for the next pool: one that was closed stays so."""
        self._bell = ThreadBell(self._bell.when_parked)
        if self.is_closed:
            self._bell.close()
        return self._bell

    def ring(self) -> bool:
        """See ``Crew``."""
        return self._bell.ring()

    def is_parked(self) -> bool:
        """See ``Crew``."""
        return self._bell.parked > 0

    def will_look(self) -> bool:
        """See ``Crew``."""
        return False

    def has_sentry(self) -> bool:
        """See ``Crew``."""
        return False

    def has_heard(self, number: int) -> bool:  # noqa: ARG002 - see ``Crew``
        """See ``Crew``."""
        return False

    def note_news(self) -> int:
        """See ``Crew``."""
        return 0

    def has_looked(self, news: int) -> bool:  # noqa: ARG002 - see ``Crew``
        """See ``Crew``."""
        return False

    def workers(self) -> list[int]:
        """See ``Crew``."""
        return [self.loop.worker] if self.loop is not None and self.loop.worker else []

    def is_gone(self) -> bool:
        """Whether no loop runs any more."""
        return self.loop is None

    def close(self) -> None:
        """Tell the loop to leave."""
        self.is_closed = True
        self._bell.close()


class ThreadLoop(Loop):
    """The loop in a thread of the worker itself; its lanes are threads beside it."""

    def __init__(
        self, crew: ThreadCrew, lanes: int, *, using: str, node: str, queues: list[str] | None
    ) -> None:
        super().__init__(using=using, node=node, queues=queues)
        self.crew = crew
        self.lanes = lanes
        self.outage = SharedOutage(crew)

    def bell(self) -> ThreadBell:
        """See ``Loop``."""
        return self.crew.new_bell()

    def run(self) -> bool:
        """See ``Loop``."""
        self.crew.loop = self
        try:
            return super().run()
        finally:
            self.crew.loop = None

    def leaves(self) -> bool:
        """See ``Host``."""
        return self.crew.is_closed

    def due_in(self, seconds: float) -> None:
        """See ``Host``."""
        self.crew.due_at = min(self.crew.due_at, time.monotonic() + seconds)
