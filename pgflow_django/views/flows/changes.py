"""Differences of flow documents, as a drawing and as sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from pgflow_django.definitions.edits import compare
from pgflow_django.definitions.graph import topological_order
from pgflow_django.drafts import Change
from pgflow_django.drawing.canvas import find_layout, render_canvas
from pgflow_django.drawing.graph import Node
from pgflow_django.drawing.states import Labels, Status, StepState
from pgflow_django.drawing.svg import DrawOptions
from pgflow_django.views.editor.scene import find_labels
from pgflow_django.views.pieces import NOTHING

Document = Mapping[str, Any]

#: The look of a kind of change: added green, removed red, changed amber, the rest quiet.
_LOOKS: Mapping[str, Status] = {
    "added": "completed",
    "removed": "failed",
    "changed": "retrying",
    "moved": "retrying",
}
#: Characters of a value that a sentence shows.
_SHOWN = 80


def draw_changes(before: Document | None, after: Document, name: str) -> SafeString:
    """Return both states as one ``<svg>``: new, changed and removed steps in their colours."""
    rows = {row["slug"]: row for row in (before or {}).get("steps", ())}
    rows |= {row["slug"]: row for row in after.get("steps", ())}
    kinds: dict[str, str] = {}
    if before is None:
        kinds = dict.fromkeys(rows, "added")
    for change in compare(before, after) if before is not None else ():
        if change.step is not None:
            kinds.setdefault(change.step, change.kind)
    edges = {
        slug: tuple(
            d for d in dict.fromkeys(row.get("depends_on") or ()) if d in rows and d != slug
        )
        for slug, row in rows.items()
    }
    placed = set(topological_order(edges))
    nodes = tuple(
        Node(
            slug,
            # What is removed may close a cycle with what is new.
            tuple(d for d in edges[slug] if d in placed) if slug in placed else (),
            kind="map" if row.get("type") == "map" else "single",
            subtitle=row.get("uses") or "",
            description=row.get("description") or "",
        )
        for slug, row in rows.items()
    )
    states = {slug: StepState(_LOOKS.get(kinds.get(slug, ""), "waiting")) for slug in rows}
    drawing = render_canvas(
        find_layout(nodes, viewport=(900, 360)),
        _("What changes in %(flow)s") % {"flow": name},
        states=states,
        options=DrawOptions(_find_words()),
    )
    return mark_safe(drawing)  # noqa: S308 - svg.py has escaped every text


def _find_words() -> Labels:
    words = find_labels()
    statuses: dict[Status, str] = {
        "completed": _("added"),
        "failed": _("removed"),
        "retrying": _("changed"),
        "waiting": _("unchanged"),
    }
    return Labels(statuses, step=words.step, map_step=words.map_step, after=words.after)


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A difference as pages show it."""

    kind: str
    word: str
    subject: str
    option: str
    before: str
    after: str


def list_changes(changes: Iterable[Change]) -> list[ShownChange]:
    """The differences for a table."""
    words = {
        "added": _("added"),
        "removed": _("removed"),
        "changed": _("changed"),
        "moved": _("moved"),
    }
    return [
        ShownChange(
            _LOOKS.get(change.kind, "waiting"),
            words.get(change.kind, change.kind),
            change.step or _("the flow"),
            change.option or "",
            "" if change.option is None else _show(change.before),
            "" if change.option is None else _show(change.after),
        )
        for change in changes
    ]


def _show(value: Any) -> str:
    if value is None:
        return NOTHING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
