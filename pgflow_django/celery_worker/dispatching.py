"""Which loops there are: as many as the pool has processes, and fewer while tasks wait for one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from celery import Celery
from celery.worker import state

from pgflow_django.celery_worker.board import OFF, PARKED, Board
from pgflow_django.celery_worker.pipe import Pipe
from pgflow_django.celery_worker.requests import LoopRequest
from pgflow_django.conf import settings

logger = logging.getLogger("pgflow_django.worker")

#: Seconds that a loop may work before it leaves for a Celery task that waits.
_QUANTUM = 0.25
#: Seconds between two rounds while Celery tasks wait, and without anything to do.
_SOON = 0.05
_IDLE = 60.0
#: Seconds after a task's arrival during which it may turn out to wait.
_ARRIVAL = 0.5
#: Seconds from one change to the next loop that is added under autoscale, and of idleness before
#: one leaves.
_GROW = 0.5
_SHRINK = 5.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


def pauses() -> Iterator[float]:
    """Seconds between the end of a broken loop and the next: longer each time."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


class Loops:
    """Dispatches loops to the pool, tells some to leave, and dispatches them anew."""

    def __init__(
        self, app: Celery, worker: Any, board: Board | None, stop: Callable[[int], None]
    ) -> None:
        self.app = app
        self.worker = worker
        self.board = board
        self.is_closed = False
        self._stop = stop
        self.poke: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._requests: dict[int, LoopRequest] = {}
        self._begun: dict[int, float] = {}
        self._arrived_at = self._changed_at = 0.0
        #: Since when a loop is parked, 0 for not; when one was last seen so.
        self._parked_since = self._answered_at = 0.0
        self._wanted = 1
        self._failures = 0
        self._retry_at = 0.0
        # The pool of an event loop may be given work by the thread of that loop only.
        self._outbox: list[LoopRequest] = []
        self._outbox_pipe = Pipe()

    # What Celery calls, from its threads.

    def task_received(self, **_: Any) -> None:
        """Hear that a Celery task has arrived, which may find no free process."""
        self._arrived_at = time.monotonic()
        self.poke()

    def register_with_event_loop(self, hub: Any) -> None:
        """Use the worker's event loop; once more after each reconnection to the broker."""
        with self._lock:
            # Celery has forgotten what it had not sent to a child.
            self._outbox.clear()
            for slot, request in list(self._requests.items()):
                if not request.has_begun:
                    state.task_ready(self._requests.pop(slot))
        hub.add_reader(self._outbox_pipe.fileno(), self._submit_outbox)
        self.poke()

    def _submit_outbox(self, *_: Any) -> None:
        self._outbox_pipe.read()
        while self._outbox:
            self._submit(self._outbox.pop(0))

    def _ended(self, request: LoopRequest, has_failed: bool) -> None:
        with self._lock:
            if self._requests.get(request.slot) is not request:
                return
            del self._requests[request.slot]
            self._begun.pop(request.slot, None)
            self._failures = self._failures + 1 if has_failed else 0
            if has_failed:
                pause = next(islice(pauses(), self._failures - 1, None))
                self._retry_at = time.monotonic() + pause
        self.poke()

    # What the service calls, from its thread.

    def tend(self) -> float:
        """Dispatch and tell to leave as is due; the seconds until it is to be called again."""
        now = time.monotonic()
        if self.is_closed:
            return _IDLE
        with self._lock:
            return self._tend(now)

    def _tend(self, now: float) -> float:
        if self.board is not None:
            self._note_begun(self.board, now)
            self._scale(self.board, now)
            waiting = self._make_room(self.board, now)
        else:
            waiting = False
        if now < self._retry_at:
            return self._retry_at - now
        for slot in range(self._wanted):
            if slot not in self._requests:
                self._dispatch(slot)
        return _SOON if waiting or now - self._arrived_at < _ARRIVAL else _IDLE

    def _dispatch(self, slot: int) -> None:
        request = LoopRequest(self.app, self.worker, slot, self._ended, self._stop)
        self._requests[slot] = request
        self._begun.pop(slot, None)
        state.task_reserved(request)
        if self.worker.use_eventloop and self.worker.pool.uses_semaphore:
            self._outbox.append(request)
            self._outbox_pipe.wake()
        else:
            # It may have to wait for a free process, in its turn.
            threading.Thread(
                target=self._submit, args=[request], name="pgflow-dispatch", daemon=True
            ).start()

    def _submit(self, request: LoopRequest) -> None:
        scaler = getattr(self.worker, "autoscaler", None)
        if scaler is not None and self.worker.use_eventloop:
            scaler.maybe_scale(request)
        self.worker.process_task(request)

    def forget(self, slots: Iterable[int]) -> None:
        """Dispatch anew where a child is gone: Celery is certain of it only ten seconds later."""
        with self._lock:
            for slot in slots:
                self._begun.pop(slot, None)
                if slot in self._requests:
                    state.task_ready(self._requests.pop(slot))

    def _note_begun(self, board: Board, now: float) -> None:
        for slot in self._requests:
            if board.state(slot) != OFF:
                self._begun.setdefault(slot, now)
            else:
                self._begun.pop(slot, None)

    def _scale(self, board: Board, now: float) -> None:
        """How many loops there shall be, and since when each has run for long enough."""
        pool = self.worker.pool
        if not self.worker.autoscale:
            self._wanted = min(pool.num_processes, board.size)
        else:
            self._autoscale(board, now)
        for slot in [slot for slot in self._requests if slot >= self._wanted]:
            if board.state(slot) != OFF:
                board.tell_to_leave(slot)
        if self.worker.max_tasks_per_child or self.worker.max_memory_per_child:
            for slot, begun in self._begun.items():
                if now - begun > settings.LOOP_SECONDS:
                    board.tell_to_leave(slot)

    def _autoscale(self, board: Board, now: float) -> None:
        most = min(self.worker.max_concurrency, board.size)
        self._wanted = max(self._wanted, 1, self.worker.min_concurrency)
        is_parked = PARKED in board.states()
        if is_parked:
            self._parked_since = self._parked_since or now
            self._answered_at = now
        else:
            self._parked_since = 0.0
        # A loop in a long step tells once, and it may take long until somebody looks.
        is_short = not is_parked and board.plenty_at > max(self._answered_at, self._changed_at)
        if is_short and self._wanted < most and now - self._changed_at > _GROW:
            self._wanted += 1
            self._changed_at = now
        elif (
            is_parked
            and self._wanted > max(1, self.worker.min_concurrency)
            and now - max(self._parked_since, self._changed_at) > _SHRINK
        ):
            self._wanted -= 1
            self._changed_at = now

    def _make_room(self, board: Board, now: float) -> bool:
        """Have loops leave for Celery tasks that wait; whether any does."""
        for request in self._requests.values():
            state.reserved_requests.add(request)  # a lost broker connection empties the set
        own = sum(not request.has_begun for request in self._requests.values())
        waiting = len(state.reserved_requests) - len(state.active_requests) - own
        free = self.worker.pool.num_processes - len(state.active_requests)
        leaving = sum(board.shall_leave(slot) for slot in self._begun)
        wanted = waiting - max(0, free) - leaving
        if wanted <= 0:
            return waiting > 0
        slots = [slot for slot in self._begun if not board.shall_leave(slot)]
        parked = [slot for slot in slots if board.state(slot) == PARKED]
        tired = [
            slot
            for slot in slots
            if board.state(slot) != PARKED and now - self._begun[slot] > _QUANTUM
        ]
        for slot in (parked + tired)[:wanted]:
            board.tell_to_leave(slot)
        return True

    def close(self) -> None:
        """Dispatch no more."""
        self.is_closed = True
