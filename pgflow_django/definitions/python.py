"""A flow document as Python code that makes the same flow."""

from __future__ import annotations

from typing import Any

from pgflow_django import jsonvalue
from pgflow_django.definitions.graph import topological_order
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.definitions.shape import Document

_WIDTH = 100


def export_python(document: Document) -> str:
    """Python source of calls of ``flow_builder``: run on an empty site, it makes this flow.

    Steps come in an order in which each finds its dependencies; their own order is kept otherwise.
    """
    slug = document["workflow_slug"]
    rows = {row["slug"]: row for row in document.get("steps", ())}
    order = topological_order({name: row.get("depends_on", []) for name, row in rows.items()})
    lines = [
        f'"""The flow "{slug}", as it was drawn."""',
        "",
        "from pgflow_django import flow_builder",
        "",
        _call("create_flow", [slug], _options(document, FLOW_OPTIONS)),
    ]
    for name in order:
        row = rows[name]
        arguments = [slug, name, list(row.get("depends_on", []))]
        lines.append(_call("add_step", arguments, _options(row, STEP_OPTIONS)))
    return "\n".join(lines) + "\n"


def _options(row: dict[str, Any], options: Any) -> dict[str, Any]:
    return {
        option.name: row[option.key]
        for option in options.values()
        if option.key in row and not jsonvalue.same(row[option.key], option.default)
    }


def _call(function: str, arguments: list[Any], options: dict[str, Any]) -> str:
    parts = [*map(repr, arguments), *(f"{name}={value!r}" for name, value in options.items())]
    line = f"flow_builder.{function}({', '.join(parts)})"
    if len(line) <= _WIDTH:
        return line
    return f"flow_builder.{function}(\n" + "".join(f"    {part},\n" for part in parts) + ")"
