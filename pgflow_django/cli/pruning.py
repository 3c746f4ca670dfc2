"""Deleting the runs that nobody needs any more, a batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count

from pgflow_django import engine
from pgflow_django.choices import RunStatus
from pgflow_django.models import WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

#: Statuses of runs that have ended: no others can be deleted.
ENDED = tuple(status.value for status in RunStatus if status.is_terminal)


def count_prunable(before: datetime, statuses: Sequence[str], *, using: str) -> dict[str, int]:
    """How many runs of each status ``prune`` would delete."""
    runs = WorkflowRun.objects.using(using).filter(ended_at__lt=before, status__in=statuses)
    counted = runs.order_by().values("status").annotate(count=Count("id"))
    return dict(counted.order_by("status").values_list("status", "count"))


def prune(
    before: datetime,
    statuses: Sequence[str],
    *,
    batch: int,
    using: str,
    on_batch: Callable[[int], None],
) -> int:
    """Delete runs that ended before then, each batch in a transaction of its own; how many.

    Versions of flows that nothing needs any more go too. ``on_batch`` is told the sum so far.
    """
    total = 0
    while True:
        deleted = engine.prune_runs(before, statuses, batch, using=using)
        total += deleted
        if deleted < batch:
            return total
        on_batch(total)
