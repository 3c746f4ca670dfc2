"""Flows that workers run in these tests."""

from __future__ import annotations

from typing import Any

from pgflow_django import flow_builder


def mapped() -> str:
    """A source, a map over what it gives, the sum."""
    return _store(
        "mapped",
        {"slug": "numbers", "uses": "work.numbers"},
        {"slug": "double", "uses": "work.double", "depends_on": ["numbers"], "type": "map"},
        {"slug": "total", "uses": "work.total", "depends_on": ["double"]},
    )


def single(function: str, **options: Any) -> str:
    """One step."""
    return _store("single", {"slug": "only", "uses": function, **options})


def over_input(function: str, **options: Any) -> str:
    """A map over ``items``: the first step hands them on."""
    return _store(
        "over_input",
        {"slug": "numbers", "uses": "work.numbers"},
        {"slug": "each", "uses": function, "depends_on": ["numbers"], "type": "map", **options},
    )


def _store(slug: str, *steps: dict[str, Any]) -> str:
    flow_builder.create_flow_from_spec(
        {"workflow_slug": slug, "base_delay": 0, "steps": list(steps)}
    )
    return slug
