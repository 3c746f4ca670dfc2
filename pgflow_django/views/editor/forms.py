"""From what a form posts to the arguments of an operation on a draft."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from pgflow_django.definitions.edits.copies import read_pasted
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS, Option
from pgflow_django.definitions.shape import function_of
from pgflow_django.jsonvalue import same
from pgflow_django.views.editor.merging import (
    merge_params,
    read_posted_inputs,
    read_set_inputs,
    wait_for_sources,
)
from pgflow_django.views.fields import Field, read_json, read_option

Arguments = dict[str, Any]


@dataclass
class FormRefused(Exception):
    """What somebody typed is no value of its field: what is wrong, by field."""

    errors: Mapping[str, str]

    def __str__(self) -> str:
        return tell(self.errors)


def read_version(text: str) -> int | None:
    """The version of a draft that a page has shown; ``None`` where the text is none."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def tell(errors: Mapping[str, str]) -> str:
    """What is wrong with a form in one sentence; what stands beside its fields says the rest."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    return ngettext(
        "Nothing is saved: %(count)s field is to be corrected.",
        "Nothing is saved: %(count)s fields are to be corrected.",
        len(errors),
    ) % {"count": len(errors)}


@dataclass(slots=True)
class Asked:
    """What a form asks for: one operation, or none where it changes nothing.

    ``errors`` are what is wrong with fields that the arguments therefore lack.
    """

    op: str
    arguments: Arguments
    errors: dict[str, str] = field(default_factory=dict)
    is_change: bool = True


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in a form that was refused, and what is wrong with it by field."""

    post: QueryDict
    errors: Mapping[str, str]

    @property
    def is_whole_form(self) -> bool:
        """Whether it was the form of the panel."""
        op = _text(self.post, "op")
        return op.startswith("save_") or op == "update_step"

    def fill(self, made: Field) -> None:
        """Let a field have what was typed into it, and what is wrong with that."""
        if made.name in self.post:
            made.choose(_text(self.post, made.name).replace("\r\n", "\n"))
        made.error = self.errors.get(made.name, "")


def read_fields(
    post: QueryDict, fields: Mapping[str, Option], errors: dict[str, str] | None = None
) -> Arguments:
    """The values of the fields that are in ``post``; an empty field stands for the default.

    JSON that is none is left out and told in ``errors``; without these, ``FormRefused`` is raised.
    Other bad values pass as they are: the operation refuses them and says why.
    """
    values, wrong = {}, {} if errors is None else errors
    for key, option in fields.items():
        if key in post:
            try:
                values[key] = read_option(option, _text(post, key))
            except ValueError as error:
                wrong[key] = str(error)
    if wrong and errors is None:
        raise FormRefused(wrong)
    return values


def _text(post: QueryDict, name: str) -> str:
    return str(post.get(name, ""))


def read_names(data: QueryDict, name: str) -> list[str]:
    """The steps that a field names, once each: one in a value, or several with spaces between."""
    return list(dict.fromkeys(slug for text in data.getlist(name) for slug in text.split()))


def _read_step(post: QueryDict) -> Arguments:
    names = read_names(post, "step")
    return {"step": names[0] if len(names) == 1 else names}


def _read_edge(post: QueryDict) -> Arguments:
    return {"source": _text(post, "source"), "target": _text(post, "target")}


def _read_new_step(post: QueryDict) -> Arguments:
    names = ("slug", "uses", "type")
    return {name: text for name in names if (text := _text(post, name).strip())}


def read_dependencies(post: QueryDict) -> list[str] | None:
    """The steps that a form names to wait for; ``None`` where it has no such field."""
    if "depends_on" not in post:
        return None
    texts = post.getlist("depends_on")
    return list(dict.fromkeys(name for text in texts for name in text.replace(",", " ").split()))


def _read_add_step(post: QueryDict) -> Arguments:
    arguments = _read_new_step(post)
    if dependencies := read_dependencies(post):
        arguments["depends_on"] = dependencies
    return arguments


def read_step_fields(post: QueryDict, errors: dict[str, str] | None = None) -> Arguments:
    """The options of a step, and what it waits for, as far as they are in ``post``."""
    fields = read_fields(post, STEP_KEYS, errors)
    dependencies = read_dependencies(post)
    return fields if dependencies is None else {**fields, "depends_on": dependencies}


def _read_restore(post: QueryDict) -> Arguments:
    return {"seq": read_version(_text(post, "seq"))}


_READERS: dict[str, Callable[[QueryDict], Arguments]] = {
    "add_step": _read_add_step,
    "update_step": lambda post: {**_read_step(post), **read_step_fields(post)},
    "rename_step": lambda post: {**_read_step(post), "to": _text(post, "to").strip()},
    "delete_step": _read_step,
    "add_edge": _read_edge,
    "delete_edge": _read_edge,
    "insert_on_edge": lambda post: {**_read_edge(post), **_read_new_step(post)},
    "duplicate": _read_step,
    "set_flow": lambda post: read_fields(post, FLOW_KEYS),
    "undo": lambda _post: {},
    "redo": lambda _post: {},
    "restore": _read_restore,
}


