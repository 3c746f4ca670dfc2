"""A round: a load, what disturbs it, and the check of everything afterwards."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.fleet import Fleet
from tests.chaos.load import PATIENCE, Load, check, count_attempts, has_ended, start
from tests.waiting import wait_until

#: ``PGFLOW_CHAOS_ROUNDS=100`` goes on for longer.
ROUNDS = int(os.environ.get("PGFLOW_CHAOS_ROUNDS", "20"))
#: ``PGFLOW_CHAOS_SEED=…`` plays the rounds of a summary again, as far as dice decide.
SEED = int(os.environ.get("PGFLOW_CHAOS_SEED") or random.SystemRandom().randrange(10**6))

#: Breaks something, and says what.
Disturb = Callable[[Fleet, random.Random], str]


class Rounds:
    """Plays rounds, and keeps what the summary tells."""

    def __init__(self) -> None:
        self.recoveries: list[float] = []
        self.kinds: Counter[str] = Counter()
        self.tasks = self.attempts = 0

    def play(self, load: Load, ours: Fleet, disturb: Disturb, blows: int = 1) -> None:
        """One load, ``blows`` disturbances at random moments, and the check of everything."""
        seed = SEED + len(self.recoveries)
        dice = random.Random(seed)
        runs = start(load)
        pause = threading.Event()
        for _ in range(blows):
            pause.wait(dice.random() * 0.4)
            struck_at = time.monotonic()
            self.kinds[disturb(ours, dice)] += 1
        wait_until(lambda: has_ended(runs), f"the runs of seed {seed}", patience=PATIENCE)
        self.recoveries.append(time.monotonic() - struck_at)
        check(load, runs)
        tasks, attempts = count_attempts(runs)
        self.tasks += tasks
        self.attempts += attempts

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{len(self.recoveries)} rounds; {kinds or 'nothing'}; {self.tasks:,} tasks in "
            f"{self.attempts:,} attempts; longest recovery {max(self.recoveries):.1f} s after the "
            f"last blow; seed {SEED}"
        )
