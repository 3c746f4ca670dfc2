"""The steps of a flow as a tree of lines: each below the last one of those that it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgflow_django.definitions.graph import topological_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Deeper flows are listed flat, in topological order: their lines would not fit.
_MAX_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Line:
    """A step in the tree: what to draw before it, and which other steps it waits for."""

    slug: str
    branch: str
    also_after: Sequence[str]


def draw_tree(depends_on: Mapping[str, Sequence[str]], *, is_unicode: bool = True) -> list[Line]:
    """The lines, dependencies first."""
    order = topological_order(depends_on)
    position = {slug: index for index, slug in enumerate(order)}
    parent = {
        slug: max(depends_on[slug], key=position.__getitem__) for slug in order if depends_on[slug]
    }
    depth: dict[str, int] = {}
    children: dict[str, list[str]] = {slug: [] for slug in order}
    for slug in order:
        depth[slug] = depth[parent[slug]] + 1 if slug in parent else 0
        if slug in parent:
            children[parent[slug]].append(slug)
    if max(depth.values(), default=0) > _MAX_DEPTH:
        return [Line(slug, "", depends_on[slug]) for slug in order]
    others = {
        slug: [dependency for dependency in depends_on[slug] if dependency != parent.get(slug)]
        for slug in order
    }
    roots = [slug for slug in order if slug not in parent]
    signs = ("├─ ", "└─ ", "│  ") if is_unicode else ("|- ", "`- ", "|  ")
    lines = []
    waiting = [(slug, "", "") for slug in reversed(roots)]
    while waiting:
        slug, branch, indent = waiting.pop()
        lines.append(Line(slug, branch, others[slug]))
        last = children[slug][-1:]
        for child in reversed(children[slug]):
            is_last = child in last
            waiting.append(
                (
                    child,
                    indent + signs[is_last],
                    indent + ("   " if is_last else signs[2]),
                )
            )
    return lines
