"""The steps of a flow as a directed graph of numbers, checked and ranked.

Imports only the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["single", "map"]


@dataclass(frozen=True, slots=True)
class Node:
    """One step to draw: ``title`` stands for the slug if given, ``subtitle`` below it.

    ``description`` is what somebody has noted about it.
    """

    slug: str
    depends_on: Sequence[str] = ()
    title: str = ""
    kind: Kind = "single"
    subtitle: str = ""
    description: str = ""

    @property
    def name(self) -> str:
        """What the card shows as the step's name."""
        return self.title or self.slug


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps by their position in the input: what they wait for, what waits for them, an order."""

    above: list[list[int]]
    below: list[list[int]]
    topological: list[int]


def build_graph(nodes: Sequence[Node]) -> Graph:
    """Return the graph of ``nodes``; ``ValueError`` names repeated, unknown or circular steps."""
    index: dict[str, int] = {}
    for position, node in enumerate(nodes):
        if index.setdefault(node.slug, position) != position:
            raise ValueError(f"two steps are called {node.slug!r}")
    above = [_number_dependencies(node, index) for node in nodes]
    below: list[list[int]] = [[] for _ in nodes]
    for step, dependencies in enumerate(above):
        for dependency in dependencies:
            below[dependency].append(step)
    topological = _sort_topologically(above, below)
    if len(topological) < len(nodes):
        cycle = _find_cycle(above, set(range(len(nodes))).difference(topological))
        path = " -> ".join(nodes[step].slug for step in cycle)
        raise ValueError(f"these steps wait for each other: {path}")
    return Graph(above, below, topological)


def _number_dependencies(node: Node, index: dict[str, int]) -> list[int]:
    """Return the positions of a node's dependencies in input order, each once."""
    for dependency in node.depends_on:
        if dependency not in index:
            raise ValueError(f"step {node.slug!r} waits for {dependency!r}, which does not exist")
    return sorted({index[dependency] for dependency in node.depends_on})


def _sort_topologically(above: list[list[int]], below: list[list[int]]) -> list[int]:
    waiting = [len(dependencies) for dependencies in above]
    order = [step for step, count in enumerate(waiting) if not count]
    for step in order:  # grows while it is read
        for child in below[step]:
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    return order


def _find_cycle(above: list[list[int]], stuck: Iterable[int]) -> list[int]:
    """Return a cycle among the steps that no order reaches, its first step repeated at the end."""
    members = set(stuck)
    step, seen, trail = min(members), dict[int, int](), list[int]()
    while step not in seen:
        seen[step] = len(trail)
        trail.append(step)
        step = next(dependency for dependency in above[step] if dependency in members)
    return [step, *reversed(trail[seen[step] :])]


def rank_steps(graph: Graph) -> list[int]:
    """Return each step's rank: after all it waits for, but close to what waits for it."""
    ranks = [0] * len(graph.above)
    for step in graph.topological:
        ranks[step] = max((ranks[parent] + 1 for parent in graph.above[step]), default=0)
    for step in reversed(graph.topological):
        children = graph.below[step]
        if len(children) > len(graph.above[step]):
            ranks[step] = max(ranks[step], min(ranks[child] for child in children) - 1)
    return ranks
