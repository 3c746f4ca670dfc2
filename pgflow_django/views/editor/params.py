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
    default = rules.get("default")
    made.fallback = to_text(made.kind, default)
    if made.kind == "choice":
        first = made.choices[0]
        if made.fallback:
            word = _("%(value)s, as declared") % {"value": made.fallback}
            first = replace(first, word=word)
        made.choices = [replace(first, is_chosen=not made.text), *made.choices[1:]]
        if isinstance(rules.get("enum"), list) and rules["enum"] == [True, False]:
            made.choices = [
                replace(one, word={"true": _("yes"), "false": _("no")}.get(one.value, one.word))
                for one in made.choices
            ]
    return made


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
