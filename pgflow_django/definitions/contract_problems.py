"""Whether steps fit together by what their functions declare: params, types, keys that are missing.

Pure: no ORM. Only what is certain to fail is an error; of functions that declare nothing, nothing
is said.
"""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.inputs import MAX_INPUTS, RUN, read_source
from pgflow_django.definitions.options import FLOW_KEYS, MAX_STEPS, STEP_KEYS
from pgflow_django.definitions.problems import Problem, name_step, say
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.schema_views import View
from pgflow_django.definitions.schema_words import say_type
from pgflow_django.definitions.schemas import escape_token
from pgflow_django.definitions.typing_rules import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pgflow_django.definitions.declared import Contracts, Declared
    from pgflow_django.definitions.problems import Patch
    from pgflow_django.definitions.schema_views import Object
    from pgflow_django.definitions.typing_rules import Fit

#: Pairs of schemas that are compared for one document.
_MAX_COMPARED = 100_000
_ANYTHING = View.of(None)
_ARRAY = View.of({"type": "array"})
_INDEX = View.of({"type": "integer", "minimum": 0})


def contract_problems(document: Mapping[str, Any], contracts: Contracts) -> Iterator[Problem]:
    """What of a document breaks the ``contracts`` of the functions that its steps call."""
    rows = document.get("steps")
    if isinstance(rows, list | tuple) and len(rows) <= MAX_STEPS:
        flow = _Flow(document, rows, contracts)
        for step in flow.steps:
            yield from step.problems()


class _Flow:
    """The steps of a document, and what is known of what they return."""

    def __init__(
        self, document: Mapping[str, Any], rows: Sequence[Any], contracts: Contracts
    ) -> None:
        self.document = document
        self.slug = document.get("workflow_slug")
        self.contracts = contracts
        self.steps = [
            _Step(self, index, row) for index, row in enumerate(rows) if isinstance(row, dict)
        ]
        self._comparison = Comparison(_MAX_COMPARED)
        #: With the views themselves, whose ids are the keys.
        self._compared: dict[tuple[int, int], tuple[View, View, Fit]] = {}

    @cached_property
    def by_slug(self) -> dict[str, _Step]:
        """The first step of each name."""
        found: dict[str, _Step] = {}
        for step in self.steps:
            if isinstance(step.slug, str):
                found.setdefault(step.slug, step)
        return found

    @cached_property
    def run(self) -> View:
        """The input of the run."""
        schema = self.document.get("input_schema")
        is_schema = isinstance(schema, dict) and not FLOW_KEYS["input_schema"].fault(schema)
        return View.of(schema if is_schema else None)

    def fits(self, source: View, target: View) -> Fit:
        """Whether one fits another; asked once for the same two."""
        key = (id(source.schema), id(target.schema))
        if key not in self._compared:
            self._compared[key] = (source, target, self._comparison.fits(source, target))
        return self._compared[key][2]


