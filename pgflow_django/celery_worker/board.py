"""Memory that a worker's parent process and its children share, and a pipe to each of them.

Both are made before the pool forks, so that every child has them, also those that come later. A
slot belongs to one claiming loop at a time, whichever child runs it. Everything is written by one
side and read by the other without locks; what a lost race costs is one look into the queues more,
or a second of delay.

Times are ``time.monotonic()``, which on one machine is the same clock in every process.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pgflow_django.celery_worker.pipe import Pipe
from pgflow_django.worker.claimed import ClaimedTask

#: A loop that gathers is at work, and looks into the queues every few milliseconds whatever comes.
OFF, PARKED, WORKING, WAKING, GATHERING = range(5)

#: The slot whose loop listens to the database itself.
SENTRY: Final = 0

_RUNG: Final = struct.Struct("=Q")
_TIME: Final = struct.Struct("=d")
#: pid, worker id
_OWNER: Final = struct.Struct("=qq")
#: how often the bell had rung before its last look
_LOOKED: Final = struct.Struct("=Q")
#: deadline, since when, claim, task index, run id, step slug
_TASK: Final = struct.Struct("=ddqi36s255p")
#: the numbers of the last notifications that the sentry has heard
_HEARD_LENGTH: Final = 8
_HEARD: Final = struct.Struct(f"={_HEARD_LENGTH}Q")
_IDLE: Final = _TIME.pack(math.inf)

_DUE_AT: Final = 8
_PLENTY_AT: Final = 16
_IS_ASLEEP: Final = 24
_IS_OUT: Final = 25
_IS_CLOSED: Final = 26
_HAS_SENTRY: Final = 27
_BACK_AT: Final = 32
_HEARD_AT: Final = 40
_STATES: Final = 128
_LOOKED_AT: Final = 400
_SLOT_SIZE: Final = 512


@dataclass(frozen=True, slots=True)
class Running:
    """The attempt that a loop is in the middle of, and when it should have ended."""

    deadline: float
    claim: int
    task_index: int
    run_id: str
    step_slug: str

    @property
    def ref(self) -> dict[str, object]:
        """The task as the SQL functions name it."""
        return {"r": self.run_id, "s": self.step_slug, "i": self.task_index, "c": self.claim}


class Board:
    """The shared memory of one worker, with ``size`` slots."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._leaves = _STATES + size
        self._slots = self._leaves + size
        self._memory = mmap.mmap(-1, self._slots + size * _SLOT_SIZE)
        self._pipes = [Pipe(waits=True) for _ in range(size)]
        #: Readable when a child has something to tell its parent.
        self.news = Pipe()
        self.due_at = math.inf
        self.plenty_at = self.back_at = -math.inf
        for slot in range(size):
            self.clear(slot)

    # The whole worker.

    @property
    def rung(self) -> int:
        """How often the bell has rung."""
        count: int = _RUNG.unpack_from(self._memory)[0]
        return count

    @property
    def due_at(self) -> float:
        """When the next delayed message is due, as far as a child has told; else infinity."""
        return self._time(_DUE_AT)

    @due_at.setter
    def due_at(self, value: float) -> None:
        self._put(_DUE_AT, _TIME.pack(value))

    @property
    def plenty_at(self) -> float:
        """When a child last found more than it could take, with nobody parked; else -infinity."""
        return self._time(_PLENTY_AT)

    @plenty_at.setter
    def plenty_at(self, value: float) -> None:
        self._put(_PLENTY_AT, _TIME.pack(value))

    @property
    def is_asleep(self) -> bool:
        """Whether NOTIFY tells of new messages, because the database knows that some are parked."""
        return self._memory[_IS_ASLEEP] != 0

    @is_asleep.setter
    def is_asleep(self, value: bool) -> None:
        self._memory[_IS_ASLEEP] = value

    @property
    def is_out(self) -> bool:
        """Whether the log has been told that the database is out of reach."""
        return self._memory[_IS_OUT] != 0

    @is_out.setter
    def is_out(self, value: bool) -> None:
        self._memory[_IS_OUT] = value

    @property
    def back_at(self) -> float:
        """When the log was last told that the database is back; else -infinity."""
        return self._time(_BACK_AT)

    @back_at.setter
    def back_at(self, value: float) -> None:
        self._put(_BACK_AT, _TIME.pack(value))

    @property
    def is_closed(self) -> bool:
        """Whether all loops shall leave."""
        return self._memory[_IS_CLOSED] != 0

    def close(self) -> None:
        """Tell all loops to leave, those that begin later, too."""
        self._memory[_IS_CLOSED] = 1
        for slot in range(self.size):
            self.wake(slot)

    def tell_parent(self) -> None:
        """Wake the parent, to look at the board."""
        self.news.wake()

    def count_ring(self) -> None:
        """Let loops that are about to park look once more."""
        self._put(0, _RUNG.pack(self.rung + 1))

    def ring(self) -> bool:
        """Wake one parked loop; False where none is."""
        self.count_ring()
        slot = self._memory.find(bytes([PARKED]), _STATES, _STATES + self.size)
        if slot < 0:
            return False
        slot -= _STATES
        self.set_state(slot, WAKING)
        self.wake(slot)
        return True

    @property
    def has_sentry(self) -> bool:
        """Whether the loop of slot ``SENTRY`` listens to the database itself."""
        return self._memory[_HAS_SENTRY] != 0

    @has_sentry.setter
    def has_sentry(self, value: bool) -> None:
        self._memory[_HAS_SENTRY] = value

    def hear(self, numbers: Iterable[int]) -> None:
        """Say that the sentry has heard the notifications of these numbers, and looks now."""
        heard = [*_HEARD.unpack_from(self._memory, _HEARD_AT), *numbers]
        self._put(_HEARD_AT, _HEARD.pack(*heard[-_HEARD_LENGTH:]))

    def has_heard(self, number: int) -> bool:
        """Whether the sentry has heard that notification, of late."""
        return number > 0 and number in _HEARD.unpack_from(self._memory, _HEARD_AT)

    # One slot.

    def clear(self, slot: int) -> None:
        """Make a slot free."""
        if slot == SENTRY:
            self.has_sentry = False
        self.set_state(slot, OFF)
        self._memory[self._leaves + slot] = 0
        self.set_owner(slot, 0, 0)
        self.task_ends(slot)

    def state(self, slot: int) -> int:
        """What its loop does."""
        return self._memory[_STATES + slot]

    def set_state(self, slot: int, state: int) -> None:
        """Say what its loop does."""
        self._memory[_STATES + slot] = state

    def states(self) -> bytes:
        """What each slot's loop does."""
        return self._memory[_STATES : _STATES + self.size]

    def shall_leave(self, slot: int) -> bool:
        """Whether its loop was told to leave."""
        return self._memory[self._leaves + slot] != 0 or self.is_closed

    def tell_to_leave(self, slot: int) -> None:
        """Tell its loop to end what it runs, and claim no more."""
        self._memory[self._leaves + slot] = 1
        self.wake(slot)

    def wake(self, slot: int) -> None:
        """Wake its loop, if it is parked or about to be."""
        self._pipes[slot].wake()

    def waits_at(self, slot: int) -> int:
        """What is readable when somebody has woken this slot."""
        return self._pipes[slot].fileno()

    def wait(self, slot: int) -> None:
        """Wait until somebody wakes this slot."""
        self._pipes[slot].read()

    def owner(self, slot: int) -> tuple[int, int]:
        """The process and the worker id of its loop; 0 for none."""
        pid, worker = _OWNER.unpack_from(self._memory, self._at(slot))
        return pid, worker

    def set_owner(self, slot: int, pid: int, worker: int) -> None:
        """Say which process runs its loop, and as which worker."""
        self._put(self._at(slot), _OWNER.pack(pid, worker))

    def looked(self, slot: int) -> int:
        """How often the bell had rung before its loop last looked, and left nothing."""
        count: int = _LOOKED.unpack_from(self._memory, self._at(slot) + _LOOKED_AT)[0]
        return count

    def has_looked(self, slot: int, rung: int) -> None:
        """Say that its loop has looked, and left nothing."""
        self._put(self._at(slot) + _LOOKED_AT, _LOOKED.pack(rung))

    def task_begins(self, slot: int, task: ClaimedTask, now: float, deadline: float) -> None:
        """Say what its loop is about to run."""
        group = task.group
        record = _TASK.pack(
            deadline,
            now,
            task.claim,
            task.index,
            group.run_id.encode(),
            group.step_slug.encode(),
        )
        self._put(self._at(slot) + _OWNER.size, record)

    def task_ends(self, slot: int) -> None:
        """Say that it runs nothing."""
        self._put(self._at(slot) + _OWNER.size, _IDLE)

    def deadline(self, slot: int) -> float:
        """When what it runs should have ended; infinity where it runs nothing."""
        return self._time(self._at(slot) + _OWNER.size)

    def since(self, slot: int) -> float:
        """When it began what it runs, or ran last."""
        return self._time(self._at(slot) + _OWNER.size + _TIME.size)

    def running(self, slot: int) -> Running | None:
        """What it runs. Exact once its process is dead; before that it may be half written."""
        deadline, _, claim, index, run_id, step_slug = _TASK.unpack_from(
            self._memory, self._at(slot) + _OWNER.size
        )
        if deadline == math.inf:
            return None
        return Running(deadline, claim, index, run_id.decode(), step_slug.decode())

    def _at(self, slot: int) -> int:
        return self._slots + slot * _SLOT_SIZE

    def _put(self, at: int, data: bytes) -> None:
        """Write at once. (``pack_into`` would write zeros first, which others could read.)"""
        self._memory[at : at + len(data)] = data

    def _time(self, at: int) -> float:
        value: float = _TIME.unpack_from(self._memory, at)[0]
        return value
