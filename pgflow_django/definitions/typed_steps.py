"""The steps of a document with what is known of them: what each is given, reads and returns.

Pure: no ORM. Takes any list of rows; of what is malformed nothing is known.
"""

from __future__ import annotations

import json
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.inputs import MAX_INPUTS, RUN
from pgflow_django.definitions.problems import name_step
from pgflow_django.definitions.schema_views import View
from pgflow_django.definitions.schemas import NoSchemaError, read_schema
from pgflow_django.definitions.typing_rules import Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgflow_django.definitions.declared import Contracts, Declared
    from pgflow_django.definitions.schema_views import Object
    from pgflow_django.definitions.schemas import Fault
    from pgflow_django.definitions.typing_rules import Fit

ANYTHING = View.of(None)
ARRAY = View.of({"type": "array"})
_INDEX = View.of({"type": "integer", "minimum": 0})
#: Pairs of schemas that are compared for one document.
_MAX_COMPARED = 20_000


class TypedFunction:
    """What a function declares, looked at once for all steps that call it."""

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.output = View.of(declared.output)
        #: The keys that a call takes, and those that are meant; ``None`` where nothing is known.
        self.accepted = read_keys(View.of(declared.accepted))
        self.meant = read_keys(View.of(declared.input))
        #: What is wrong with params, by their JSON: large flows have many of a kind.
        self._faults: dict[str, list[Fault]] = {}

    def find_faults(self, params: Any) -> list[Fault]:
        """The places at which each call would refuse these params."""
        try:
            text = json.dumps(params)
        except (TypeError, ValueError, RecursionError):
            return self.declared.find_faults(params)
        if text not in self._faults:
            self._faults[text] = self.declared.find_faults(params)
        return self._faults[text]

    def wanted(self, name: str) -> View:
        """What is meant to stand under a key of the input."""
        return ANYTHING if self.meant is None else self.meant.property(name)


class TypedFlow:
    """A document's steps, by their slugs too."""

    def __init__(
        self, document: Mapping[str, Any], rows: Sequence[Any], contracts: Contracts
    ) -> None:
        self.slug = document.get("workflow_slug")
        self._schema = document.get("input_schema")
        self._contracts = contracts
        self._functions: dict[str, TypedFunction | None] = {}
        self._comparison = Comparison(_MAX_COMPARED)
        #: With the views themselves, whose ids are the keys.
        self._compared: dict[tuple[int, int], tuple[View, View, Fit]] = {}
        self.steps = [
            TypedStep(self, index, row) for index, row in enumerate(rows) if isinstance(row, dict)
        ]
        #: The first step of each name.
        self.by_slug: dict[str, TypedStep] = {}
        for step in self.steps:
            if isinstance(step.slug, str):
                self.by_slug.setdefault(step.slug, step)

    @cached_property
    def run(self) -> View:
        """The input of the run."""
        if not isinstance(self._schema, dict):
            return ANYTHING
        try:
            return View.of(read_schema(self._schema).schema)
        except NoSchemaError:
            return ANYTHING

    def find_function(self, name: Any) -> TypedFunction | None:
        """The function of a name, if it declares something."""
        if not isinstance(name, str):
            return None
        if name not in self._functions:
            declared = self._contracts.get(name)
            self._functions[name] = None if declared is None else TypedFunction(declared)
        return self._functions[name]

    def fits(self, source: View, target: View) -> Fit:
        """Whether one fits another; asked once for the same two."""
        key = (id(source.schema), id(target.schema))
        if key not in self._compared:
            self._compared[key] = (source, target, self._comparison.fits(source, target))
        return self._compared[key][2]


class TypedStep:
    """One step."""

    def __init__(self, flow: TypedFlow, index: int, row: dict[str, Any]) -> None:
        self.flow = flow
        self.row = row
        self.slug = row.get("slug")
        self.pointer = f"/steps/{index}"
        self.is_map = row.get("type") == "map"
        self.calls = row.get("uses") or self.slug
        self.function = flow.find_function(self.calls)
        self.sources = _read_sources(row.get("inputs"))

    @property
    def owner(self) -> str:
        """How messages call it."""
        return name_step(self.slug, self.flow.slug)

    @cached_property
    def waits(self) -> dict[str, int]:
        """The steps that it waits for, and where each stands in ``depends_on``."""
        names, known = self.row.get("depends_on"), self.flow.by_slug
        found: dict[str, int] = {}
        for at, name in enumerate(names if isinstance(names, list | tuple) else ()):
            if isinstance(name, str) and name in known and name != self.slug:
                found.setdefault(name, at)
        return found

    @cached_property
    def output(self) -> View:
        """What it returns: of a map step, the list of what its tasks return."""
        found = ANYTHING if self.function is None else self.function.output
        return found.within({"type": "array", "items": found.schema}) if self.is_map else found

    @cached_property
    def mapped(self) -> View:
        """What a map step runs over."""
        if len(self.waits) == 1:
            return self.flow.by_slug[next(iter(self.waits))].output
        return ANYTHING if self.row.get("depends_on") else self.flow.run

    @cached_property
    def item(self) -> View:
        """What each task of a map step gets."""
        # What is no list is handed to all tasks as it is, where their number is declared.
        is_list = self.row.get("initial_tasks") is None or self.fits(self.mapped, ARRAY) == "yes"
        return self.mapped.items() if is_list else ANYTHING

    @cached_property
    def own(self) -> dict[str, View]:
        """The keys of its input that nothing else can take."""
        own = {"item": self.item, "index": _INDEX} if self.is_map else {}
        return {RUN: self.flow.run, **own}

    def find_source(self, head: str) -> View | None:
        """What the first word of a source stands for."""
        if head in self.own:
            return self.own[head]
        return self.flow.by_slug[head].output if head in self.waits else None

    def fits(self, source: View, target: View) -> Fit:
        """See ``TypedFlow``."""
        return self.flow.fits(source, target)


def read_keys(view: View) -> Object | None:
    """What a schema says of the keys of an object; ``None`` where it may be something else."""
    found, is_all = view.resolve()
    if not is_all or isinstance(found.schema, bool) or found.choices():
        return None
    return found.read_object()


def _read_sources(inputs: Any) -> dict[str, str]:
    """A step's ``inputs``, as far as they are well-formed."""
    if not isinstance(inputs, dict):
        return {}
    return {
        name: source
        for name, source in islice(inputs.items(), MAX_INPUTS)
        if isinstance(name, str) and isinstance(source, str)
    }
