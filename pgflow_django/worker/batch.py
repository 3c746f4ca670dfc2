"""What a lane has claimed and finished, and what its supervisor takes over of it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from pgflow_django.worker.claimed import ClaimedTask
from pgflow_django.worker.outcome import Outcome

#: Outcomes and claimed tasks that a supervisor takes over from a lane.
Taken = tuple[list[Outcome], list[dict[str, Any]]]


class Batch:
    """Tasks that wait and outcomes that are not settled yet; ``lock`` guards both."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pending: deque[ClaimedTask] = deque()
        self.done: list[Outcome] = []
        self._done_size = 0
        #: Whether the supervisor has something of it in hand, to settle it.
        self._is_in_hand = False
        self._freed = threading.Condition(self.lock)

    def _take_done(self, *, is_alone: bool = False) -> list[Outcome]:
        """Take what is to be settled; ``is_alone``: not while the supervisor settles something."""
        with self.lock:
            while is_alone and self._is_in_hand:
                self._freed.wait()
            done, self.done = self.done, []
            self._done_size = 0
        return done

    def _put_back(self, done: list[Outcome]) -> None:
        with self.lock:
            self.done = done + self.done

    def _give_up_waiting(self) -> Taken:
        done, self.done = self.done, []
        self._done_size = 0
        released = [task.ref for task in self.pending]
        self.pending.clear()
        self._is_in_hand = bool(done or released)
        return done, released

    def let_go(self, done: list[Outcome]) -> None:
        """Hear that the supervisor has done; what it was kept from settling comes back."""
        with self._freed:
            self.done = done + self.done
            self._is_in_hand = False
            self._freed.notify_all()
