"""Flows to draw: steps with dependencies anywhere before them, always the same."""

from __future__ import annotations

import random
from typing import Any

EDGES_PER_STEP = 1.45
FUNCTION = "transform_airports"
#: Where the steps' function finds what it reads: a flow that is valid, as people draw them.
INPUTS = {"validate_airport": "run/judged"}


def make_document(count: int) -> dict[str, Any]:
    """Return a flow of so many steps, its dependencies spread evenly at random."""
    chance = random.Random(count)  # noqa: S311 - no secret, always the same flow
    depends_on: list[set[int]] = [set() for _ in range(count)]
    wanted = int(count * EDGES_PER_STEP)
    while sum(map(len, depends_on)) < wanted:
        step = chance.randrange(1, count)
        depends_on[step].add(chance.randrange(step))
    steps = [
        {
            "slug": f"step_{step}",
            "uses": FUNCTION,
            "inputs": INPUTS,
            **({"depends_on": [f"step_{other}" for other in sorted(others)]} if others else {}),
        }
        for step, others in enumerate(depends_on)
    ]
    return {"workflow_slug": f"bench_{count}", "steps": steps}
