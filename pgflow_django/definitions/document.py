"""Validation of the flow document: one JSON shape for export, import, editor, agents and API."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions import bounds
from pgflow_django.definitions.contract_problems import contract_problems
from pgflow_django.definitions.edits.patches import fits_bounds
from pgflow_django.definitions.graph import find_cycle, find_tangled, free_slug, is_valid_slug
from pgflow_django.definitions.input_problems import source_problems
from pgflow_django.definitions.inputs import names_step
from pgflow_django.definitions.joining import join_before
from pgflow_django.definitions.keys import keys_of_flows, keys_of_steps
from pgflow_django.definitions.known_functions import KnownFunctions, Search
from pgflow_django.definitions.options import (
    FLOW_KEYS,
    MAX_DEPENDENCIES,
    MAX_STEPS,
    STEP_KEYS,
)
from pgflow_django.definitions.policy import policy_problems
from pgflow_django.definitions.problems import (
    NearestNames,
    Patch,
    Problem,
    dependency_problems,
    name_flow,
    name_step,
    option_problems,
    say,
    size_problems,
    step_slug_problems,
    workflow_slug_problems,
)
from pgflow_django.definitions.rules import shorten, show
from pgflow_django.definitions.schemas import escape_token, read_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pgflow_django.definitions.declared import Contracts
    from pgflow_django.definitions.policy import Policy
    from pgflow_django.definitions.problems import Severity

#: Keys of a step's input that win over the output of a dependency of the same name.
_INPUT_KEYS = ("item", "index", "params")
_MAX_CYCLES = 10
#: Keywords of a schema that are told as not evaluated.
_MAX_UNUSED = 20
#: Steps of a cycle that its problem names.
_MAX_PATH = 20


def validate(
    document: Any,
    functions: Collection[str] = (),
    contracts: Contracts | None = None,
    policy: Policy | None = None,
    search: Search | None = None,
) -> list[Problem]:
    """Every problem of a flow document, in its order; an empty list when there is none.

    ``functions`` are the names of step functions that there are, ``contracts`` what they declare:
    what breaks that comes behind all else, and then what a ``policy`` forbids. ``search`` finds
    functions by words, for steps that call one that is not there.

    Takes anything and never raises. Problems of severity ``warning`` (a function that is not
    registered in this process, say) keep nobody from storing the document.
    """
    reading = bounds.read(document)
    if reading.problem is not None:
        return [reading.problem]
    document = reading.value
    if not isinstance(document, dict):
        message = f"A flow document is a JSON object, but this is {show(document)}."
        return [Problem("invalid_document", "", message)]
    slug = document.get("workflow_slug")
    owner = name_flow(slug)
    known = KnownFunctions(functions, policy, search)
    return [
        *workflow_slug_problems(slug),
        *keys_of_flows().problems(document, owner, ""),
        *option_problems(FLOW_KEYS, document, owner),
        *_unused_keywords(document.get("input_schema"), owner, policy),
        *_steps_problems(document.get("steps", []), slug, owner, known),
        *contract_problems(document, contracts or {}),
        *(policy_problems(document, contracts or {}, policy) if policy else ()),
    ]


def _unused_keywords(schema: Any, owner: str, policy: Policy | None) -> Iterator[Problem]:
    """What of a flow's schema nobody looks at; with a policy it must not be there."""
    if not isinstance(schema, dict) or FLOW_KEYS["input_schema"].fault(schema):
        return
    for unused in read_schema(schema).unused[:_MAX_UNUSED]:
        path = f"/input_schema{unused.pointer}"
        where = shorten(f"input_schema{unused.pointer}")
        message = say(owner, f"{where} is kept, but not evaluated")
        severity: Severity = "warning" if policy is None else "error"
        yield Problem("unused_schema_keyword", path, message, severity=severity)


def _steps_problems(
    steps: Any, flow: object, owner: str, functions: KnownFunctions
) -> Iterator[Problem]:
    if not isinstance(steps, list | tuple):
        text = f"steps is {show(steps)}, but must be a list of objects"
        yield Problem("invalid_document", "/steps", say(owner, text))
    elif len(steps) > MAX_STEPS:
        yield from size_problems(len(steps), 0, owner)
    elif not steps:
        text = "it has no steps, and can't be started before it gets one"
        yield Problem("workflow_has_no_steps", "/steps", say(owner, text), severity="warning")
    else:
        yield from _Steps(flow, steps, functions).problems()


