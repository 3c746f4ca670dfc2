"""The operations: each takes a document and gives a new one, or refuses with a reason.

What they give is well-formed; whether it is a valid flow (cycles, ranges, slugs) is for
``validate_flow`` to say, the one place that knows.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.definitions.graph import (
    MAX_SLUG_LENGTH,
    did_you_mean,
    free_slug,
    is_valid_slug,
    nearest_names,
    slug_fault,
)
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS, Option
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import Document
from pgflow_django.exceptions import EditRefused

__all__ = ["OPERATIONS", "Edit", "EditRefused", "apply"]

Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Edit:
    """A changed document, a sentence that says what was done, and the steps it was done to."""

    document: Document
    message: str
    touched: tuple[str, ...] = ()


def apply(
    document: Document, op: str, arguments: dict[str, Any], *, functions: Collection[str] = ()
) -> Edit:
    """Apply one operation (a key of ``OPERATIONS``); the document itself is left as it is.

    ``functions`` are the names of registered step functions: a step that is called like one keeps
    it when it is renamed. Raises ``EditRefused``.
    """
    operation = OPERATIONS.get(str(op))
    if operation is None:
        raise EditRefused(f"There is no operation {show(op)}.", code="unknown_operation")
    try:
        inspect.signature(operation).bind(None, **arguments)
    except TypeError as error:
        text = f"The operation {op} can't be done: {error}."
        raise EditRefused(text, code="invalid_arguments") from None
    return operation(_Draft(document, functions), **arguments)


class _Draft:
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

    def free_slug(self, wish: str) -> str:
        """A slug that no step has: the wish, or with a number behind it."""
        return free_slug(wish, {row["slug"] for row in self.steps})

    def dependents(self, slug: str) -> list[Step]:
        """The steps that wait for this one."""
        return [row for row in self.steps if slug in row.get("depends_on", ())]

    def add(self, slug: Any, uses: Any, kind: Any, depends_on: list[Any]) -> Step:
        """Append a step; without a slug it is called like its function, or ``step``."""
        if slug is None:
            slug = self.free_slug(_name_like(uses if isinstance(uses, str) else ""))
        if not isinstance(slug, str):
            text = f"The step slug {show(slug)} {slug_fault(slug)}."
            raise EditRefused(text, code="invalid_step_slug", field="slug")
        row: Step = {"slug": slug}
        if depends_on:
            row["depends_on"] = depends_on
        _set(row, STEP_KEYS, "type", kind)
        _set(row, STEP_KEYS, "uses", None if uses == slug else uses)
        self.steps.append(row)
        return row


def _add_step(
    draft: _Draft,
    slug: Any = None,
    uses: Any = None,
    type: Any = "single",
    depends_on: Any = (),
) -> Edit:
    names = _read_names(depends_on)
    for name in names:
        draft.find(name, "depends_on")
    row = draft.add(slug, uses, type, names)
    return Edit(draft.document, f"Added step {show(row['slug'])}", (str(row["slug"]),))


def _update_step(draft: _Draft, step: Any, **values: Any) -> Edit:
    row = draft.find(step)
    if unknown := [key for key in values if key not in STEP_KEYS and key != "depends_on"]:
        text = f"A step has no field {show(unknown[0])}."
        raise EditRefused(text, code="unknown_key", field=unknown[0])
    for key, value in values.items():
        if key == "depends_on":
            names = _read_names(value)
            row["depends_on"] = names
            if not names:
                del row["depends_on"]
        else:
            _set(row, STEP_KEYS, key, value)
    if row.get("uses") == row["slug"]:
        del row["uses"]
    if row.get("type", "single") == "single" and "initial_tasks" not in values:
        row.pop("initial_tasks", None)
    return Edit(draft.document, f"Changed {_list(values)} of step {show(step)}", (step,))


def _rename_step(draft: _Draft, step: Any, to: Any) -> Edit:
    row = draft.find(step)
    if any(other["slug"] == to for other in draft.steps if other is not row):
        text = f"There is a step {show(to)} already; each step needs its own name."
        raise EditRefused(
            text, code="duplicate_step_slug", field="slug", suggestions=(draft.free_slug(to),)
        )
    if "uses" not in row and step in draft.functions:
        row["uses"] = step
    if row.get("uses") == to:
        del row["uses"]
    row["slug"] = to
    for other in draft.dependents(step):
        other["depends_on"] = [to if name == step else name for name in other["depends_on"]]
    message = f"Renamed step {show(step)} to {show(to)}"
    return Edit(draft.document, message, (to,) if isinstance(to, str) else ())


def _delete_step(draft: _Draft, step: Any, bridge: Any = True) -> Edit:
    row = draft.find(step)
    above = row.get("depends_on", [])
    for other in draft.dependents(step):
        is_map = other.get("type") == "map"
        heirs = above if bridge and not (is_map and len(above) > 1) else []
        _rewire(other, step, heirs)
    draft.steps.remove(row)
    return Edit(draft.document, f"Deleted step {show(step)}", (step,))


def _add_edge(draft: _Draft, source: Any, target: Any) -> Edit:
    draft.find(source, "source")
    row = draft.find(target, "target")
    if source in row.get("depends_on", ()):
        text = f"Step {show(target)} waits for {show(source)} already."
        raise EditRefused(text, code="duplicate_dependency")
    row["depends_on"] = [*row.get("depends_on", ()), source]
    return Edit(draft.document, f"Connected {show(source)} to {show(target)}", (source, target))


def _delete_edge(draft: _Draft, source: Any, target: Any) -> Edit:
    _require_edge(draft, source, target)
    _rewire(draft.find(target, "target"), source, [])
    message = f"Removed the line from {show(source)} to {show(target)}"
    return Edit(draft.document, message, (source, target))


def _insert_on_edge(
    draft: _Draft,
    source: Any,
    target: Any,
    slug: Any = None,
    uses: Any = None,
    type: Any = "single",
) -> Edit:
    _require_edge(draft, source, target)
    row = draft.add(slug, uses, type, [source])
    _rewire(draft.find(target, "target"), source, [row["slug"]])
    message = f"Added step {show(row['slug'])} between {show(source)} and {show(target)}"
    return Edit(draft.document, message, (str(row["slug"]), source, target))


def _duplicate(draft: _Draft, step: Any) -> Edit:
    row = copy.deepcopy(draft.find(step))
    row["slug"] = draft.free_slug(row["slug"])
    if "uses" not in row and step in draft.functions:
        row["uses"] = step
    draft.steps.append(row)
    message = f"Duplicated step {show(step)} as {show(row['slug'])}"
    return Edit(draft.document, message, (row["slug"],))


def _set_flow(draft: _Draft, **values: Any) -> Edit:
    for key, value in values.items():
        if key not in FLOW_KEYS:
            text = f"A flow has no field {show(key)} that can be changed here."
            raise EditRefused(text, code="unknown_key", field=key)
        _set(draft.document, FLOW_KEYS, key, value)
    return Edit(draft.document, f"Changed {_list(values)} of the flow")


def _replace(draft: _Draft, document: Any) -> Edit:
    if not isinstance(document, dict):
        text = f"A flow document is a JSON object, but this is {show(document)}."
        raise EditRefused(text, code="invalid_document")
    slug = draft.document.get("workflow_slug")
    new = {**copy.deepcopy(document), "workflow_slug": slug}
    return Edit(new, "Replaced the whole flow")


def _patch(draft: _Draft, patch: Any) -> Edit:
    patched = apply_patch(draft.document, patch)
    # Whatever a patch says, a draft stays the draft of its own flow.
    return Edit({**patched, "workflow_slug": draft.document["workflow_slug"]}, "Applied a fix")


OPERATIONS: dict[str, Callable[..., Edit]] = {
    "add_step": _add_step,
    "update_step": _update_step,
    "rename_step": _rename_step,
    "delete_step": _delete_step,
    "add_edge": _add_edge,
    "delete_edge": _delete_edge,
    "insert_on_edge": _insert_on_edge,
    "duplicate": _duplicate,
    "set_flow": _set_flow,
    "replace": _replace,
    "patch": _patch,
}


def _name_like(uses: str) -> str:
    """The slug of a step that calls this function: ``orders.run`` gives ``step_run``."""
    name = re.sub(r"\W+", "_", uses.rpartition(".")[2], flags=re.ASCII) if uses else "step"
    return name if is_valid_slug(name) else f"step_{name}"[:MAX_SLUG_LENGTH]


def _read_names(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        text = f"depends_on is {show(value)}, but must be a list of steps."
        raise EditRefused(text, code="missing_dependencies", field="depends_on")
    return list(value)


def _set(row: Step, fields: Mapping[str, Option], key: str, value: Any) -> None:
    """Set a field; its default is left out, as in the shortest document."""
    default = fields[key].default
    if value is None or (value == default and isinstance(value, bool) == isinstance(default, bool)):
        row.pop(key, None)
    else:
        row[key] = value


def _rewire(row: Step, old: str, new: list[str]) -> None:
    """Wait for other steps instead of one."""
    names = [heir for name in row["depends_on"] for heir in (new if name == old else [name])]
    row["depends_on"] = list(dict.fromkeys(names))
    if not row["depends_on"]:
        del row["depends_on"]


def _require_edge(draft: _Draft, source: Any, target: Any) -> None:
    if source not in draft.find(target, "target").get("depends_on", ()):
        text = f"There is no line from {show(source)} to {show(target)}."
        raise EditRefused(text, code="missing_edge")


def _list(values: dict[str, Any]) -> str:
    return ", ".join(values) or "nothing"
