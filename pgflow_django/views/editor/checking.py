"""Sources and params that a form sets are looked at before they are stored.

A draft may hold what breaks the contracts of functions, since it is filled in bit by bit. What
somebody chooses or types just now is refused beside its field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.http import QueryDict

from pgflow_django.definitions.edits import apply
from pgflow_django.definitions.schemas import escape_token
from pgflow_django.exceptions import EditRefused
from pgflow_django.flow_builder import validate_flow
from pgflow_django.jsonvalue import same
from pgflow_django.registry import registry
from pgflow_django.views.editor.forms import Asked
from pgflow_django.views.editor.merging import INPUT, NEW_NAME, NEW_SOURCE
from pgflow_django.views.editor.params import PARAM

#: The forms that have fields for them; all else is checked when it is published.
_FORMS = {"save_step", "save_inputs"}
_CODES = {"type_mismatch", "invalid_params"}


def find_broken(post: QueryDict, document: Mapping[str, Any], asked: Asked) -> dict[str, str]:
    """What of an edit breaks what its function declares, by the fields that set it."""
    slugs = [row["slug"] for row in document.get("steps", ())]
    if post.get("op") not in _FORMS or asked.arguments.get("step") not in slugs:
        return {}
    index = slugs.index(asked.arguments["step"])
    fields = dict(_list_changed(post, document["steps"][index], asked.arguments, f"/steps/{index}"))
    if not fields:
        return {}
    try:
        edited = apply(dict(document), asked.op, asked.arguments, functions=registry.names())
    except EditRefused:
        return {}  # the edit itself will say so
    broken: dict[str, str] = {}
    for problem in validate_flow(edited.document):
        place = "/".join(problem.pointer.split("/")[:5])
        if problem.code in _CODES and place in fields:
            broken.setdefault(fields[place], problem.message)
    return broken


def _list_changed(
    post: QueryDict, row: Mapping[str, Any], new: Mapping[str, Any], pointer: str
) -> Iterator[tuple[str, str]]:
    """The places of a step that an edit sets, each with the field that sets it."""
    present, inputs = row.get("inputs") or {}, new.get("inputs") or {}
    if isinstance(inputs, dict) and isinstance(present, dict):  # else the edit itself will say so
        for name, source in inputs.items():
            if present.get(name) != source:
                is_new = post.get(NEW_NAME) == name
                field = NEW_SOURCE if is_new else f"{INPUT}{name}"
                yield f"{pointer}/inputs/{escape_token(name)}", field
    before, params = row.get("params") or {}, new.get("params") or {}
    if isinstance(params, dict) and isinstance(before, dict):
        for name, value in params.items():
            field = f"{PARAM}{name}"
            if field in post and not same(before.get(name), value):
                yield f"{pointer}/params/{escape_token(name)}", field
