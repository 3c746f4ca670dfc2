"""A step that joins what others return, before a map step that can have only one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.graph import free_slug, is_valid_slug
from pgflow_django.definitions.inputs import names_step

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pgflow_django.definitions.problems import Patch

#: The built-in function that does it.
JOIN = "pgflow.join"


def join(outputs: Iterable[Any]) -> list[Any]:
    """What it returns: lists end to end, all else as items."""
    joined: list[Any] = []
    for output in outputs:
        joined += output if isinstance(output, list) else [output]
    return joined


def join_before(row: dict[str, Any], index: int, known: Collection[str]) -> Patch | None:
    """Put a step before the map step at ``index`` that joins what it waits for.

    Where its ``inputs`` read one of these there is no telling what they should read then.
    """
    slug, inputs = row.get("slug"), row.get("inputs")
    waits = row["depends_on"]
    names = list(dict.fromkeys(one for one in waits if isinstance(one, str) and one in known))
    if not is_valid_slug(slug) or len(names) != len(waits) or slug in names:
        return None
    if isinstance(inputs, dict) and any(
        names_step(source, name, is_map=True) for source in inputs.values() for name in names
    ):
        return None
    join = free_slug(f"join_{slug}"[:100], known)
    return [
        {
            "op": "add",
            "path": f"/steps/{index}",
            "value": {"slug": join, "uses": JOIN, "depends_on": names},
        },
        {"op": "replace", "path": f"/steps/{index + 1}/depends_on", "value": [join]},
    ]
