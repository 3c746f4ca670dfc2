"""How long looks into a run take on a site that has run for a month; see ``seeding``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from django.core.cache import cache
from django.test import Client

from bench.ui.measures import QUICK_TRIES, Figure, find_median, find_user
from bench.ui.seeding import ITEMS, seed_month

#: What is asked of the page of the run with the large map, and milliseconds of the server's.
_LOOKS: Final = {
    "tasks_index": (f"tab=tasks&step=item&index={ITEMS * 9 // 10}", 150),
    "tasks_failed": ("tab=tasks&step=item&status=failed", 150),
    "tasks_sorted": ("tab=tasks&step=item&sort=duration", 500),
    "timeline": ("tab=timeline", 60),
    "last_runs": ("tab=grid", 60),
}


def measure_month() -> Iterator[Figure]:
    """Fill the database, and look at what is below the drawing, as htmx asks for it."""
    month = seed_month()
    client = Client(
        SERVER_NAME="localhost", headers={"HX-Request": "true", "HX-Target": "pgf-tabs"}
    )
    client.force_login(find_user())
    page = f"/admin/pgflow_django/workflowrun/{month.large}/change/"

    def look(query: str) -> float:
        cache.clear()  # what is sorted is kept for a while
        begin = time.perf_counter()
        answer = client.get(f"{page}?{query}")
        assert answer.status_code == 200
        return (time.perf_counter() - begin) * 1000

    for name, (query, budget) in _LOOKS.items():
        yield Figure(name, find_median(partial(look, query), QUICK_TRIES), budget)
