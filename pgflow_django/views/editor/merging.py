"""What forms post of a step's inputs and params, name by name, put into what the step has.

A form may post all of it, as one without scripts does, or the one field that was changed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from pgflow_django.definitions.inputs import names_step, source_fault
from pgflow_django.definitions.schemas import unescape_token
from pgflow_django.definitions.shape import function_of
from pgflow_django.views.editor.functions import describe_function
from pgflow_django.views.editor.params import PARAM, make_param_fields
from pgflow_django.views.fields import read_json

#: What the names of controls begin with: of a source, and of the path into it.
INPUT, PATH = "input-", "path-"
#: The controls of a source for a name that nobody declares.
NEW_NAME, NEW_SOURCE = "new-input", "new-source"
#: What a button posts that sets or takes away sources: an object of names.
SET = "set"

Row = Mapping[str, Any]


def read_posted_inputs(post: QueryDict, row: Row, errors: dict[str, str]) -> dict[str, str] | None:
    """The sources that a step has with what was posted; ``None`` where nothing was.

    Those that are none are left out and told in ``errors``.
    """
    present = _present(row)
    names = {
        name.removeprefix(prefix)
        for name in post
        for prefix in (INPUT, PATH)
        if name.startswith(prefix)
    }
    if not names:
        return None
    new = dict(present)
    for name in sorted(names):
        source = _read_source(post, name, present.get(name, ""))
        if source and (fault := source_fault(source)):
            errors[f"{INPUT}{name}"] = f"{name} {fault}."
        elif source:
            new[name] = source
        else:
            new.pop(name, None)
    return new


def _read_source(post: QueryDict, name: str, present: str) -> str:
    """A source of what was chosen and of the path: a new choice begins without the old path."""
    before, _slash, path = present.partition("/")
    head, slash, part = str(post.get(f"{INPUT}{name}", present)).strip().partition("/")
    if slash:
        before_path, path = path, part
    else:
        before_path, path = path, path if head == before else ""
    typed = str(post.get(f"{PATH}{name}", before_path)).removeprefix("/")
    if typed != before_path:
        path = typed
    return f"{head}/{path}" if head and path else head


def read_set_inputs(post: QueryDict, row: Row) -> tuple[dict[str, str], dict[str, str]]:
    """The sources that a step has after a button, and what is wrong with what was typed."""
    new, errors = _present(row), dict[str, str]()
    if SET in post:
        try:
            values = read_json(str(post[SET]))
        except ValueError:
            values = None
        if not isinstance(values, dict) or not all(
            isinstance(one, str | None) for one in values.values()
        ):
            return new, {SET: _("This button is not known here. Reload the page.")}
        changed: dict[str, Any] = {**new, **values}
        return {name: source for name, source in changed.items() if source is not None}, {}
    name, source = (str(post.get(field, "")).strip() for field in (NEW_NAME, NEW_SOURCE))
    if not name:
        errors[NEW_NAME] = _("Write the key under which the function reads it.")
    elif name in new:
        errors[NEW_NAME] = _("There is a source for %(name)s already.") % {"name": name}
    if not source:
        errors[NEW_SOURCE] = _("Choose where it comes from.")
    return {**new, name: source}, errors


def wait_for_sources(
    new: Mapping[str, str], row: Row, steps: Collection[str], waits: Sequence[str], *, is_map: bool
) -> tuple[dict[str, str], list[str]]:
    """Sources and dependencies that agree, all else as it was.

    A source that was chosen just now adds its step; one of a step that is no longer waited for
    goes with it.
    """
    present, before = _present(row), row.get("depends_on") or ()
    kept, needed = dict[str, str](), list(waits)
    for name, source in new.items():
        head = source.partition("/")[0]
        if head in steps and head not in needed and names_step(source, head, is_map=is_map):
            if present.get(name) == source and head in before:
                continue
            needed.append(head)
        kept[name] = source
    return kept, needed


def merge_params(post: QueryDict, row: Row, values: dict[str, Any]) -> dict[str, str]:
    """Put the params that were posted one by one into ``values``; return what is wrong with them.

    Those count that say something else than the step has, above the JSON that stands beside them.
    """
    base, present = values.get("params", row.get("params")), row.get("params")
    if not any(name.startswith(PARAM) for name in post):
        return {}
    if base is not None and not isinstance(base, dict):
        return {}
    params, errors, is_changed = dict(base or {}), dict[str, str](), False
    for each in make_param_fields(describe_function(function_of(row)).params, present):
        text = str(post.get(each.name, each.text)).replace("\r\n", "\n")
        if text == each.text:
            continue
        key, is_changed = each.name.removeprefix(PARAM), True
        if not (text if each.kind == "string" else text.strip()):
            params.pop(key, None)
            continue
        try:
            params[key] = each.read(text)
        except ValueError as error:
            errors[each.name] = str(error)
    if is_changed:
        values["params"] = params or None
    return errors


def field_at(pointer: str, step: int, post: QueryDict) -> str:
    """The control of a step's form that a pointer into the document is about; ``""``: none."""
    match = re.fullmatch(rf"/steps/{step}/(inputs|params)/([^/]+)(?:/.*)?", pointer)
    if not match:
        return ""
    name = unescape_token(match[2])
    prefixes = (INPUT, PATH) if match[1] == "inputs" else (PARAM,)
    if any(f"{prefix}{name}" in post for prefix in prefixes):
        return f"{prefixes[0]}{name}"
    return ""


def _present(row: Row) -> dict[str, str]:
    inputs = row.get("inputs")
    return dict(inputs) if isinstance(inputs, dict) else {}
