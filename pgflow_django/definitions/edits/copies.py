"""Copies of steps: under names of their own, waiting for one another as the first ones do. Pure."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from typing import Any

from pgflow_django.definitions.graph import free_slug
from pgflow_django.definitions.inputs import drop_sources, rename_sources
from pgflow_django.exceptions import EditRefused

Step = dict[str, Any]


def copy_steps(rows: Iterable[Step], taken: Collection[str]) -> list[Step]:
    """Copies of ``rows`` under slugs that are not ``taken``.

    What they wait for and read among themselves has its new name there, too.
    """
    names: dict[str, str] = {}
    used = set(taken)
    copies = []
    for row in rows:
        copied = copy.deepcopy(row)
        copied["slug"] = free_slug(row["slug"], used)
        names.setdefault(row["slug"], copied["slug"])
        used.add(copied["slug"])
        copies.append(copied)
    for copied in copies:
        if isinstance(waits := copied.get("depends_on"), list):
            copied["depends_on"] = [
                names.get(name, name) if isinstance(name, str) else name for name in waits
            ]
        rename_sources(copied, names)
        if copied.get("uses") == copied["slug"]:
            del copied["uses"]
    return copies


def read_pasted(value: Any) -> list[Step]:
    """The steps in what somebody pastes: a document or ``{"steps": […]}``, a list, or one step.

    Each has a slug that is text and names its function; the rest is for validation to judge.
    Raises ``EditRefused``.
    """
    if isinstance(value, dict):
        value = value.get("steps", [value])
    is_read = isinstance(value, list) and all(
        isinstance(row, dict) and isinstance(row.get("slug"), str) for row in value
    )
    if not is_read or not value:
        text = 'There are no steps in this. Steps look like {"steps": [{"slug": "fetch"}]}.'
        raise EditRefused(text, code="invalid_document", field="text")
    return [{**row, "uses": row.get("uses") or row["slug"]} for row in value]


def keep_lines(rows: Iterable[Step], there: Collection[str]) -> int:
    """Drop what ``rows`` wait for unless it is among them or ``there``; how many lines are gone."""
    rows = list(rows)
    known = {*there, *(row["slug"] for row in rows)}
    dropped = 0
    for row in rows:
        if not isinstance(waits := row.get("depends_on"), list):
            continue
        # Strange names stay, for validation to refuse.
        row["depends_on"] = [name for name in waits if not isinstance(name, str) or name in known]
        dropped += len(waits) - len(row["depends_on"])
        drop_sources(row, {name for name in waits if isinstance(name, str) and name not in known})
        if not row["depends_on"]:
            del row["depends_on"]
    return dropped
