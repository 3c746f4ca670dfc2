"""The tables in the docs of options and of operations, made from those of the package.

``manage.py doctables`` writes them between their marks; a test finds those that are old.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from django.db import connection

from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.models import Workflow, WorkflowStep, WorkflowVersionStep
from project.settings import BASE_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from django.db.models import Model
    from pydantic import BaseModel

    from pgflow_django.definitions.options import Option

DOCS = BASE_DIR / "docs"
BEGIN = "<!-- {name}: everything down to the end mark is written by manage.py doctables -->"
END = "<!-- end of {name} -->"

#: The errors about the options of each table.
_ERRORS = {"flow": "InvalidWorkflow", "step": "InvalidStepOption"}


def render_page(page: str) -> str:
    """The text of a page of the docs as it should be."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, make in TABLES[page].items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, found, rest = text.partition(begin)
        _, is_closed, after = rest.partition(end)
        if not found or not is_closed:
            raise ValueError(f"docs/{page} has no place for {name}: {begin} … {end}")
        text = before + "\n".join([begin, "", *make(), "", end]) + after
    return text


def _owned() -> Iterator[dict[str, Option]]:
    """Every option once, by its owners."""
    tables = {"flow": FLOW_OPTIONS, "step": STEP_OPTIONS}
    for name in dict.fromkeys([*FLOW_OPTIONS, *STEP_OPTIONS]):
        yield {owner: table[name] for owner, table in tables.items() if name in table}


def _by_rule(owned: dict[str, Option]) -> list[tuple[str, Option]]:
    """The owners of an option, together where the same is asked of its value, and their option."""
    found: dict[Any, list[str]] = {}
    for owner, option in owned.items():
        found.setdefault(option.rule, []).append(owner)
    return [(", ".join(owners), owned[owners[0]]) for owners in found.values()]


def _list_options() -> Iterator[str]:
    rows = [
        (f"`{option.name}`", owners, _show_default(option), _show_rule(option), option.about)
        for owned in _owned()
        for owners, option in _by_rule(owned)
    ]
    return _draw(("Option", "Of", "Default", "Value", "Meaning"), rows)


def _list_codes() -> Iterator[str]:
    rows = []
    for owned in _owned():
        first, *others = _by_rule(owned)
        rule = _show_rule(first[1]) + "".join(
            f", of a {owner} {_show_rule(option)}" for owner, option in others
        )
        errors = ", ".join(f"`{_ERRORS[owner]}`" for owner in owned)
        rows.append((f"`{first[1].code}`", errors, f"`{first[1].name}` must be {rule}"))
    return _draw(("Code", "Exception", "What"), rows)


def _list_columns(
    model: type[Model], options: Mapping[str, Option], owner: str = ""
) -> Iterator[str]:
    """The columns of the options in a table; the ``owner`` of the table has their constraints."""
    columns = {field.name: field for field in model._meta.concrete_fields}  # noqa: SLF001 - Django's
    rows = []
    for name, option in options.items():
        null = ", null" if columns[name].null else ""
        row = [f"`{name}`", f"{columns[name].db_type(connection)}{null}"]
        if owner:
            has_check = option.rule.check(name) is not None
            row.append(f"`{option.name_check(owner)}`" if has_check else "")
        rows.append(row)
    return _draw(["Column", "Type", *(["Constraint"] if owner else [])], rows)


def _list_operations() -> Iterator[str]:
    rows = [
        (
            f"`{each.name}({_show_arguments(each.arguments)})`",
            each.summary,
            f"`{each.access}`",
            f"`{each.method} {each.path}`",
        )
        for each in OPERATIONS.values()
    ]
    return _draw(("Tool", "What it does", "Access", "Over HTTP"), rows)


def _show_arguments(model: type[BaseModel]) -> str:
    shown = []
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else f"={json.dumps(field.default)}"
        shown.append(f"{field.alias or name}{default}")
    return ", ".join(shown)


def _show_default(option: Option) -> str:
    if option.default is None:
        return "none"
    return f"`{option.default}`" if option.default != "" else "empty"


def _show_rule(option: Option) -> str:
    return re.sub(r'"(\w+)"', r"`\1`", option.rule.describe())


def _draw(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


#: The tables of each page by the name in their marks.
TABLES: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "agents.md": {"operations": _list_operations},
    "flows.md": {"options": _list_options},
    "errors.md": {"codes of options": _list_codes},
    "sql.md": {
        "options of flows": lambda: _list_columns(Workflow, FLOW_OPTIONS, "workflow"),
        "options of steps": lambda: _list_columns(WorkflowStep, STEP_OPTIONS, "step"),
        "pinned options": lambda: _list_columns(WorkflowVersionStep, STEP_OPTIONS),
    },
}
