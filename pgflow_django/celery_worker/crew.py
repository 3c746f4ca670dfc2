"""What a node asks of the loops of its worker, wherever they run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Crew(Protocol):
    """The loops of this worker, in whatever processes or threads they are."""

    is_asleep: bool
    due_at: float

    def ring(self) -> bool:
        """Wake one that is parked; False where none is."""
        ...

    def is_parked(self) -> bool:
        """Whether one is parked, so that it could take new work."""
        ...

    def will_look(self) -> bool:
        """Whether one that lets tasks gather is about to look for more by itself."""
        ...

    def has_sentry(self) -> bool:
        """Whether one is parked that listens to the database itself."""
        ...

    def has_heard(self, number: int) -> bool:
        """Whether the one that listens has heard the notification of this number."""
        ...

    def note_news(self) -> int:
        """Let those that are about to park look once more; a number for ``has_looked``."""
        ...

    def has_looked(self, news: int) -> bool:
        """Whether one has looked since ``note_news`` gave that number, and has left nothing."""
        ...

    def workers(self) -> Iterable[int]:
        """The worker ids under which they claim."""
        ...
