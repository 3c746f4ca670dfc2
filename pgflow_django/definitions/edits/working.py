"""The copy of a document that an operation works on. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pgflow_django import jsonvalue
from pgflow_django.definitions.edits.copies import Step
from pgflow_django.definitions.graph import (
    MAX_SLUG_LENGTH,
    did_you_mean,
    free_slug,
    is_valid_slug,
    nearest_names,
    slug_fault,
)
from pgflow_django.definitions.inputs import drop_sources
from pgflow_django.definitions.options import STEP_KEYS, Option
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import Document
from pgflow_django.exceptions import EditRefused


class WorkingCopy:
    """A copy of a document that an operation works on."""

    def __init__(self, document: Document, functions: Collection[str]) -> None:
        steps = [dict(row) for row in document.get("steps", ())]
        self.document: Document = {**document, "steps": steps}
        self.steps: list[Step] = steps
        self.functions = functions

    def find(self, slug: Any, field: str = "step") -> Step:
        """The step with this slug; refuses with the nearest names where there is none."""
        for row in self.steps:
            if row["slug"] == slug:
                return row
        names = nearest_names(slug, [row["slug"] for row in self.steps])
        text = f"There is no step {show(slug)}.{did_you_mean(names)}"
        raise EditRefused(text, code="missing_step", field=field, suggestions=names)

    def find_all(self, step: Any) -> list[Step]:
        """The steps with these slugs, or the one with this slug, in the order of the document."""
        wanted = step if isinstance(step, list | tuple) else [step]
        if not wanted:
            raise EditRefused("No step was named.", code="missing_step", field="step")
        known = self.slugs
        for slug in wanted:
            if not isinstance(slug, str) or slug not in known:
                self.find(slug)  # says which ones there are
        slugs = set(wanted)
        return [row for row in self.steps if row["slug"] in slugs]

    @property
    def slugs(self) -> set[str]:
        """The slugs of all steps."""
        return {row["slug"] for row in self.steps}

    def free_slug(self, wish: str) -> str:
        """A slug that no step has: the wish, or with a number behind it."""
        return free_slug(wish, self.slugs)

    def dependents(self, slug: str) -> list[Step]:
        """The steps that wait for this one."""
        return [row for row in self.steps if slug in row.get("depends_on", ())]

    def add(self, slug: Any, uses: Any, kind: Any, depends_on: list[Any]) -> Step:
        """Append a step; without a slug it is called like its function, or ``step``."""
        if slug is None:
            slug = self.free_slug(_name_like(uses if isinstance(uses, str) else ""))
        if not isinstance(slug, str):
            text = f"The step name {show(slug)} {slug_fault(slug)}."
            raise EditRefused(text, code="invalid_step_slug", field="slug")
        row: Step = {"slug": slug}
        if depends_on:
            row["depends_on"] = depends_on
        set_field(row, STEP_KEYS, "type", kind)
        set_field(row, STEP_KEYS, "uses", None if uses == slug else uses)
        self.steps.append(row)
        return row


def set_field(row: Step, fields: Mapping[str, Option], key: str, value: Any) -> None:
    """Set a field; its default is left out, as in the shortest document."""
    if value is None or jsonvalue.same(value, fields[key].default):
        row.pop(key, None)
    else:
        row[key] = value


def rewire(row: Step, old: str, new: list[str]) -> None:
    """Wait for other steps instead of one, and read nothing of it any more."""
    drop_sources(row, [old])
    names = [heir for name in row["depends_on"] for heir in (new if name == old else [name])]
    row["depends_on"] = list(dict.fromkeys(names))
    if not row["depends_on"]:
        del row["depends_on"]


def _name_like(uses: str) -> str:
    """The slug of a step that calls this function: ``orders.run`` gives ``step_run``."""
    name = re.sub(r"\W+", "_", uses.rpartition(".")[2], flags=re.ASCII) if uses else "step"
    return name if is_valid_slug(name) else f"step_{name}"[:MAX_SLUG_LENGTH]
