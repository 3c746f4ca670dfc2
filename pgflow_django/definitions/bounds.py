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
            size += times * _own_size(container)
            for child in container.values() if isinstance(container, dict) else container:
                if isinstance(child, dict | list | tuple):
                    known = below.get(id(child))
                    below[id(child)] = (child, times + (known[1] if known else 0))
        if not below:
            return size
        level = below
    return None


def _own_size(container: Any) -> int:
    """What a container takes at least, but for the containers in it."""
    if isinstance(container, dict):
        texts = [text for pair in container.items() for text in pair if isinstance(text, str)]
    else:
        texts = [text for text in container if isinstance(text, str)]
    return len(container) + sum(map(len, texts))
