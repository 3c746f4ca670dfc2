"""What the children of a worker, and its threads, find when a loop begins in them."""

from __future__ import annotations

from collections.abc import Callable

from pgflow_django.celery_worker.loop import Loop

#: Makes the loop of a slot; set in the parent before its pool forks.
_make_loop: Callable[[int], Loop] | None = None


def host(make_loop: Callable[[int], Loop] | None) -> None:
    """Say how loops are made in this process and those that it forks."""
    global _make_loop  # noqa: PLW0603 - that is what forked children inherit
    _make_loop = make_loop


def make_loop(slot: int) -> Loop | None:
    """A loop for this slot; ``None`` outside a worker."""
    return None if _make_loop is None else _make_loop(slot)
