"""What a new name of a step would break, told before it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from pgflow_django.views.editor.scene import Scene

_MAX_TOLD = 3


def tell_readers(scene: Scene, slug: str) -> str:
    """Which of the steps that wait for it read it by its name, or may; ``""`` for none."""
    told = []
    for other in scene.dependents[slug]:
        row, function = scene.rows[other], scene.function_of(other)
        if row.get("type") == "map" or slug in (row.get("inputs") or {}):
            continue
        words = {"step": other, "name": slug}
        if slug in {one.name for one in function.needs}:
            told.append(_('%(step)s reads input["%(name)s"]') % words)
        elif not function.declares_input:
            told.append(_('%(step)s declares nothing and may read input["%(name)s"]') % words)
    if not told:
        return ""
    rest = [_("%(count)s more") % {"count": len(told) - _MAX_TOLD}] if told[_MAX_TOLD:] else []
    return _("Before you rename it: %(steps)s.") % {"steps": "; ".join([*told[:_MAX_TOLD], *rest])}
