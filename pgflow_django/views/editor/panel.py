"""What the editor's side panel shows of a step or of the flow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from pgflow_django.definitions.shape import function_of
from pgflow_django.registry import registry
from pgflow_django.views.editor.scene import Row, Scene

#: Flows of more steps get a field to type into instead of a list of boxes to tick.
MAX_BOXES = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """A step that another may wait for, or the reason why it may not."""

    slug: str
    is_chosen: bool
    reason: str = ""


def describe_panel(scene: Scene, slug: str) -> dict[str, Any]:
    """The variables of the panel's template for one step, or for the flow where there is none."""
    row = scene.rows.get(slug)
    if row is None:
        return {"scene": scene, **_describe_flow(scene)}
    name = function_of(row)
    function = registry.get(name)
    return {
        "scene": scene,
        "step": slug,
        "row": row,
        "is_map": row.get("type") == "map",
        "params": _show_json(row.get("params")),
        "doc": function.doc.strip() if function else "",
        "functions": [known for known in registry.names() if known != slug],
        "own_function": slug in registry,
        "is_missing": bool(row.get("uses")) and function is None,
        "problems": scene.problems_of(slug),
        "chosen": scene.depends_on[slug],
        "choices": _list_choices(scene, slug, row) if len(scene.rows) <= MAX_BOXES else None,
        "dependents": scene.dependents[slug],
        "example": _show_example(scene, slug, row),
    }


def _describe_flow(scene: Scene) -> dict[str, Any]:
    document = scene.draft.document
    return {
        "step": "",
        "document": document,
        "problems": [found for found in scene.problems if not found.step],
        "input_schema": _show_json(document.get("input_schema")),
        "edge_count": sum(map(len, scene.depends_on.values())),
        "map_count": sum(row.get("type") == "map" for row in scene.rows.values()),
    }


def _show_json(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


def _list_choices(scene: Scene, slug: str, row: Row) -> list[Choice]:
    """Every other step; what waits for this one, directly or not, would close a loop."""
    after, queue = set[str](), [slug]
    while queue:
        for other in scene.dependents[queue.pop()]:
            if other not in after:
                after.add(other)
                queue.append(other)
    chosen = set(scene.depends_on[slug])
    is_full = row.get("type") == "map" and bool(chosen)
    choices = []
    for other in scene.order:
        if other == slug:
            continue
        reason = ""
        if other in after:
            reason = _("waits for %(step)s") % {"step": slug}
        elif is_full and other not in chosen:
            reason = _("a map step waits for one step only")
        choices.append(Choice(other, other in chosen, reason))
    return choices


def _show_example(scene: Scene, slug: str, row: Row) -> str:
    """The input as the step's function will get it, with dots for what nobody knows yet."""
    lines = []
    if row.get("type") == "map":
        lines += ['  "item": …,', '  "index": 0,']
    else:
        for other in scene.depends_on[slug]:
            is_list = scene.rows[other].get("type") == "map"
            lines.append(f'  "{other}": {"[…]" if is_list else "…"},')
    if row.get("params") is not None:
        lines.append(f'  "params": {json.dumps(row["params"], ensure_ascii=False)[:60]},')
    lines.append('  "run": …')
    return "\n".join(["{", *lines, "}"])
