"""The steps of a flow, played with values instead of calls. What is not known is ``UNKNOWN``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pgflow_django import jsonvalue
from pgflow_django.conf import settings
from pgflow_django.definitions.inputs import follow, read_source
from pgflow_django.definitions.joining import JOIN
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.schemas import escape_token
from pgflow_django.definitions.shape import StepDefinition
from pgflow_django.exceptions import InvalidInput, InvalidOutput
from pgflow_django.registry import RegisteredFunction
from pgflow_django.runs.guessing import UNKNOWN, Guesser
from pgflow_django.runs.simulation import OutputFrom

#: Tasks of a map step whose outputs are told, and of all of them together; beyond that only how
#: many there are.
MAX_TASKS, MAX_PLAYED = 1_000, 20_000


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
        self._guesser = Guesser(find_function)
        self._left = MAX_PLAYED

    def play(self, step: StepDefinition, number: int) -> None:
        """Find what a step gets and gives; ``number`` is its place in the document."""
        is_map = step.options["step_type"] == "map"
        tasks, items = self._find_items(step, number) if is_map else (1, [UNKNOWN])
        if tasks is None and step.slug in self._given:
            tasks = len(self._given[step.slug])
        built, unknown = self._build(step, number, items[0] if items else UNKNOWN, is_map=is_map)
        output, source = self._find_output(step, built, tasks, items, is_map=is_map)
        if step.options["function"] == JOIN and source == "computed":
            output, source = self._bound(step, number, output)
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
                    f'The output of map step "{step.slug}" has {_count(len(output), "element")}, '
                    f"but the step has {_count(tasks, 'task')}.",
                    code="invalid_outputs",
                )
            return output, "given"
        if is_map and tasks == 0:
            return [], "empty"
        if tasks is None or (is_map and tasks > min(MAX_TASKS, self._left)):
            return UNKNOWN, "unknown"
        name = step.options["function"]
        if not is_map:
            (output,), source = self._guesser.guess(name, [built], step.depends_on)
            return output, source
        self._left -= tasks
        each = ({**built, "item": item, "index": n} for n, item in enumerate(items))
        outputs, source = self._guesser.guess(name, each)
        return (UNKNOWN if source == "unknown" else outputs), source

    def _bound(
        self, step: StepDefinition, number: int, joined: list[Any]
    ) -> tuple[Any, OutputFrom]:
        """What was joined, unless it is longer than what is told, or larger than a step may give.

        What was joined may be joined again, and so on: it would have no end.
        """
        if len(joined) > self._left:
            return UNKNOWN, "unknown"
        self._left -= len(joined)
        try:
            jsonvalue.encode(
                joined,
                subject=f'The output of step "{step.slug}"',
                not_json=InvalidOutput,
                too_large=partial(InvalidOutput, code="output_too_large"),
                limit=settings.MAX_OUTPUT_BYTES,
            )
        except InvalidOutput as error:
            self.problems.append(Problem(error.code, f"/steps/{number}", error.message))
            return UNKNOWN, "unknown"
        return joined, "computed"


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
