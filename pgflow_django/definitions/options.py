"""The options of flows and steps: their names, defaults and rules, each stated once.

Pure: no ORM. ``flow_builder``, flow documents and the CHECK constraints all read these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgflow_django.choices import StepType
from pgflow_django.definitions.rules import Json, Name, OneOf, Rule, Text, WholeNumber

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_STEPS = 2_000
MAX_DEPENDENCIES = 20_000
MAX_DESCRIPTION = 10_000

ATTEMPTS = (0, 1_000)
TIMEOUT = (1, 604_800)
DELAY = (0, 604_800)
TASKS = (1, 1_000_000)

#: pgmq caps names at 47 characters, and the pgmq queue is ``pgflow_<name>``.
QUEUE_PATTERN = "[a-z_][a-z0-9_]{0,39}"
#: The queue of runs that their caller executes.
RESERVED_QUEUE = "in_process"
FUNCTION_PATTERN = "[a-zA-Z_][a-zA-Z0-9_.]{0,254}"


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``name`` is its keyword and its column, ``key`` its name in a document.

    With the default ``None``, ``None`` passes too: the step's own slug, the flow's value, nothing.
    Where it ``may_be_empty``, ``""`` means ``None``.
    """

    name: str
    rule: Rule
    default: Any = None
    renamed: str | None = None
    may_be_empty: bool = False

    @property
    def key(self) -> str:
        """Its name in a flow document."""
        return self.renamed or self.name

    @property
    def code(self) -> str:
        """The code of the error about it."""
        return f"invalid_{self.name}"

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


_ATTEMPTS = WholeNumber(*ATTEMPTS)
_TIMEOUT = WholeNumber(*TIMEOUT, "(seconds)")
_DELAY = WholeNumber(*DELAY, "(seconds)")
_QUEUE = Name(
    QUEUE_PATTERN,
    "1 to 40 characters a-z, 0-9 and underscore, and not begin with a digit",
    reserved=RESERVED_QUEUE,
)
FUNCTION_NAME = Name(
    FUNCTION_PATTERN,
    "1 to 255 letters a-z, digits, underscores and dots, and begin with a letter or underscore",
)

FLOW_OPTIONS = _table(
    Option("max_attempts", _ATTEMPTS, 3),
    Option("timeout", _TIMEOUT, 30),
    Option("base_delay", _DELAY, 1),
    Option("queue", _QUEUE, "default"),
    Option("description", Text(MAX_DESCRIPTION), ""),
    Option("input_schema", Json(must_be_object=True)),
)

STEP_OPTIONS = _table(
    Option("step_type", OneOf(tuple(StepType.values)), StepType.SINGLE.value, renamed="type"),
    Option("initial_tasks", WholeNumber(*TASKS)),
    Option("max_attempts", _ATTEMPTS),
    Option("timeout", _TIMEOUT),
    Option("base_delay", _DELAY),
    Option("start_delay", _DELAY, 0),
    Option("function", FUNCTION_NAME, renamed="uses", may_be_empty=True),
    Option("params", Json()),
    Option("queue", _QUEUE),
)
