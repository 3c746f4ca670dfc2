"""Which tasks of a run somebody wants to see.

Service layer, pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

TaskChoice = Literal["failed", "retrying", "running", "queued", "completed", "cancelled", "skipped"]
CHOICES: tuple[TaskChoice, ...] = get_args(TaskChoice)
Order = Literal["duration", "wait", "start"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A task within its run."""

    step: str
    index: int


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Tasks of a step, or of all; by how they stand, and by their index, first and last included.

    ``like`` is the id of an attempt: tasks with one that failed in the same way. ``order`` puts
    those first that took, or waited, longest, or started last: of one step, whatever their status.

    A page begins at the task ``since``, or ends before the task ``before``.
    """

    step: str = ""
    status: TaskChoice | None = None
    first: int | None = None
    last: int | None = None
    like: int | None = None
    order: Order | None = None
    since: Key | None = None
    before: Key | None = None
