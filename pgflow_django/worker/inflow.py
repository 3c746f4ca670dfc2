"""How many tasks a lane takes out of the queues of late, and whether it pays to let some gather."""

from __future__ import annotations

from typing import Final

#: Seconds over which a lane counts.
_WINDOW: Final = 0.1
#: Tasks that are enough for one look into the queues.
_ENOUGH: Final = 10
#: What calls of the engine may take of a lane's time before it looks less often.
_SHARE: Final = 0.7
#: Seconds of rest for each lane more that looks for single tasks would keep busy, and at most.
_REST_PER_LANE: Final = 0.01
_REST: Final = 0.02


class Inflow:
    """The looks into the queues of one lane, and the time that its calls of the engine take.

    A look that finds five tasks costs little more than one that finds a single one. Where the lane
    has time for a look at every task, each is begun at once. Where it has not, it had better look
    less often: the CPU that goes into single tasks is what those who start runs lack.
    """

    def __init__(self) -> None:
        #: How many lanes would be kept busy by the engine if each task was looked for by itself.
        self.pressure = 0.0
        self._is_trickle = False
        self._since = 0.0
        self._seconds = 0.0
        self._looks = 0
        self._tasks = 0

    def note_call(self, seconds: float, now: float) -> None:
        """Note a call that has settled or claimed, and ended ``now`` (``time.monotonic()``)."""
        self._seconds += seconds
        if now - self._since < _WINDOW:
            return
        share = min(1.0, self._seconds / (now - self._since))
        self.pressure = share * self._tasks / max(1, self._looks)
        self._since = now
        self._seconds = 0.0
        self._looks = self._tasks = 0

    def note_look(self, tasks: int, wanted: int) -> None:
        """Note what a look into the queues has found, where so many were wanted."""
        self._looks += 1
        self._tasks += tasks
        self._is_trickle = tasks < min(wanted, _ENOUGH)

    def rest(self) -> float:
        """Seconds in which tasks may gather before the next look; 0 where that does not pay."""
        if not self._is_trickle:
            return 0.0
        return min(_REST, max(0.0, self.pressure - _SHARE) * _REST_PER_LANE)