class _Steps:
    """The steps of a document, which refer to one another."""

    def __init__(self, flow: object, rows: Sequence[Any], functions: KnownFunctions) -> None:
        self.flow = flow
        self.rows = rows
        #: Where each slug stands first; bad slugs too, so that nobody calls them missing.
        self.position: dict[str, int] = {}
        for index, row in enumerate(rows):
            if isinstance(row, dict) and isinstance(row.get("slug"), str):
                self.position.setdefault(row["slug"], index)
        self.free: dict[str, str] = {}
        self.keys = keys_of_steps()
        self.nearest_step = NearestNames(filter(is_valid_slug, self.position))
        self.functions = functions

    def problems(self) -> Iterator[Problem]:
        for index, row in enumerate(self.rows):
            if isinstance(row, dict):
                yield from self._step_problems(index, row)
            else:
                text = f"steps[{index}] is {show(row)}, but must be an object"
                message = say(name_flow(self.flow), text)
                yield Problem("invalid_document", f"/steps/{index}", message)
        edges = sum(len(_dependencies(row)) for row in self.rows)
        yield from size_problems(len(self.rows), edges, name_flow(self.flow))
        if edges <= MAX_DEPENDENCIES:
            yield from self._edge_problems()

    def _step_problems(self, index: int, row: dict[str, Any]) -> Iterator[Problem]:
        pointer, slug = f"/steps/{index}", row.get("slug")
        owner = name_step(slug, self.flow)
        for problem in step_slug_problems(slug, self.flow, f"{pointer}/slug"):
            yield replace(problem, fix=self._rename(index, slug, problem.suggestions))
        if isinstance(slug, str) and self.position[slug] != index:
            yield self._duplicate(index, slug)
        yield from self.keys.problems(row, owner, pointer, partial(self._may_wait, slug))
        options = list(option_problems(STEP_KEYS, row, owner, pointer))
        yield from options
        if not any(problem.code == STEP_KEYS["inputs"].code for problem in options):
            yield from self._source_problems(row, owner, pointer)
        yield from self._warnings(row, owner, pointer)

    def _source_problems(self, row: dict[str, Any], owner: str, pointer: str) -> Iterator[Problem]:
        inputs = row.get("inputs")
        if inputs is None:
            return
        yield from source_problems(
            inputs,
            row.get("depends_on"),
            slug=row.get("slug"),
            is_map=row.get("type") == "map",
            known=self.position,
            nearest=self.nearest_step,
            owner=owner,
            pointer=pointer,
            may_wait=partial(self._may_wait, row.get("slug")),
        )

    def _may_wait(self, slug: object, other: object) -> bool:
        """Whether a step can wait for another one of the flow without a cycle."""
        if not isinstance(other, str) or other not in self.position or other == slug:
            return False
        return slug not in self.tangled or other not in self.tangled

    @cached_property
    def tangled(self) -> Collection[Any]:
        """The steps that would wait in cycles if each waited for all that it names anywhere."""
        graph = {}
        for slug, index in self.position.items():
            row = self.rows[index]
            graph[slug] = [
                name
                for key, value in row.items()
                if key == "inputs" or self.keys.means(key, "depends_on")
                for name in _list_names(value)
                if name != slug
            ]
        return find_tangled(graph)

    @cached_property
    def waiting(self) -> dict[str, list[str]]:
        """Where each slug stands among what steps wait for."""
        places: dict[str, list[str]] = {}
        for index, row in enumerate(self.rows):
            for at, slug in enumerate(_dependencies(row)):
                if isinstance(slug, str):
                    places.setdefault(slug, []).append(f"/steps/{index}/depends_on/{at}")
        return places

    @cached_property
    def reading(self) -> dict[str, list[tuple[str, str]]]:
        """Where each slug is read, and the part of the source behind it."""
        found: dict[str, list[tuple[str, str]]] = {}
        for index, row in enumerate(self.rows):
            inputs = row.get("inputs") if isinstance(row, dict) else None
            for name, source in inputs.items() if isinstance(inputs, dict) else ():
                head = source.partition("/")[0] if isinstance(source, str) else ""
                if isinstance(name, str) and names_step(
                    source, head, is_map=row.get("type") == "map"
                ):
                    place = f"/steps/{index}/inputs/{escape_token(name)}"
                    found.setdefault(head, []).append((place, source[len(head) :]))
        return found

    def _rename(self, index: int, slug: object, names: Sequence[str]) -> Patch | None:
        """Give a step its new name, there and in all steps that wait for it or read it."""
        if not names or names[0] in self.position or not isinstance(slug, str):
            return None
        if self.position[slug] != index:  # those that wait, wait for the first of this name
            return None
        places = [f"/steps/{index}/slug", *self.waiting.get(slug, ())]
        patch = [{"op": "replace", "path": place, "value": names[0]} for place in places]
        for place, rest in self.reading.get(slug, ()):
            patch.append({"op": "replace", "path": place, "value": f"{names[0]}{rest}"})
        return patch if fits_bounds(patch) else None

    def _duplicate(self, index: int, slug: str) -> Problem:
        pointer = f"/steps/{index}/slug"
        free = self._find_free(slug)
        text = f"steps[{self.position[slug]}] has this name already; each step needs its own"
        fix = [{"op": "replace", "path": pointer, "value": free}]
        message = say(name_step(slug, self.flow), text)
        return Problem("duplicate_step_slug", pointer, message, [free], fix)

    def _find_free(self, slug: str) -> str:
        """A name like ``slug`` that no step has."""
        if slug not in self.free:
            self.free[slug] = free_slug(slug, self.position)
        return self.free[slug]

    def _warnings(self, row: dict[str, Any], owner: str, pointer: str) -> Iterator[Problem]:
        if row.get("slug") in _INPUT_KEYS:
            text = (
                "the key of this name in a step's input is taken, so that no step sees its output"
            )
            message = say(owner, text)
            yield Problem("shadowed_step_slug", f"{pointer}/slug", message, severity="warning")
        if row.get("initial_tasks") is not None and row.get("type", "single") == "single":
            path = f"{pointer}/initial_tasks"
            fix: Patch | None = [{"op": "remove", "path": path}]
            message = say(owner, "initial_tasks counts for map steps only")
            yield Problem("unused_initial_tasks", path, message, fix=fix, severity="warning")
        yield from self.functions.problems(row, owner, pointer)

    def _edge_problems(self) -> Iterator[Problem]:
        for index, row in enumerate(self.rows):
            if isinstance(row, dict) and "depends_on" in row:
                for problem in dependency_problems(
                    row["depends_on"],
                    slug=row.get("slug"),
                    is_map=row.get("type") == "map",
                    known=self.position,
                    nearest=self.nearest_step,
                    owner=name_step(row.get("slug"), self.flow),
                    pointer=f"/steps/{index}/depends_on",
                    may_wait=partial(self._may_wait, row.get("slug")),
                ):
                    yield self._offer_join(problem, index, row)
        yield from self._cycles()

    def _offer_join(self, problem: Problem, index: int, row: dict[str, Any]) -> Problem:
        if problem.code != "map_step_constraint_violation" or len(self.rows) >= MAX_STEPS:
            return problem
        return replace(problem, fix=join_before(row, index, self.position))

    def _cycles(self) -> Iterator[Problem]:
        graph = {
            slug: [
                dependency
                for dependency in _dependencies(self.rows[index])
                if isinstance(dependency, str) and dependency != slug
            ]
            for slug, index in self.position.items()
        }
        for _ in range(_MAX_CYCLES):
            cycle = find_cycle(graph)
            if cycle is None:
                return
            step, dependency = cycle[0], cycle[-2]
            index = self.position[step]
            at = _dependencies(self.rows[index]).index(dependency)
            told = [*map(shorten, cycle[:_MAX_PATH]), *(["…"] if len(cycle) > _MAX_PATH else [])]
            path = " → ".join(told)
            edges = [f"{one} → {other}" for one, other in pairwise(told) if other != "…"]
            text = f"its steps wait for one another in a cycle: {path}. Cut it somewhere"
            message = say(name_flow(self.flow), text)
            yield Problem("cycle_detected", f"/steps/{index}/depends_on/{at}", message, edges)
            graph[step] = [other for other in graph[step] if other != dependency]


def _list_names(value: Any) -> list[str]:
    """The steps that are named by a text, in a list or in the sources of an object."""
    parts: Any = value if isinstance(value, list | tuple) else [value]
    parts = value.values() if isinstance(value, dict) else parts
    return [one.partition("/")[0] for one in parts if isinstance(one, str)]


def _dependencies(row: Any) -> Sequence[Any]:
    depends_on = row.get("depends_on") if isinstance(row, dict) else None
    return depends_on if isinstance(depends_on, list | tuple) else ()
