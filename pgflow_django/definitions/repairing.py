"""Applying the certain fixes of a document, round by round. Pure: no ORM.

The fixes of one validation are alternatives against the same document: one may shift or make
needless another. Here those are applied that leave each other alone, and then it is looked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pgflow_django.definitions import bounds
from pgflow_django.definitions.edits.patches import MAX_OPERATIONS, apply_trusted, fits_bounds
from pgflow_django.definitions.problems import Patch, Problem

MAX_ROUNDS = 20

#: Finds the problems of a document.
Check = Callable[[Any], Sequence[Problem]]


def size_as_printed(value: Any) -> int:
    """Bytes of a value as JSON, a few levels deep in an answer that is indented."""
    return len(json.dumps([[[value]]], indent=2, default=str))


@dataclass(frozen=True, slots=True)
class Repair:
    """A document in which all is fixed that can be fixed without asking.

    ``patch`` takes the original there; ``applied`` are the problems that are gone by it,
    ``problems`` those that the repaired ``document`` still has.
    """

    document: Any
    patch: Patch
    applied: Sequence[Problem]
    problems: Sequence[Problem]


def repair(document: Any, check: Check, *, max_bytes: int | None = None) -> Repair:
    """Apply the certain fixes of what ``check`` finds; the document itself stays as it is.

    The patch is one that ``apply_patch`` takes. Where there is more to fix than that holds, it puts
    the whole document in the place of the original; where that is too large too, and where the
    patch would be larger than ``max_bytes``, only the first fixes are applied. A document that
    holds what is no JSON is left as it is.
    """
    reading = bounds.read(document)
    if not reading.is_json:
        return Repair(document, [], (), check(document))
    document = reading.value
    whole = _repair(document, check, _Budget(None, max_bytes))
    if fits_bounds(whole.patch):
        return whole
    instead: Patch = [{"op": "replace", "path": "", "value": whole.document}]
    if fits_bounds(instead):
        return replace(whole, patch=instead)
    return _repair(document, check, _Budget(MAX_OPERATIONS, max_bytes))


@dataclass(slots=True)
class _Budget:
    """How much may still be added to a patch; ``None``: as much as there is."""

    operations: int | None
    size: int | None

    def take(self, fix: Patch) -> bool:
        """Whether there is room for one more fix; if so, less is left."""
        if self.operations is not None:
            self.operations -= len(fix)
        if self.size is not None:
            self.size -= size_as_printed(fix)
        return not self.is_over

    @property
    def is_over(self) -> bool:
        """Whether a fix had no room."""
        return any(left is not None and left < 0 for left in (self.operations, self.size))


def _repair(document: Any, check: Check, budget: _Budget) -> Repair:
    patch: Patch = []
    applied: list[Problem] = []
    problems = check(document)
    for _ in range(MAX_ROUNDS):
        chosen = _choose(problems, budget)
        if not chosen:
            break
        operations = [operation for fix in _bottom_up(chosen) for operation in fix]
        document = apply_trusted(document, operations)
        patch += operations
        applied += chosen
        problems = check(document)
        if budget.is_over:
            break
    return Repair(document, patch, applied, problems)


def _choose(problems: Sequence[Problem], budget: _Budget) -> list[Problem]:
    """The problems whose certain fixes leave one another alone, as many as there is room for."""
    places = _Places()
    chosen = []
    for problem in problems:
        if problem.certain and problem.fix and places.take(problem.fix):
            if not budget.take(problem.fix):
                break
            chosen.append(problem)
    return chosen


@dataclass(slots=True)
class _Places:
    """The places that the fixes of a round touch."""

    touched: set[str] = field(default_factory=set)
    above: set[str] = field(default_factory=set)

    def take(self, fix: Patch) -> bool:
        """Whether a fix touches nothing that others do; if so, its places are taken."""
        places = {place for operation in fix for place in _places_of(operation)}
        above = {parent for place in places for parent in _parents(place)}
        if places & self.touched or places & self.above or above & self.touched:
            return False
        self.touched |= places
        self.above |= above
        return True


def _places_of(operation: dict[str, Any]) -> list[str]:
    """The pointers that an operation touches; what is appended stands beside other such."""
    path = operation["path"]
    if path.endswith("/-"):
        path = f"{path}{operation['value']}"
    return [path, operation["from"]] if "from" in operation else [path]


def _parents(pointer: str) -> list[str]:
    tokens = pointer.split("/")
    return ["/".join(tokens[:end]) for end in range(1, len(tokens))]


def _bottom_up(problems: Sequence[Problem]) -> list[Patch]:
    """Their fixes, the last place first: what is removed from a list shifts nothing before it."""
    fixes = [problem.fix for problem in problems if problem.fix]
    return sorted(fixes, key=lambda fix: _position(fix[0]["path"]), reverse=True)


def _position(pointer: str) -> list[tuple[bool, int, str]]:
    """A pointer as it sorts: by the tokens of keys, and by the numbers of places in lists."""
    return [
        (True, int(token), "") if token.isdecimal() and len(token) < 12 else (False, 0, token)
        for token in pointer.split("/")
    ]
