"""The form below the list that adds a step; it needs no JavaScript."""

from __future__ import annotations

from django.utils.translation import gettext as _

from pgflow_django.definitions.graph import MAX_SLUG_LENGTH
from pgflow_django.definitions.rules import Control
from pgflow_django.views.editor.forms import Typed
from pgflow_django.views.editor.panel import name_types
from pgflow_django.views.editor.scene import Scene
from pgflow_django.views.fields import Choice, Field

#: The names of its fields.
ADDED = ("slug", "uses", "type", "depends_on")


def make_add_fields(scene: Scene, typed: Typed | None = None) -> list[Field]:
    """The fields of a new step, with what was typed into them where that was refused."""
    functions = [Choice(name, name) for name in scene.function_names]
    steps = [Choice(slug, slug) for slug in scene.order]
    types = [Choice(value, word) for value, word in name_types().items()]
    fields = [
        _make("slug", _("New step"), hint=_("its name")),
        _make("uses", _("Function"), [Choice("", _("the one called like the step")), *functions]),
        _make("type", _("Runs"), types),
        _make("depends_on", _("Waits for"), [Choice("", _("nothing")), *steps]),
    ]
    if typed:
        for made in fields:
            typed.fill(made)
    return fields


def _make(name: str, label: str, choices: list[Choice] | None = None, hint: str = "") -> Field:
    control = Control("choice") if choices else Control("name", max_length=MAX_SLUG_LENGTH)
    return Field(name, control, label, f"add-{name}", hint=hint, choices=choices or [])
