"""A claimed task, and the one dict that its step function gets."""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgflow_django.definitions.inputs import follow, read_source
from pgflow_django.definitions.schemas import escape_token
from pgflow_django.engine import Settled, TaskGroup
from pgflow_django.exceptions import ContractBroken

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
        """The dict for the step function: run input, dependencies, then our own keys above them.

        Raises ``ContractBroken`` (``input_unresolved``) where a source leads to nothing.
        """
        run_input, deps, params, broadcast = self.shared.parts()
        is_map = self.group.step_type == "map"
        own: dict[str, Any] = {}
        if is_map:
            own["item"] = broadcast[0] if broadcast is not None else self.item
            own["index"] = self.index
        built: dict[str, Any] = {}
        if isinstance(run_input, dict):
            built.update(run_input)
        if deps and not is_map:
            built.update(deps)
        if self.group.inputs:
            sources = {**(deps or {}), **own, "run": run_input}
            for name, source in self.group.inputs.items():
                built[name] = self._read(source, sources, name)
        built.update(own)
        if params is not None:
            built["params"] = params
        built["run"] = run_input
        return built

    def params_of(self, built: dict[str, Any]) -> Any:
        """The params of its step in the dict; a run may give anything under that name."""
        return None if self.group.params is None else built["params"]

    def _read(self, text: str, sources: dict[str, Any], name: str) -> Any:
        source = read_source(text)
        if source.head not in sources:
            reason = f'it does not depend on "{source.head}"'
        else:
            try:
                return follow(sources[source.head], source.tokens)
            except LookupError as error:
                reason = f'there is no "{error.args[0]}" in what it leads through'
        problem = {"pointer": f"/{escape_token(name)}", "message": f"is {text}, but {reason}"}
        raise ContractBroken(
            f'{self.name}: its input "{name}" for function {self.group.function} is "{text}", but '
            f"{reason}. Correct the source, or what the step before returns",
            code="input_unresolved",
            problems=[problem],
        )


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
