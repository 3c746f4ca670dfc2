"""A flow's definition in memory, and its shape as a document. Pure: no ORM."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from pgflow_django import jsonvalue
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.definitions.rules import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgflow_django.definitions.options import Option

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """A step: its options by column name, and the steps it waits for by their position."""

    slug: str
    depends_on: tuple[str, ...]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FlowDefinition:
    """A flow: its options by column name, and its steps by ``step_index``."""

    slug: str
    options: dict[str, Any]
    steps: tuple[StepDefinition, ...]


def read_document(document: Mapping[str, Any]) -> FlowDefinition:
    """The definition that a valid flow document describes, defaults filled in."""
    rows = document.get("steps", ())
    position = {row["slug"]: index for index, row in enumerate(rows)}
    return FlowDefinition(
        slug=document["workflow_slug"],
        options=_read_options(FLOW_OPTIONS, document),
        steps=tuple(
            StepDefinition(
                slug=row["slug"],
                depends_on=tuple(sorted(row.get("depends_on", ()), key=position.__getitem__)),
                options=_read_options(STEP_OPTIONS, row),
            )
            for row in rows
        ),
    )


def write_document(definition: FlowDefinition) -> Document:
    """The shortest document of ``definition``: what equals its default is left out."""
    return {
        "workflow_slug": definition.slug,
        **_write_options(FLOW_OPTIONS, definition.options),
        "steps": [
            {
                "slug": step.slug,
                **({"depends_on": list(step.depends_on)} if step.depends_on else {}),
                **_write_options(STEP_OPTIONS, step.options),
            }
            for step in definition.steps
        ],
    }


def resolve(definition: FlowDefinition) -> FlowDefinition:
    """The definition as runs use it: each step with the flow's values for what it leaves out.

    Of the flow itself there is nothing else. SQL's ``pin_version`` does the same.
    """
    steps = []
    for step in definition.steps:
        options = {
            name: definition.options[name] if value is None and name in FLOW_OPTIONS else value
            for name, value in step.options.items()
        }
        options["max_attempts"] = max(options["max_attempts"], 1)
        options["function"] = options["function"] or step.slug
        steps.append(replace(step, options=options))
    return FlowDefinition(definition.slug, defaults_of(FLOW_OPTIONS), tuple(steps))


def defaults_of(options: Mapping[str, Option]) -> dict[str, Any]:
    """The default of each option of a table."""
    return {name: option.default for name, option in options.items()}


def function_of(row: Mapping[str, Any]) -> str:
    """The name of the function that a step calls: the one that it names, or else its own slug.

    ``row`` is a step of a document or of a table, which have different names for both.
    """
    named, slug = ("uses", "slug") if "slug" in row else ("function", "step_slug")
    function: str = row.get(named) or row[slug]
    return function


def canonical(value: FlowDefinition | StepDefinition) -> str:
    """Text that two definitions share exactly when they are the same (in Python ``1 == True``)."""
    return json.dumps(value, default=_values, sort_keys=True, separators=(",", ":"))


def _values(definition: FlowDefinition | StepDefinition) -> list[Any]:
    return [getattr(definition, name) for name in _NAMES[type(definition)]]


_NAMES = {kind: [field.name for field in fields(kind)] for kind in (FlowDefinition, StepDefinition)}


def fingerprint(document: Document) -> str:
    """Hash of a document: the same for the same definition, whatever the order of its keys.

    And in every release: an option that one adds counts only where it is not the default. Else a
    new release would take every stored flow for another one, and beside an older one rewrite it at
    each start.
    """
    definition = read_document(document)
    _leave_out(FLOW_OPTIONS, _FIRST_FLOW_OPTIONS, definition.options)
    for step in definition.steps:
        _leave_out(STEP_OPTIONS, _FIRST_STEP_OPTIONS, step.options)
    return hashlib.sha256(canonical(definition).encode()).hexdigest()


#: The options of the first release, which fingerprints hold whatever their values. Never changes.
_FIRST_FLOW_OPTIONS = frozenset(
    {"max_attempts", "timeout", "base_delay", "queue", "description", "input_schema"}
)
_FIRST_STEP_OPTIONS = frozenset(
    {"step_type", "initial_tasks", "max_attempts", "timeout", "base_delay", "start_delay"}
    | {"function", "params", "queue"}
)


def _leave_out(
    options: Mapping[str, Option], first: frozenset[str], values: dict[str, Any]
) -> None:
    """Take later options out of the values that are their defaults."""
    for name in options.keys() - first:
        if jsonvalue.same(values[name], options[name].default):
            del values[name]


def clean_options(options: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Valid values by name, as the database will give them back: lists for tuples, and so on."""
    cleaned = {name: option.clean(values[name]) for name, option in options.items()}
    for name, option in options.items():
        if isinstance(option.rule, Json):
            text = jsonvalue.encode(cleaned[name], subject=name, not_json=ValueError)
            cleaned[name] = json.loads(text)
    return cleaned


def _read_options(options: Mapping[str, Option], row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row.get(option.key, option.default) for name, option in options.items()}
    return clean_options(options, values)


def _write_options(options: Mapping[str, Option], values: Mapping[str, Any]) -> Document:
    return {
        option.key: values[name]
        for name, option in options.items()
        if not jsonvalue.same(values[name], option.default)
    }
