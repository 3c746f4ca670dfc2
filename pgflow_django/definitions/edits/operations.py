"""The operations: each takes a document and gives a new one, or refuses with a reason.

What they give is well-formed; whether it is a valid flow (cycles, ranges, slugs) is for
``validate_flow`` to say, the one place that knows.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from pgflow_django.definitions import bounds
from pgflow_django.definitions.edits.copies import Step, copy_steps, keep_lines, read_pasted
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.definitions.edits.working import WorkingCopy, rewire, set_field
from pgflow_django.definitions.inputs import OF_MAPS, drop_sources, names_step, rename_sources
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import Document
from pgflow_django.exceptions import EditRefused

__all__ = ["OPERATIONS", "Edit", "EditRefused", "apply", "read_arguments"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A changed document, a sentence that says what was done, and the steps it was done to."""

    document: Document
    message: str
    touched: tuple[str, ...] = ()


def apply(document: Document, op: str, arguments: Any, *, functions: Collection[str] = ()) -> Edit:
    """Apply one operation (a key of ``OPERATIONS``); the document itself is left as it is.

    ``functions`` are the names of registered step functions: a step that is called like one keeps
    it when it is renamed. Raises ``EditRefused``.
    """
    operation = OPERATIONS.get(str(op))
    if operation is None:
        raise EditRefused(f"There is no operation {show(op)}.", code="unknown_operation")
    arguments = read_arguments(arguments)
    try:
        inspect.signature(operation).bind(None, **arguments)
    except TypeError as error:
        text = f"The operation {op} can't be done: {error}."
        raise EditRefused(text, code="invalid_arguments") from None
    return operation(WorkingCopy(document, functions), **arguments)


def read_arguments(arguments: Any) -> dict[str, Any]:
    """The arguments of an operation, which may be anything. Raises ``EditRefused``."""
    reading = bounds.read(arguments, levels=bounds.MAX_LEVELS + 1)
    if reading.problem is not None:
        raise EditRefused(reading.problem.message, code=reading.problem.code)
    if isinstance(reading.value, dict):
        return reading.value
    text = f"The arguments of an edit are an object, but this is {show(reading.value)}."
    raise EditRefused(text, code="invalid_arguments")


