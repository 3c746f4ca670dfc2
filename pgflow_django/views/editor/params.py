"""The params of a step as fields, made of what its function declares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from pgflow_django.definitions.schema_paths import keys_of, required_of
from pgflow_django.definitions.schema_views import View
from pgflow_django.views.fields import Field, id_of, to_text
from pgflow_django.views.schema_fields import make_fields

#: What the name of each begins with.
PARAM = "param-"


def make_param_fields(schema: Any, value: Any) -> list[Field]:
    """The fields of a function's params; none where only JSON will do.

    An empty field stands for what the function declares: its default, or nothing.
    """
    if value is not None and not isinstance(value, dict):
        return []
    view = View.of(schema)
    keys = {name: _plain(one) for name, one in keys_of(view).items()}
    required = required_of(view)
    empty = {name: _without_default(rules) for name, rules in keys.items()}
    made = make_fields({"properties": empty}, value)
    return [
        _finish(each, name, rules, name in required)
        for each, (name, rules) in zip(made, keys.items(), strict=False)
    ]


def _finish(made: Field, name: str, rules: dict[str, Any], is_required: bool) -> Field:
    made.name, made.id, made.is_required = f"{PARAM}{name}", id_of(f"{PARAM}{name}"), is_required
    made.fallback = to_text(made.kind, rules.get("default"))
    if made.kind == "choice":
        _name_choices(made)
    return made


def _name_choices(made: Field) -> None:
    """Say yes and no in words, and what holds while nothing is chosen."""
    empty, *choices = made.choices
    if [one.value for one in choices] == ["true", "false"]:
        words = {"true": _("yes"), "false": _("no")}
        choices = [replace(one, word=words[one.value]) for one in choices]
    declared = next((one.word for one in choices if one.value == made.fallback), made.fallback)
    if declared:
        empty = replace(empty, word=_("%(value)s, as declared") % {"value": declared})
    made.choices = [replace(empty, is_chosen=not made.text), *choices]


def _plain(view: View) -> dict[str, Any]:
    """The rules of one param: of one that may be null the other type, of a box a choice."""
    found, _ = view.resolve()
    if not isinstance(found.schema, dict):
        return {}
    rules = {**found.schema, **(view.schema if isinstance(view.schema, dict) else {})}
    others = [one for one in found.choices() if one.schema != {"type": "null"}]
    if len(others) == 1:
        inner, _ = others[0].resolve()
        rules = {**rules, **inner.schema} if isinstance(inner.schema, dict) else rules
    if rules.get("type") == "boolean":
        rules = {**rules, "enum": [True, False]}
    return rules


def _without_default(rules: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rules.items() if key != "default"}
