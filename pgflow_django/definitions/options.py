"""The options of flows and steps: their names, defaults, rules and words, each stated once.

Pure: no ORM. Validation, documents and edits read these tables, and so do the CHECK constraints and
triggers, the editor's panel, ``showflow`` and the tables of the docs.

A new option is a row here, a column of both tables and what runs are pinned to, and a keyword of
the builder; ``tests/definitions/test_options.py`` names each of these that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from pgflow_django.choices import StepType
from pgflow_django.definitions.inputs import Inputs
from pgflow_django.definitions.rules import (
    SECONDS,
    Json,
    Name,
    OneOf,
    Rule,
    Text,
    WholeNumber,
)
from pgflow_django.definitions.schema_rule import JsonSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_stubs_ext import StrOrPromise

MAX_STEPS = 2_000
MAX_DEPENDENCIES = 20_000
MAX_DESCRIPTION = 10_000
#: Of a step: a note, which stands on its card too.
MAX_STEP_DESCRIPTION = 2_000

ATTEMPTS = (0, 1_000)
TIMEOUT = (1, 604_800)
DELAY = (0, 604_800)
TASKS = (1, 1_000_000)

#: pgmq caps names at 47 characters, and the pgmq queue is ``pgflow_<name>``.
MAX_QUEUE = 40
QUEUE_PATTERN = f"[a-z_][a-z0-9_]{{0,{MAX_QUEUE - 1}}}"
#: The queue of runs that their caller executes.
RESERVED_QUEUE = "in_process"
MAX_FUNCTION = 255
FUNCTION_PATTERN = f"[a-zA-Z_][a-zA-Z0-9_.]{{0,{MAX_FUNCTION - 1}}}"

#: The parts of the editor's panel, from top to bottom.
GROUPS = ("about", "function", "kind", "items", "tries", "more")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``name`` is its keyword and its column, ``key`` its name in a document.

    With the default ``None``, ``None`` passes too: the step's own slug, the flow's value, nothing.
    Where it ``may_be_empty``, ``""`` means ``None``.

    People see its ``label``; ``about`` says what it is for, ``hint`` what stands in an empty field
    that has no default, and ``group`` (one of ``GROUPS``) which part of the panel it is in.
    """

    name: str
    rule: Rule
    default: Any = None
    renamed: str | None = None
    may_be_empty: bool = False
    label: StrOrPromise = ""
    about: StrOrPromise = ""
    hint: StrOrPromise = ""
    group: str = "more"

    @property
    def key(self) -> str:
        """Its name in a flow document."""
        return self.renamed or self.name

    @property
    def code(self) -> str:
        """The code of the error about it."""
        return f"invalid_{self.name}"

    @property
    def unit(self) -> str:
        """The sign of what its number counts, where it is one that counts something."""
        return self.rule.control().unit

    def name_check(self, owner: str) -> str:
        """What the CHECK on its column is called, in the table of an ``owner``."""
        prefix = "" if self.name.startswith(f"{owner}_") else f"{owner}_"
        return f"{prefix}{self.name}_{self.rule.keeps.format(column=self.name)}"

    def fault(self, value: Any) -> str | None:
        """What is wrong with ``value``, as the end of a sentence; ``None`` when it passes."""
        if self.clean(value) is None and self.default is None:
            return None
        return self.rule.fault(value)

    def clean(self, value: Any) -> Any:
        """A value that passes, as it is stored."""
        return None if self.may_be_empty and value == "" else value


def _table(*options: Option) -> Mapping[str, Option]:
    return {option.name: option for option in options}


def _by_key(options: Mapping[str, Option]) -> Mapping[str, Option]:
    return {option.key: option for option in options.values()}


FUNCTION_NAME = Name(
    FUNCTION_PATTERN,
    "1 to 255 letters a-z, digits, underscores and dots, and begin with a letter or underscore",
    MAX_FUNCTION,
)

FLOW_OPTIONS = _table(
    Option(
        "max_attempts",
        WholeNumber(*ATTEMPTS),
        3,
        label=_("Attempts"),
        about=_("tries of a task, the first included; 0 means 1"),
        group="tries",
    ),
    Option(
        "timeout",
        WholeNumber(*TIMEOUT, SECONDS),
        30,
        label=_("Timeout"),
        about=_("for one attempt"),
        group="tries",
    ),
    Option(
        "base_delay",
        WholeNumber(*DELAY, SECONDS),
        1,
        label=_("Retry delay"),
        about=_("before the first retry; each further one waits twice as long"),
        group="tries",
    ),
    Option(
        "queue",
        Name(
            QUEUE_PATTERN,
            "1 to 40 characters a-z, 0-9 and underscore, and not begin with a digit",
            MAX_QUEUE,
            reserved=RESERVED_QUEUE,
        ),
        "default",
        label=_("Queue"),
        about=_("where its tasks wait for workers"),
        group="tries",
    ),
    Option(
        "description",
        Text(MAX_DESCRIPTION),
        "",
        label=_("Description"),
        about=_("what the flow does, and for whom"),
        hint=_("What it does, and for whom"),
        group="about",
    ),
    Option(
        "input_schema",
        JsonSchema(),
        label=_("Schema of its input"),
        about=_("a JSON Schema, which the input of each run must fit"),
        hint='{"type": "object", "properties": {}}',
    ),
)


def _own(name: str, **changes: Any) -> Option:
    """A flow's option that its steps may have for themselves; ``None``: as the flow has it."""
    return replace(FLOW_OPTIONS[name], default=None, **changes)


STEP_OPTIONS = _table(
    Option(
        "step_type",
        OneOf(tuple(StepType.values)),
        StepType.SINGLE.value,
        renamed="type",
        label=_("Runs"),
        about=_("once, or once per item of a list"),
        group="kind",
    ),
    Option(
        "initial_tasks",
        WholeNumber(*TASKS),
        label=_("Number of items"),
        about=_("of a map step; none: as many as the list has"),
        hint=_("as many as the list has"),
        group="items",
    ),
    _own("max_attempts"),
    _own("timeout"),
    _own("base_delay", group="more"),
    Option(
        "start_delay",
        WholeNumber(*DELAY, SECONDS),
        0,
        label=_("Start delay"),
        about=_("before the first attempt"),
    ),
    Option(
        "function",
        FUNCTION_NAME,
        renamed="uses",
        may_be_empty=True,
        label=_("Function"),
        about=_("the registered function that it calls; none: the one called like the step"),
        group="function",
    ),
    Option(
        "params",
        Json(),
        label=_("Constants for the function"),
        about=_("what each call finds in its input under params"),
    ),
    _own("queue", group="more"),
    replace(
        FLOW_OPTIONS["description"],
        rule=Text(MAX_STEP_DESCRIPTION),
        about=_("what the step does, and why"),
        hint=_("What it does, and why"),
    ),
    Option(
        "inputs",
        Inputs(),
        label=_("Where its input comes from"),
        about=_(
            "where the keys that its function reads come from: a step before it, item, index or "
            "run, with a JSON Pointer into it"
        ),
        hint='{"rows": "check/rows", "day": "run/day"}',
    ),
)

#: The same by their keys in a document.
FLOW_KEYS = _by_key(FLOW_OPTIONS)
STEP_KEYS = _by_key(STEP_OPTIONS)