def _add_step(
    draft: WorkingCopy,
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


def _update_step(draft: WorkingCopy, step: Any, to: Any = None, **values: Any) -> Edit:
    """Set fields of steps; ``to`` is the new name of a single one."""
    rows = draft.find_all(step)
    if unknown := [key for key in values if key not in STEP_KEYS and key != "depends_on"]:
        text = f"A step has no field {show(unknown[0])}."
        raise EditRefused(text, code="unknown_key", field=unknown[0])
    for row in rows:
        _update(row, values)
    message = f"Changed {_list(values)} of {_name(rows)}"
    if to is None:
        return Edit(draft.document, message, _slugs(rows))
    renamed = _rename_step(draft, step, to)
    return Edit(draft.document, f"{message}, and its name to {show(to)}", renamed.touched)


def _update(row: Step, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if key == "depends_on":
            names = _read_names(value)
            drop_sources(row, [name for name in row.get("depends_on", ()) if name not in names])
            row["depends_on"] = names
            if not names:
                del row["depends_on"]
        else:
            set_field(row, STEP_KEYS, key, value)
    if row.get("uses") == row["slug"]:
        del row["uses"]
    if row.get("type", "single") == "single" and "initial_tasks" not in values:
        row.pop("initial_tasks", None)


def _rename_step(draft: WorkingCopy, step: Any, to: Any) -> Edit:
    row = draft.find(step)
    if any(other["slug"] == to for other in draft.steps if other is not row):
        text = f"There is a step {show(to)} already; each step needs its own name."
        raise EditRefused(
            text, code="duplicate_step_slug", field="slug", suggestions=(draft.free_slug(to),)
        )
    if _calls_by_name(draft, row):
        row["uses"] = step
    if row.get("uses") == to:
        del row["uses"]
    row["slug"] = to
    _require_readable(draft, step, to)
    for other in draft.steps:
        rename_sources(other, {step: to})
    for other in draft.dependents(step):
        other["depends_on"] = [to if name == step else name for name in other["depends_on"]]
    message = f"Renamed step {show(step)} to {show(to)}"
    return Edit(draft.document, message, (to,) if isinstance(to, str) else ())


def _require_readable(draft: WorkingCopy, step: str, to: Any) -> None:
    """Refuse a name under which a map that reads the step would read its own item."""
    for row in draft.steps:
        sources = row.get("inputs") or {}
        if (
            to in OF_MAPS
            and row.get("type") == "map"
            and any(names_step(source, step, is_map=True) for source in sources.values())
        ):
            text = f"Step {show(row['slug'])} reads it, and calls something else {show(to)}."
            raise EditRefused(text, code="shadowed_step_slug", field="slug")


def _delete_step(draft: WorkingCopy, step: Any, bridge: Any = True) -> Edit:
    rows = draft.find_all(step)
    doomed = set(_slugs(rows))
    for row in rows:
        above = row.get("depends_on", [])
        for other in draft.dependents(row["slug"]):
            # A map step waits for one step at most; one that goes as well only hands on.
            is_map = other.get("type") == "map" and other["slug"] not in doomed
            heirs = above if bridge and not (is_map and len(above) > 1) else []
            rewire(other, row["slug"], heirs)
        draft.steps.remove(row)
    return Edit(draft.document, f"Deleted {_name(rows)}", _slugs(rows))


def _add_edge(draft: WorkingCopy, source: Any, target: Any) -> Edit:
    draft.find(source, "source")
    row = draft.find(target, "target")
    if source in row.get("depends_on", ()):
        text = f"Step {show(target)} waits for {show(source)} already."
        raise EditRefused(text, code="duplicate_dependency")
    row["depends_on"] = [*row.get("depends_on", ()), source]
    return Edit(draft.document, f"Connected {show(source)} to {show(target)}", (source, target))


def _delete_edge(draft: WorkingCopy, source: Any, target: Any) -> Edit:
    _require_edge(draft, source, target)
    rewire(draft.find(target, "target"), source, [])
    message = f"Removed the line from {show(source)} to {show(target)}"
    return Edit(draft.document, message, (source, target))


def _insert_on_edge(
    draft: WorkingCopy,
    source: Any,
    target: Any,
    slug: Any = None,
    uses: Any = None,
    type: Any = "single",
) -> Edit:
    _require_edge(draft, source, target)
    row = draft.add(slug, uses, type, [source])
    reader = draft.find(target, "target")
    rename_sources(reader, {source: row["slug"]})  # what it reads goes through the new step
    rewire(reader, source, [row["slug"]])
    message = f"Added step {show(row['slug'])} between {show(source)} and {show(target)}"
    return Edit(draft.document, message, (str(row["slug"]), source, target))


def _duplicate(draft: WorkingCopy, step: Any) -> Edit:
    rows = draft.find_all(step)
    kept = [{**row, "uses": row["slug"]} if _calls_by_name(draft, row) else row for row in rows]
    copies = copy_steps(kept, draft.slugs)
    draft.steps.extend(copies)
    message = f"Duplicated {_name(rows)}"
    if len(copies) == 1:
        message += f" as {show(copies[0]['slug'])}"
    return Edit(draft.document, message, _slugs(copies))


def _calls_by_name(draft: WorkingCopy, row: Step) -> bool:
    """Whether a step calls the function that it is called like."""
    return "uses" not in row and row["slug"] in draft.functions


def _paste(draft: WorkingCopy, steps: Any, after: Any = None) -> Edit:
    rows = read_pasted(steps)
    if after is not None:
        draft.find(after, "after")
    dropped = keep_lines(rows, draft.slugs if after is None else ())
    copies = copy_steps(rows, draft.slugs)
    message = f"Pasted {_name(copies)}"
    if after is not None:
        for row in copies:
            row.setdefault("depends_on", [after])
        message += f" behind {show(after)}"
    elif dropped:
        lines = "1 line" if dropped == 1 else f"{dropped:,} lines"
        message += f", without {lines} to what is not in this flow"
    draft.steps.extend(copies)
    return Edit(draft.document, message, _slugs(copies))


def _set_flow(draft: WorkingCopy, **values: Any) -> Edit:
    for key, value in values.items():
        if key not in FLOW_KEYS:
            text = f"A flow has no field {show(key)} that can be changed here."
            raise EditRefused(text, code="unknown_key", field=key)
        set_field(draft.document, FLOW_KEYS, key, value)
    return Edit(draft.document, f"Changed {_list(values)} of the flow")


def _replace(draft: WorkingCopy, document: Any) -> Edit:
    if not isinstance(document, dict):
        text = f"A flow document is a JSON object, but this is {show(document)}."
        raise EditRefused(text, code="invalid_document")
    slug = draft.document.get("workflow_slug")
    new = {**copy.deepcopy(document), "workflow_slug": slug}
    return Edit(new, "Replaced the whole flow")


def _patch(draft: WorkingCopy, patch: Any) -> Edit:
    patched = apply_patch(draft.document, patch)
    if not isinstance(patched, dict):
        text = f"A flow document is a JSON object, but the fix makes it {show(patched)}."
        raise EditRefused(text, code="invalid_document", field="patch")
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
    "paste": _paste,
    "set_flow": _set_flow,
    "replace": _replace,
    "patch": _patch,
}


def _read_names(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        text = f"depends_on is {show(value)}, but must be a list of steps."
        raise EditRefused(text, code="missing_dependencies", field="depends_on")
    return list(value)


def _require_edge(draft: WorkingCopy, source: Any, target: Any) -> None:
    if source not in draft.find(target, "target").get("depends_on", ()):
        text = f"There is no line from {show(source)} to {show(target)}."
        raise EditRefused(text, code="missing_edge")


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _slugs(rows: list[Step]) -> tuple[str, ...]:
    return tuple(row["slug"] for row in rows)


def _name(rows: list[Step]) -> str:
    """How messages call one step, or several."""
    return f"step {show(rows[0]['slug'])}" if len(rows) == 1 else f"{len(rows):,} steps"
