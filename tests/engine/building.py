"""Short ways to write down flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgflow_django import flow_builder

Steps = Mapping[str, Sequence[str]]


def build(slug: str, steps: Steps, *, options: Mapping[str, Any] | None = None, **flow: Any) -> str:
    """Store a flow: ``{"source": [], "each*": ["source"]}``, where a star marks a map step.

    ``options`` are the steps' own, by slug; a failed attempt is tried again at once.
    """
    rows = []
    for name, deps in steps.items():
        step = name.removesuffix("*")
        rows.append(
            {
                "slug": step,
                "depends_on": list(deps),
                "type": "map" if name.endswith("*") else "single",
                **(options or {}).get(step, {}),
            }
        )
    flow_builder.create_flow_from_spec(
        {"workflow_slug": slug, "base_delay": 0, **flow, "steps": rows}
    )
    return slug


def chain(count: int, *, prefix: str = "s", star: str = "") -> dict[str, list[str]]:
    """Steps ``s0`` to ``s<count - 1>`` one after another."""
    return {f"{prefix}{i}{star}": [f"{prefix}{i - 1}"] if i else [] for i in range(count)}
