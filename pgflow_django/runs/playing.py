"""The steps of a flow, played with values instead of calls. What is not known is ``UNKNOWN``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pgflow_django.contracts import Contract, Example
from pgflow_django.contracts.declared import schema_of
from pgflow_django.definitions.inputs import follow, read_source
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.samples import make_sample
from pgflow_django.definitions.schemas import escape_token
from pgflow_django.definitions.shape import StepDefinition
from pgflow_django.exceptions import InvalidInput
from pgflow_django.jsonvalue import same
from pgflow_django.registry import RegisteredFunction
from pgflow_django.runs.simulation import OutputFrom

#: Tasks of a map step whose outputs are told, and of all of them together; beyond that only how
#: many there are.
MAX_TASKS, MAX_PLAYED = 1_000, 20_000


class _Unknown:
    def __repr__(self) -> str:
        return "unknown"


#: In place of a value that nobody can tell.
UNKNOWN: Any = _Unknown()


@dataclass(frozen=True, slots=True)
class Played:
    """A step with the input of its first task, without the keys that are ``unknown``."""

    is_map: bool
    tasks: int | None
    input: dict[str, Any]
    unknown: tuple[str, ...]
    output: Any
    output_from: OutputFrom


class Player:
    """Plays steps one after another, each behind those that it waits for."""

    def __init__(
        self,
        run_input: Any,
        given: Mapping[str, Any],
        find_function: Callable[[str], RegisteredFunction | None],
    ) -> None:
        """``given`` are outputs that are known beforehand."""
        self.played: dict[str, Played] = {}
        self.problems: list[Problem] = []
        self._run_input = run_input
        self._given = given
        self._find_function = find_function
        self._released: dict[int, Any] = {}
        self._left = MAX_PLAYED

    def play(self, step: StepDefinition, number: int) -> None:
        """Find what a step gets and gives; ``number`` is its place in the document."""
        is_map = step.options["step_type"] == "map"
        tasks, items = self._find_items(step, number) if is_map else (1, [UNKNOWN])
        built, unknown = self._build(step, number, items[0] if items else UNKNOWN, is_map=is_map)
        output, source = self._find_output(step, built, tasks, items, is_map=is_map)
        self.played[step.slug] = Played(is_map, tasks, built, unknown, output, source)

    def _find_items(self, step: StepDefinition, number: int) -> tuple[int | None, Sequence[Any]]:
        """How many tasks a map step has, and what they run over, as far as it is known."""
        initial: int | None = step.options["initial_tasks"]
        if not step.depends_on:
            source = self._run_input
        else:
            before = self.played[step.depends_on[0]]
            source = before.output
            if source is UNKNOWN and before.is_map and before.tasks is not None:
                return before.tasks, [UNKNOWN] * min(before.tasks, MAX_TASKS)
        if isinstance(source, list):
            return len(source), source
        if source is UNKNOWN:
            return None, [UNKNOWN]
        if initial is not None:
            return initial, [source] * min(initial, MAX_TASKS)
        what = f'the output of step "{step.depends_on[0]}"' if step.depends_on else "the run input"
        message = (
            f'Map step "{step.slug}" maps over {what}, which is no list here. Return a list, or '
            "give it initial_tasks."
        )
        self.problems.append(Problem("type_violation", f"/steps/{number}", message))
        return None, [UNKNOWN]

    def _build(
        self, step: StepDefinition, number: int, item: Any, *, is_map: bool
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The dict that a task gets, as workers build it, and the keys of it that are unknown."""
        deps = {slug: self.played[slug].output for slug in step.depends_on}
        own = {"item": item, "index": 0} if is_map else {}
        built: dict[str, Any] = {}
        if isinstance(self._run_input, dict):
            built.update(self._run_input)
        if not is_map:
            built.update(deps)
        sources = {**deps, **own, "run": self._run_input}
        for name, source in (step.options["inputs"] or {}).items():
            built[name] = self._follow(step, number, name, source, sources)
        built.update(own)
        if step.options["params"] is not None:
            built["params"] = step.options["params"]
        built["run"] = self._run_input
        known = {name: value for name, value in built.items() if value is not UNKNOWN}
        return known, tuple(name for name in built if name not in known)

    def _follow(
        self, step: StepDefinition, number: int, name: str, text: str, sources: Mapping[str, Any]
    ) -> Any:
        source = read_source(text)
        value = sources.get(source.head, UNKNOWN)
        if value is UNKNOWN:
            return UNKNOWN
        try:
            return follow(value, source.tokens)
        except LookupError as error:
            message = (
                f'Input "{name}" of step "{step.slug}" is {text}, but there is no '
                f'"{error.args[0]}" in what it leads through.'
            )
            pointer = f"/steps/{number}/inputs/{escape_token(name)}"
            self.problems.append(Problem("input_unresolved", pointer, message))
            return UNKNOWN

    def _find_output(
        self,
        step: StepDefinition,
        built: dict[str, Any],
        tasks: int | None,
        items: Sequence[Any],
        *,
        is_map: bool,
    ) -> tuple[Any, OutputFrom]:
        if step.slug in self._given:
            output = self._given[step.slug]
            if is_map and tasks is not None and len(output) != tasks:
                raise InvalidInput(
                    f'The output of map step "{step.slug}" has {len(output):,} elements, but the '
                    f"step has {tasks:,} tasks."
                )
            return output, "given"
        if is_map and tasks == 0:
            return [], "empty"
        function = self._find_function(step.options["function"])
        contract = function.contract if function else None
        if contract is None or tasks is None:
            return UNKNOWN, "unknown"
        if is_map:
            if tasks > min(MAX_TASKS, self._left):
                return UNKNOWN, "unknown"
            self._left -= tasks
        if any(example.output is not None for example in contract.examples):
            if not is_map:
                return self._release(contract, _choose(contract, built)), "example"
            tried = ({**built, "item": item, "index": n} for n, item in enumerate(items))
            chosen = [_choose(contract, each) for each in tried]
            return [self._release(contract, example) for example in chosen], "example"
        schema = schema_of(contract, "output")
        if schema is None:
            return UNKNOWN, "unknown"
        sample = make_sample(schema)
        return [sample] * tasks if is_map else sample, "schema"

    def _release(self, contract: Contract, example: Example) -> Any:
        """What would be stored of an example's output; as it stands, where it breaks the type."""
        if id(example) not in self._released:
            output = example.output
            with suppress(Exception):  # a system check tells of it
                output = contract.release(output)
            text = json.dumps(output, default=str)
            self._released[id(example)] = json.loads(text)
        return self._released[id(example)]


def _choose(contract: Contract, built: Mapping[str, Any]) -> Example:
    """The first example with an output whose input and params are these, else the first."""
    examples = [example for example in contract.examples if example.output is not None]
    return next((example for example in examples if _fits(example, built)), examples[0])


def _fits(example: Example, built: Mapping[str, Any]) -> bool:
    wanted = dict(example.input) if isinstance(example.input, dict) else {}
    if example.params is not None:
        wanted["params"] = example.params
    if not wanted:
        return False
    return all(name in built and same(built[name], value) for name, value in wanted.items())
