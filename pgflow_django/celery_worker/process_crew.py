"""The loops of a worker in child processes, as their parent sees them."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable

from pgflow_django import engine
from pgflow_django.celery_worker.board import GATHERING, OFF, PARKED, SENTRY, Board, Running
from pgflow_django.celery_worker.loop import GRACE
from pgflow_django.models import WorkflowClaim, WorkflowWorker
from pgflow_django.worker.patience import is_lost

logger = logging.getLogger("pgflow_django.worker")

#: Seconds between two looks at what children do.
TICK = 0.5
#: Seconds of a step that is called short: its loop looks for more by itself.
_SHORT = 0.005
#: Seconds that a killed process may take to end.
_DEATH = 5.0


class BoardCrew:
    """Loops in child processes, one lane each, seen on the board."""

    def __init__(self, board: Board, *, using: str, kill: Callable[[int], None]) -> None:
        self.board = board
        self.using = using
        self._kill = kill
        #: What was killed and not yet told to the database: worker id, what it was running.
        self._killed: dict[int, Running | None] = {}
        self._lost: list[int] = []
        self._suspects: dict[int, Running] = {}
        self._stopped: set[int] = set()

    @property
    def is_asleep(self) -> bool:
        """See ``Crew``."""
        return self.board.is_asleep

    @is_asleep.setter
    def is_asleep(self, value: bool) -> None:
        self.board.is_asleep = value

    @property
    def due_at(self) -> float:
        """See ``Crew``."""
        return self.board.due_at

    @due_at.setter
    def due_at(self, value: float) -> None:
        self.board.due_at = value

    def ring(self) -> bool:
        """See ``Crew``."""
        return self.board.ring()

    def is_parked(self) -> bool:
        """See ``Crew``."""
        return PARKED in self.board.states()

    def will_look(self) -> bool:
        """See ``Crew``."""
        now = time.monotonic()
        return any(
            state == GATHERING
            and (self.board.deadline(slot) == math.inf or now - self.board.since(slot) < _SHORT)
            for slot, state in enumerate(self.board.states())
        )

    def has_sentry(self) -> bool:
        """See ``Crew``."""
        return self.board.has_sentry and self.board.state(SENTRY) == PARKED

    def has_heard(self, number: int) -> bool:
        """See ``Crew``."""
        return self.board.has_heard(number)

    def note_news(self) -> int:
        """See ``Crew``."""
        self.board.count_ring()
        return self.board.rung

    def has_looked(self, news: int) -> bool:
        """See ``Crew``."""
        return any(self.board.looked(slot) >= news for slot in range(self.board.size))

    def workers(self) -> list[int]:
        """See ``Crew``."""
        owners = [self.board.owner(slot) for slot in self.running_slots()]
        return [worker for _, worker in owners if worker]

    def running_slots(self) -> list[int]:
        """The slots that have a loop."""
        return [slot for slot, state in enumerate(self.board.states()) if state != OFF]

    def is_gone(self) -> bool:
        """Whether no loop runs any more."""
        return not self.running_slots()

    def close(self) -> None:
        """Tell all loops to leave."""
        self.board.close()

    def watch(self) -> list[int]:
        """Kill children that are stuck past their deadline; the slots of those and of others that
        are gone.
        """
        now = time.monotonic()
        freed = []
        for slot in self.running_slots():
            pid, worker = self.board.owner(slot)
            if not pid:
                continue
            if has_ended(pid) and pid in self._stopped:
                self._killed[worker] = None
                self.board.clear(slot)
                freed.append(slot)
            elif has_ended(pid):
                logger.warning("child %s is gone: what it had claimed is delivered again", pid)
                self._lost.append(worker)
                self.board.clear(slot)
                freed.append(slot)
            elif self._is_stuck(slot, now):
                self._stop(slot, pid, worker)
                freed.append(slot)
        return freed

    def _is_stuck(self, slot: int, now: float) -> bool:
        """Whether it was seen twice past its deadline, in the middle of the same attempt."""
        if self.board.deadline(slot) > now:
            self._suspects.pop(slot, None)
            return False
        running = self.board.running(slot)
        return running is not None and self._suspects.setdefault(slot, running) == running

    def _stop(self, slot: int, pid: int, worker: int) -> None:
        """Kill a child that is stuck in C; only then is certain what it was running."""
        self._kill_and_wait(pid)
        running = self.board.running(slot)
        self.board.clear(slot)
        if running is None or running != self._suspects.pop(slot, None):
            self._killed[worker] = None  # it came free at the last moment
            return
        logger.warning(
            'killed child %s: step "%s" of run %s was still running %g s after its timeout',
            pid,
            running.step_slug,
            running.run_id,
            GRACE,
        )
        self._killed[worker] = running

    def stop(self, slot: int) -> None:
        """Kill the child of a slot for a cold shutdown: what it held is handed back."""
        self.close()
        pid, _ = self.board.owner(slot)
        if pid:
            self._stopped.add(pid)
            self._kill(pid)

    def _kill_and_wait(self, pid: int) -> None:
        self._kill(pid)
        give_up_at = time.monotonic() + _DEATH
        while not has_ended(pid) and time.monotonic() < give_up_at:
            time.sleep(0.001)

    def kill_all(self) -> None:
        """Kill every child with a loop: what they held is handed back, no attempt spent."""
        self.close()
        for slot in self.running_slots():
            pid, worker = self.board.owner(slot)
            self._kill_and_wait(pid)
            self._killed[worker] = None
            self.board.clear(slot)

    def tell_database(self) -> None:
        """Fail what was stopped, and hand back what children held that are gone."""
        while self._killed:
            worker, running = self._killed.popitem()
            try:
                self._hand_back(worker, running)
            except Exception as error:
                if is_lost(error):  # not only a DatabaseError: InterfaceError, DatabaseNotReady
                    self._killed[worker] = running
                raise
        if self._lost:
            engine.lose_workers(self._lost, using=self.using)
            self._lost = self._not_yet_swept()

    def _not_yet_swept(self) -> list[int]:
        """Those to tell of again: another sweep was on its way, or something was locked."""
        rows = WorkflowWorker.objects.using(self.using).filter(id__in=self._lost)
        claims = WorkflowClaim.objects.using(self.using).filter(worker_id__in=self._lost)
        left = rows.values_list("id", flat=True).union(claims.values_list("worker_id", flat=True))
        return list(left.order_by())

    def _hand_back(self, worker: int, running: Running | None) -> None:
        if running is not None:
            failure = {
                **running.ref,
                "code": "step_timeout",
                "error_type": "StepTimeout",
                "error_message": f'step "{running.step_slug}" ran longer than its timeout, and its '
                "process had to be killed",
                "traceback": "",
                "permanent": False,
                "delay": None,
            }
            engine.fail_tasks([failure], using=self.using)
        if worker:
            engine.release_worker(worker, using=self.using)


def has_ended(pid: int) -> bool:
    """Whether a child has ended, reaped or not."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
