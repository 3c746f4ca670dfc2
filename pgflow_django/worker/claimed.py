"""A claimed task, and the one dict that its step function gets."""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgflow_django.engine import Settled, TaskGroup

_Parts = tuple[Any, dict[str, Any] | None, Any, list[Any] | None]

#: Bytes up to which every task of a batch gets its own copy of what they share.
_COPIED_UP_TO = 16 * 1024


@dataclass(slots=True)
class ClaimedTask:
    """One task that this process has claimed and must settle."""

    group: TaskGroup
    index: int
    attempt: int
    item: Any
    claim: int
    shared: Shared

    @property
    def ref(self) -> dict[str, Any]:
        """The task as the SQL functions name it."""
        group = self.group
        return {"r": group.run_id, "s": group.step_slug, "i": self.index, "c": self.claim}

    @property
    def name(self) -> str:
        """How messages call it."""
        group = self.group
        name = f'step "{group.step_slug}" of flow "{group.workflow_slug}"'
        return f"{name}, task {self.index}" if group.step_type == "map" else name

    def build_input(self) -> dict[str, Any]:
        """The dict for the step function: run input, dependencies, then our own keys above them."""
        run_input, deps, params, broadcast = self.shared.parts()
        built: dict[str, Any] = {}
        if isinstance(run_input, dict):
            built.update(run_input)
        if deps:
            built.update(deps)
        if self.group.step_type == "map":
            built["item"] = broadcast[0] if broadcast is not None else self.item
            built["index"] = self.index
        if params is not None:
            built["params"] = params
        built["run"] = run_input
        return built


class Shared:
    """What the tasks of a group share, with one another and with other groups of their run.

    Each gets a copy, so that none sees another's changes.

    Beyond ``_COPIED_UP_TO`` bytes they share one object, which the docs tell them not to change:
    a copy of a large run input for every task of a map would cost more than the work.
    """

    __slots__ = ("_frozen", "_parts")

    def __init__(self, group: TaskGroup, *, has_sharers: bool) -> None:
        self._parts: _Parts = (group.run_input, group.deps, group.params, group.broadcast)
        self._frozen: bytes | None = None
        if has_sharers:
            frozen = marshal.dumps(self._parts)
            if len(frozen) <= _COPIED_UP_TO:
                self._frozen = frozen

    def parts(self) -> _Parts:
        """Run input, outputs of dependencies, params and broadcast value, for one task."""
        if self._frozen is None:
            return self._parts
        parts: _Parts = marshal.loads(self._frozen)  # noqa: S302 - our own bytes, from above
        return parts


def iterate(settled: Settled) -> Iterator[ClaimedTask]:
    """The tasks of a claim, in the order in which they were queued."""
    if settled.claim is None:
        return
    groups_of_run = Counter(group.run_id for group in settled.groups)
    for group in settled.groups:
        has_sharers = len(group.tasks) > 1 or groups_of_run[group.run_id] > 1
        shared = Shared(group, has_sharers=has_sharers)
        for index, attempt, item in group.tasks:
            yield ClaimedTask(group, index, attempt, item, settled.claim, shared)