class _Step:
    """One step, with what its function declares."""

    def __init__(self, flow: _Flow, index: int, row: dict[str, Any]) -> None:
        self.flow = flow
        self.row = row
        self.slug = row.get("slug")
        self.pointer = f"/steps/{index}"
        self.is_map = row.get("type") == "map"
        self.function = row.get("uses") or self.slug

    @property
    def owner(self) -> str:
        """How messages call it."""
        return name_step(self.slug, self.flow.slug)

    @cached_property
    def declared(self) -> Declared | None:
        """What its function declares."""
        name = self.function
        return self.flow.contracts.get(name) if isinstance(name, str) else None

    @cached_property
    def waits(self) -> dict[str, int]:
        """The steps that it waits for, and where each stands in ``depends_on``."""
        names = self.row.get("depends_on")
        known = self.flow.by_slug
        found: dict[str, int] = {}
        for at, name in enumerate(names if isinstance(names, list | tuple) else ()):
            if isinstance(name, str) and name in known and name != self.slug:
                found.setdefault(name, at)
        return found

    @cached_property
    def sources(self) -> dict[str, str]:
        """Its ``inputs``, as far as they are well-formed."""
        inputs = self.row.get("inputs")
        named = islice(inputs.items() if isinstance(inputs, dict) else (), MAX_INPUTS)
        return {
            name: source
            for name, source in named
            if isinstance(name, str) and isinstance(source, str)
        }

    @cached_property
    def output(self) -> View:
        """What it returns: of a map step, the list of what its tasks return."""
        found = View.of(None if self.declared is None else self.declared.output)
        if not self.is_map:
            return found
        return found.within({"type": "array", "items": found.schema})

    @cached_property
    def mapped(self) -> View:
        """What a map step runs over."""
        slug = next(iter(self.waits), None)
        if len(self.waits) > 1:
            return _ANYTHING
        if slug is not None:
            return self.flow.by_slug[slug].output
        return _ANYTHING if self.row.get("depends_on") else self.flow.run

    @cached_property
    def item(self) -> View:
        """What each task of a map step gets."""
        is_list = self.row.get("initial_tasks") is None or self._fits(self.mapped, _ARRAY) == "yes"
        # What is no list is handed to all tasks as it is, where their number is declared.
        return self.mapped.items() if is_list else _ANYTHING

    @cached_property
    def own(self) -> dict[str, View]:
        """The keys that nothing else can take."""
        found = {RUN: self.flow.run}
        if self.is_map:
            found.update({"item": self.item, "index": _INDEX})
        return found

    def problems(self) -> Iterator[Problem]:
        """All that doesn't fit."""
        yield from self._map_problems()
        declared = self.declared
        read = None if declared is None else _read_keys(declared.accepted)
        yield from self._source_problems(read)
        if declared is None:
            return
        yield from self._params_problems(declared)
        if read is not None:
            yield from self._dependency_problems(read)
            yield from self._missing_problems(read)
        yield from self._unused_problems(declared)

    def _fits(self, source: View, target: View) -> Fit:
        return self.flow.fits(source, target)

    def _map_problems(self) -> Iterator[Problem]:
        if not self.is_map or self.row.get("initial_tasks") is not None:
            return
        if self._fits(self.mapped, _ARRAY) != "no":
            return
        whose = next((f"what {show(slug)} returns" for slug in self.waits), "the run's input")
        text = f"it maps over {whose}, which is {_say(self.mapped)}, but must be a list"
        path = f"{self.pointer}/depends_on/0" if self.waits else f"{self.pointer}/type"
        yield Problem("map_over_no_array", path, say(self.owner, text))

    def _params_problems(self, declared: Declared) -> Iterator[Problem]:
        params = self.row.get("params")
        faults = declared.find_faults(params)
        if not faults or (params is not None and STEP_KEYS["params"].fault(params)):
            return
        for fault in faults:
            text = f"params{fault.pointer} for {self.function} {fault.message}"
            path = f"{self.pointer}/params{fault.pointer}"
            yield Problem("invalid_params", path, say(self.owner, text))

    def _source_problems(self, read: Object | None) -> Iterator[Problem]:
        """Whether what ``inputs`` name is there, and of the type that the function reads."""
        for name, written in self.sources.items():
            source = read_source(written)
            given = self._find_source(source.head)
            if given is None:
                continue
            found = given.follow(source.tokens)
            path = f"{self.pointer}/inputs/{escape_token(name)}"
            if found.schema is False:
                text = (
                    f"its input {show(name)} is {show(written)}, but that leads to nothing: "
                    f"{show(source.head)} is {_say(given)}"
                )
                yield Problem("type_mismatch", path, say(self.owner, text))
            elif read is not None and name in read.properties and not self._is_taken(name):
                yield from self._compare(found, name, read, f"its input {show(name)}", path)

    def _find_source(self, head: str) -> View | None:
        """What the first word of a source stands for."""
        if head in self.own:
            return self.own[head]
        return self.flow.by_slug[head].output if head in self.waits else None

    def _is_taken(self, name: str) -> bool:
        """Whether something else stands under this key, whatever ``inputs`` say."""
        return name in self.own or name == "params"

    def _dependency_problems(self, read: Object) -> Iterator[Problem]:
        """Whether what comes under the names of other steps, and a map's item, are of the type."""
        if not self.is_map:
            for slug, at in self.waits.items():
                if slug in read.properties and slug not in self.sources and slug != "params":
                    output = self.flow.by_slug[slug].output
                    path = f"{self.pointer}/depends_on/{at}"
                    yield from self._compare(output, slug, read, f"what {show(slug)} returns", path)
        for name, given in self.own.items():
            if name in read.properties:
                is_item = name == "item" and self.waits
                path = f"{self.pointer}/{'depends_on/0' if is_item else 'type'}"
                what = "the run's input" if name == RUN else f"its {name}"
                yield from self._compare(given, name, read, what, path)

    def _compare(
        self, given: View, name: str, read: Object, what: str, path: str
    ) -> Iterator[Problem]:
        if given.schema is True or self._fits(given, read.property(name)) != "no":
            return
        wanted = self._wanted(name)
        text = f"{what} is {_say(given)}, but {self.function} reads {_say(wanted)} there"
        yield Problem("type_mismatch", path, say(self.owner, text))

    def _wanted(self, name: str) -> View:
        """What the function declares of a key."""
        keys = None if self.declared is None else _read_keys(self.declared.input)
        return _ANYTHING if keys is None else keys.property(name)

    def _missing_problems(self, read: Object) -> Iterator[Problem]:
        given = {*self.sources, *self.own, "params", *(() if self.is_map else self.waits)}
        named = [*read.properties, *sorted(read.required - read.properties.keys())]
        for name in named:
            if name in read.required and name not in given:
                yield from self._missing(name, read)

    def _missing(self, name: str, read: Object) -> Iterator[Problem]:
        """What is wrong where nothing but the run's input can give a key."""
        path = f"{self.pointer}/inputs"
        run, _ = self.flow.run.resolve()
        keys = _read_keys(run.schema, run.root)
        may_give = "object" in run.kinds()
        if may_give and keys is not None:
            found = keys.property(name)
            may_give = self._fits(found, read.property(name)) != "no" and found.schema is not False
            if name in keys.properties and not may_give:
                yield from self._compare(found, name, read, f"{show(name)} of the run", path)
                return
            if name in keys.required:
                return
        names = self._find_candidates(name)
        wanted = _say(self._wanted(name))
        text = f"{self.function} reads {show(name)} ({wanted}), which nothing gives"
        if may_give:
            text = f"{self.function} reads {show(name)} ({wanted}); only the run may have it"
        message = say(self.owner, text) + _propose(names)
        fix = self._give(name, names[0]) if len(names) == 1 else None
        yield Problem(
            "missing_input", path, message, names, fix, "warning" if may_give else "error"
        )

    def _find_candidates(self, name: str) -> list[str]:
        """The sources that fit a key: whole outputs, or else what has this name in them."""
        wanted = self._wanted(name)
        outputs = {slug: self.flow.by_slug[slug].output for slug in self.waits}
        given = {"item": self.item} if self.is_map else outputs
        whole = [head for head, view in given.items() if self._fits(view, wanted) == "yes"]
        if whole:
            return whole
        return [
            f"{head}/{escape_token(name)}"
            for head, view in given.items()
            if (keys := _read_keys(view.schema, view.root)) is not None
            and name in keys.properties.keys() & keys.required
            and self._fits(keys.property(name), wanted) == "yes"
        ]

    def _give(self, name: str, source: str) -> Patch | None:
        """Let ``inputs`` name the source of a key."""
        path, inputs = f"{self.pointer}/inputs", self.row.get("inputs")
        if isinstance(inputs, dict):
            return [{"op": "add", "path": f"{path}/{escape_token(name)}", "value": source}]
        return [{"op": "add", "path": path, "value": {name: source}}] if inputs is None else None

    def _unused_problems(self, declared: Declared) -> Iterator[Problem]:
        keys = None if self.is_map else _read_keys(declared.input)
        if keys is None or keys.rest is not False:
            return
        read = {read_source(source).head for source in self.sources.values()}
        for slug, at in self.waits.items():
            if slug not in read and slug not in keys.properties:
                listed = ", ".join(map(show, islice(keys.properties, 10))) or "nothing"
                text = f"{self.function} reads {listed} only, and nothing of {show(slug)}"
                path = f"{self.pointer}/depends_on/{at}"
                yield Problem("unused_dependency", path, say(self.owner, text), severity="warning")


def _read_keys(schema: Any, root: Any = None) -> Object | None:
    """What a schema says of the keys of an object; ``None`` where it may be something else."""
    if schema is None:
        return None
    view, is_all = View(schema, schema if root is None else root).resolve()
    if not is_all or isinstance(view.schema, bool) or view.choices():
        return None
    return view.read_object()


def _say(view: View) -> str:
    return say_type(view.schema, view.root) or "anything"


def _propose(names: Sequence[str]) -> str:
    quoted = " or ".join(show(name) for name in names)
    return f" Take it from {quoted}, by inputs." if names else ""
