"""Deleting the runs that nobody needs any more, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db.models import Count, Q
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pgflow_django import engine
from pgflow_django.choices import RunState
from pgflow_django.models import AgentCall, WorkflowRun
from pgflow_django.models.querysets import IS_TRIAL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from pgflow_django.cli.terminal import Terminal

#: Seconds between two lines about how far it is, where there is no terminal.
_PAUSE = 5.0
#: Statuses of runs that have ended: no others can be deleted.
ENDED = tuple(status.value for status in RunState if status.is_terminal)


def count_prunable(
    before: datetime, statuses: Sequence[str], *, trials_before: datetime, using: str
) -> dict[str, int]:
    """How many runs of each status ``prune`` would delete."""
    is_old = Q(ended_at__lt=before) | IS_TRIAL & Q(ended_at__lt=trials_before)
    runs = WorkflowRun.objects.using(using).filter(is_old, status__in=statuses)
    counted = runs.order_by().values("status").annotate(count=Count("id"))
    return dict(counted.order_by("status").values_list("status", "count"))


def prune(
    before: datetime,
    statuses: Sequence[str],
    *,
    trials_before: datetime | None = None,
    batch: int,
    using: str,
    on_batch: Callable[[int], None] = lambda _: None,
) -> int:
    """Delete runs that ended before then, ``batch`` rows in a transaction of their own; how many.

    Trials also where they ended before ``trials_before``.

    Versions of flows that nothing needs any more go too. ``on_batch`` is told the sum so far.
    """
    total = 0
    after: UUID | None = None
    while True:
        runs, after = engine.prune_rows(
            before, statuses, batch, after, using=using, trials_before=trials_before
        )
        total += runs
        if after is None:
            return total
        on_batch(total)


def count_calls(before: datetime, *, using: str) -> int:
    """How many calls of programs ``prune_calls`` would delete from their log."""
    return AgentCall.objects.using(using).filter(at__lt=before).count()


def prune_calls(before: datetime, *, batch: int, using: str) -> int:
    """Delete calls of programs from before then, ``batch`` in a transaction of their own; how many.

    The oldest first: who stops it has deleted these for good.
    """
    calls, total = AgentCall.objects.using(using), 0
    while True:
        oldest = calls.filter(at__lt=before).order_by("at").values("pk")[:batch]
        deleted, _ = calls.filter(pk__in=oldest).delete()
        total += deleted
        if deleted < batch:
            return total


@contextmanager
def show_progress(terminal: Terminal, total: int) -> Iterator[Callable[[int], None]]:
    """What to call with the sum so far: a bar on a terminal, now and then a line elsewhere."""
    if terminal.is_tty and not terminal.console.is_dumb_terminal:
        columns = (TextColumn("Deleting"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"))
        with Progress(*columns, console=terminal.console, transient=True) as progress:
            task = progress.add_task("", total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    told_at = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _PAUSE:
            told_at = time.monotonic()
            terminal.stream.write(f"{done:,} of {max(total, done):,} deleted\n")

    yield tell
