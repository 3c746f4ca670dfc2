"""Moves at random: what a worker and a person do with a run, mostly what is worth doing."""

from __future__ import annotations

from random import Random

OF_PERSON = (
    *("pause", "resume", "cancel", "retry", "retry_one", "retry_now", "skip", "complete", "rerun"),
)
#: What is worth doing with a run that stands so. All else is tried, too, but not as often: most of
#: it is refused.
APT = {
    "started": (*["work"] * 9, *["skip"] * 3, "complete", "pause", "cancel"),
    "paused": (*["work"] * 3, *["resume"] * 3, *["skip"] * 2, "complete", "cancel"),
    "failed": (*["retry_one"] * 3, *["retry"] * 2, "skip", "complete", "rerun"),
    "cancelled": (*["retry"] * 3, *["retry_one"] * 2, "skip", "complete", "rerun"),
    "completed": OF_PERSON,
}
#: What is done, of which step, of which task, how, and whether the run is held. The first two are
#: numbers, by which it is chosen from what there is at that moment.
Move = tuple[int, int, int | None, bool, bool]


def make_moves(seed: str, count: int) -> list[Move]:
    """So many moves, all different: what Hypothesis draws one by one is much alike."""
    random = Random(seed)
    return [
        (
            random.randrange(1000),
            random.randrange(1000),
            random.choice([None, None, None, 0, 1, 2, 4]),
            random.random() < 0.5,
            random.random() < 0.3,
        )
        for _ in range(count)
    ]
