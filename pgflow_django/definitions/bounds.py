"""How large and how deep a value is, found in linear time and without recursion. Pure.

Whatever holds itself, or one part many times, is looked at once a level.
"""

from __future__ import annotations

from typing import Any, Literal

from pgflow_django.definitions.problems import Problem

#: Of a document: an option's value may have 64 levels, and stands in a step, a list, the document.
MAX_LEVELS = 67
#: Of a document, as JSON: what PostgreSQL holds in one value, as which a draft is stored.
MAX_BYTES = 256 * 1024 * 1024

_CONTAINERS = (dict, list, tuple)

Excess = Literal["deep", "large"]


def bound_problem(value: Any, levels: int = MAX_LEVELS) -> Problem | None:
    """What keeps a document from being looked at: it is too deep or too large."""
    match find_excess(value, levels=levels):
        case "deep":
            return too_deep()
        case "large":
            return too_large(MAX_BYTES)
    return None


def too_deep() -> Problem:
    """The problem of a document that has too many levels."""
    text = "The document is nested too deeply: the value of an option may have 64 levels."
    return Problem("document_too_deep", "", text)


def too_large(size: int) -> Problem:
    """The problem of a document that has more bytes than ``size``."""
    return Problem(
        "document_too_large",
        "",
        f"The document is larger than {size // 1024:,} KiB. Store what is large elsewhere, and let "
        "params have a reference to it.",
    )


def find_excess(value: Any, *, levels: int = MAX_LEVELS, size: int = MAX_BYTES) -> Excess | None:
    """Whether a value has more levels, or is larger as JSON, than it may be."""
    measured = measure(value, levels)
    if measured is None:
        return "deep"
    return "large" if measured > size else None


def measure(value: Any, levels: int) -> int | None:
    """How large a value is as JSON, at least; ``None`` where it has more levels."""
    size = 0
    level: dict[int, tuple[Any, int]] = {0: ((value,), 1)}
    for _ in range(levels + 1):
        below: dict[int, tuple[Any, int]] = {}
        for container, times in level.values():
            parts = container
            own = len(container)
            if isinstance(container, dict):
                parts = container.values()
                own += sum(len(key) for key in container if isinstance(key, str))
            for part in parts:
                if isinstance(part, str):
                    own += len(part)
                elif isinstance(part, _CONTAINERS):
                    known = below.get(id(part))
                    below[id(part)] = (part, times + known[1] if known else times)
            size += own * times
        if not below:
            return size
        level = below
    return None