def read_operation(post: QueryDict, document: Mapping[str, Any]) -> Asked:
    """The operation that a form asks for.

    ``save_step`` and ``save_flow`` are whole forms: only what differs from ``document`` counts. A
    one-click fix posts its arguments as JSON. Raises ``FormRefused``.
    """
    op = _text(post, "op")
    if op == "save_step":
        return _read_changed_step(post, document)
    if op == "save_inputs":
        return _read_set_inputs(post, document)
    if op == "save_flow":
        errors: dict[str, str] = {}
        values = read_fields(post, FLOW_KEYS, errors)
        changed = _find_changes(values, document, FLOW_KEYS)
        return Asked("set_flow", changed, errors, is_change=bool(changed))
    if op == "paste":
        return Asked("paste", _read_paste(post, document))
    if op == "fix":
        return _read_fix(post)
    if op not in _READERS:
        told = _("This page does not know the operation “%(op)s”.") % {"op": op}
        raise FormRefused({"op": told})
    return Asked(op, _READERS[op](post))


def _read_paste(post: QueryDict, document: Mapping[str, Any]) -> Arguments:
    """Steps as JSON. They begin behind the selected step, unless they are copies of it."""
    try:
        steps = read_pasted(read_json(_text(post, "text").strip() or "null"))
    except ValueError as error:
        raise FormRefused({"text": str(error)}) from error
    selected = read_names(post, "selected")
    present = [row for row in document.get("steps", ()) if [row["slug"]] == selected]
    if present and not any(_is_alike(row, present[0]) for row in steps):
        return {"steps": steps, "after": selected[0]}
    return {"steps": steps}


def _is_alike(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two steps do the same, whatever they are called and wait for."""
    return function_of(row) == function_of(other) and all(
        same(row.get(key), other.get(key)) for key in STEP_KEYS if key != "uses"
    )


def _read_fix(post: QueryDict) -> Asked:
    op = _text(post, "fix")
    try:
        arguments = read_json(_text(post, "arguments").strip() or "null")
    except ValueError as error:
        raise FormRefused({"fix": str(error)}) from error
    if op not in {*_READERS, "patch"} or not isinstance(arguments, dict):
        raise FormRefused({"fix": _("This fix is not known here. Reload the page.")})
    return Asked(op, arguments)


def _read_changed_step(post: QueryDict, document: Mapping[str, Any]) -> Asked:
    slug, to = _text(post, "step"), _text(post, "slug").strip()
    row = _find_row(document, slug)
    errors: dict[str, str] = {}
    values = read_step_fields(post, errors)
    errors |= merge_params(post, row, values)
    values = _with_sources(read_posted_inputs(post, row, errors), row, document, values)
    changed = _find_changes(values, row, STEP_KEYS)
    if "slug" not in post or to == slug:
        return Asked("update_step", {"step": slug, **changed}, errors, is_change=bool(changed))
    if changed:
        return Asked("update_step", {"step": slug, "to": to, **changed}, errors)
    return Asked("rename_step", {"step": slug, "to": to}, errors)


def _read_set_inputs(post: QueryDict, document: Mapping[str, Any]) -> Asked:
    """One source more, or one set or taken away by a button."""
    slug = _text(post, "step")
    row = _find_row(document, slug)
    inputs, errors = read_set_inputs(post, row)
    changed = _find_changes(_with_sources(inputs, row, document, {}), row, STEP_KEYS)
    is_change = bool(changed) and not errors
    return Asked("update_step", {"step": slug, **changed}, errors, is_change=is_change)


def _find_row(document: Mapping[str, Any], slug: str) -> Mapping[str, Any]:
    """A step of a document; an empty one where there is none."""
    return next((row for row in document.get("steps", ()) if row.get("slug") == slug), {})


def _with_sources(
    inputs: dict[str, str] | None,
    row: Mapping[str, Any],
    document: Mapping[str, Any],
    values: Arguments,
) -> Arguments:
    """The values of a form with these sources, and with the lines that they need."""
    if inputs is None:
        return values
    waits = values.get("depends_on", row.get("depends_on") or [])
    inputs, needed = wait_for_sources(
        inputs,
        row,
        {other["slug"] for other in document["steps"]},
        waits,
        is_map=values.get("type", row.get("type")) == "map",
    )
    return {**values, "depends_on": needed, "inputs": inputs or None}


def _find_changes(
    values: Arguments, present: Mapping[str, Any], fields: Mapping[str, Option]
) -> Arguments:
    changed = {}
    for key, value in values.items():
        option = fields.get(key)
        before = present.get(key, option.default if option else [])
        is_same = sorted(before) == sorted(value) if key == "depends_on" else same(before, value)
        if not is_same:
            changed[key] = value
    return changed
