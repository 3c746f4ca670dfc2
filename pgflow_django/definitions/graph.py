"""The slug rule, and what a flow's graph has to tell: an order, a cycle, the nearest names.

Pure: no Django. Graphs are mappings ``{step: the steps it waits for}`` in the order of definition.
Everything here is linear and iterative, so that the largest flows (2,000 steps, 20,000 edges)
cost milliseconds and no recursion limit is met.
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping

MAX_SLUG_LENGTH = 128
RESERVED_SLUGS = frozenset({"run"})
SLUG_PATTERN = "[a-zA-Z_][a-zA-Z0-9_]*"

_SLUG = re.compile(SLUG_PATTERN, re.ASCII)
#: Names that difflib compares for one question: it is costly, the more so for long names.
_COMPARED = 8

Graph = Mapping[str, Collection[str]]


def is_valid_slug(slug: object) -> bool:
    """Whether ``slug`` may name a flow or a step.

    True for text of 1 to 128 characters, ``^[a-zA-Z_][a-zA-Z0-9_]*$``, except the reserved word
    ``run``. Case matters: ``Orders`` and ``orders`` are different flows.
    """
    return slug_fault(slug) is None


def slug_fault(slug: object) -> str | None:
    """What is wrong with ``slug``, as the end of a sentence that begins with it; else ``None``."""
    if slug is None:
        return "is missing"
    if not isinstance(slug, str):
        return f"is {type(slug).__name__}, not text"
    if not slug:
        return "is empty"
    if len(slug) > MAX_SLUG_LENGTH:
        return f"has {len(slug):,} characters; at most {MAX_SLUG_LENGTH} are allowed"
    if slug in RESERVED_SLUGS:
        return "is a reserved word"
    if not _SLUG.fullmatch(slug):
        return "must be letters a-z, digits and underscores, and not begin with a digit"
    return None


def free_slug(wish: str, taken: Collection[str]) -> str:
    """A slug that is not ``taken``: the wish, or with a number behind it."""
    slug, number = wish, 2
    while slug in taken:
        slug = f"{wish[: MAX_SLUG_LENGTH - 6]}_{number}"
        number += 1
    return slug


def topological_order(depends_on: Graph) -> list[str]:
    """The steps, dependencies first; without the steps that are in or behind a cycle.

    Steps that are ready at the same time keep their order of definition. Dependencies that are
    no steps of the graph are ignored.
    """
    waits_for = {step: len(known_dependencies(depends_on, step)) for step in depends_on}
    dependents: dict[str, list[str]] = {step: [] for step in depends_on}
    for step in depends_on:
        for dependency in known_dependencies(depends_on, step):
            dependents[dependency].append(step)
    ready = deque(step for step, count in waits_for.items() if count == 0)
    order = []
    while ready:
        step = ready.popleft()
        order.append(step)
        for dependent in dependents[step]:
            waits_for[dependent] -= 1
            if waits_for[dependent] == 0:
                ready.append(dependent)
    return order


def find_cycle(depends_on: Graph) -> list[str] | None:
    """One cycle as the path of its steps, each before the one that waits for it; else ``None``.

    It begins with the step of it that was defined first, which comes again at the end:
    ``["a", "b", "a"]``.
    """
    stuck = depends_on.keys() - set(topological_order(depends_on))
    if not stuck:
        return None
    # Each stuck step waits for another stuck step: going back along them must meet one twice.
    step = next(step for step in depends_on if step in stuck)
    path: dict[str, None] = {}
    while step not in path:
        path[step] = None
        step = next(dependency for dependency in depends_on[step] if dependency in stuck)
    way_back = list(path)
    cycle = way_back[way_back.index(step) :][::-1]
    first = next(cycle.index(step) for step in depends_on if step in cycle)
    return [*cycle[first:], *cycle[: first + 1]]


def find_tangled(depends_on: Graph) -> set[str]:
    """The steps in cycles, or between two: those that wait for one, and that one waits for."""
    behind = depends_on.keys() - set(topological_order(depends_on))
    reverse: dict[str, list[str]] = {step: [] for step in behind}
    for step in behind:
        for dependency in known_dependencies(depends_on, step):
            if dependency in reverse:
                reverse[dependency].append(step)
    return reverse.keys() - set(topological_order(reverse))


def known_dependencies(depends_on: Graph, step: str) -> list[str]:
    """What ``step`` waits for, each once and without names that are no steps, in their order."""
    return [dep for dep in dict.fromkeys(depends_on[step]) if dep in depends_on]


def nearest_names(name: object, names: Iterable[str], limit: int = 3) -> list[str]:
    """Up to ``limit`` of ``names`` that look like ``name``, the nearest first, case ignored.

    Of many names only those are compared that are about as long and have nearly the same letters.
    """
    if not isinstance(name, str):
        return []
    by_folded: dict[str, list[str]] = {}
    for candidate in names:
        by_folded.setdefault(candidate[:MAX_SLUG_LENGTH].casefold(), []).append(candidate)
    wanted = name[:MAX_SLUG_LENGTH].casefold()
    letters = set(wanted)

    def differ(other: str) -> int:
        return abs(len(other) - len(wanted)) + len(letters.symmetric_difference(other))

    nearest = heapq.nsmallest(_COMPARED, by_folded, key=differ)
    matches = difflib.get_close_matches(wanted, nearest, n=limit)
    return [original for match in matches for original in by_folded[match]][:limit]


def did_you_mean(suggestions: Collection[str]) -> str:
    """The sentence `` Did you mean "a" or "b"?``, to stand behind another; empty without names."""
    quoted = " or ".join(f'"{suggestion}"' for suggestion in suggestions)
    return f" Did you mean {quoted}?" if quoted else ""
