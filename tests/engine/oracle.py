"""Random flows, and a model of a run of one that is small enough to be obviously right."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from pgflow_django import executor


@dataclass(frozen=True)
class Step:
    """A step and how its function behaves.

    ``length`` of a single step's output: a list that long, or ``None`` for what is no list.
    ``failures``: how often the task of each index fails before it succeeds; a map step's further
    tasks begin again with the first. ``cancels``: its function cancels the run.
    """

    slug: str
    deps: tuple[str, ...]
    is_map: bool
    initial_tasks: int | None
    length: int | None
    failures: tuple[int, ...]
    max_attempts: int
    cancels: bool

    def failures_of(self, index: int) -> int:
        """How often the task fails before it succeeds."""
        return self.failures[index % len(self.failures)]


@st.composite
def flows(draw: st.DrawFn, *, at_least: int = 1) -> list[Step]:
    """Up to eight steps, each behind those that it depends on."""
    steps: list[Step] = []
    for number in range(draw(st.integers(at_least, 8))):
        slugs = [step.slug for step in steps]
        is_map = draw(st.booleans())
        deps = draw(
            st.lists(st.sampled_from(slugs), unique=True, max_size=1 if is_map else 4)
            if slugs
            else st.just([])
        )
        steps.append(
            Step(
                slug=f"s{number}",
                deps=tuple(deps),
                is_map=is_map,
                initial_tasks=draw(st.sampled_from([None, None, 1, 3])) if is_map else None,
                length=draw(st.sampled_from([None, 0, 1, 2, 5])),
                failures=tuple(
                    draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), min_size=1, max_size=3))
                ),
                max_attempts=draw(st.sampled_from([3, 3, 3, 2, 1])),
                cancels=draw(st.integers(0, 24)) == 24,
            )
        )
    return steps


def work(step: Step, input: dict[str, Any]) -> Any:
    """What a step's function gives: everything that it was given, in few characters."""
    seen = {key: input[key] for key in (*step.deps, "item", "index", "run") if key in input}
    if step.is_map:
        seen = {key: seen[key] for key in ("item", "index", "run")}
    digest = hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:8]
    if step.length is None:
        return {step.slug: digest}
    return [f"{step.slug}{digest}{n}" for n in range(step.length)]


@dataclass
class Decisions:
    """What a person has decided of a run in place of its functions.

    ``tasks``: what tasks gave by hand, ``None`` of those that were skipped. ``outputs``: of steps
    that had not begun, and of those that a rerun took over. ``skipped``: whole steps.
    """

    tasks: dict[tuple[str, int], Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)


@dataclass
class Expected:
    """How a run of a flow must end: ``outputs`` of the steps that can be reached."""

    outputs: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, list[Any]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    violating: set[str] = field(default_factory=set)
    cancelling: set[str] = field(default_factory=set)
    leaves: tuple[str, ...] = ()
    skipped: set[str] = field(default_factory=set)

    @property
    def statuses(self) -> set[str]:
        """The statuses that the run may end in."""
        found = {"failed"} if self.failing | self.violating else set()
        found |= {"cancelled"} if self.cancelling else set()
        return found or {"completed"}

    @property
    def output(self) -> dict[str, Any]:
        """The output of the run, if it completes."""
        return {leaf: self.outputs[leaf] for leaf in self.leaves if leaf not in self.skipped}


def expect(
    steps: list[Step], run_input: Any, *, healed: bool = False, decided: Decisions | None = None
) -> Expected:
    """Play a run; ``healed``: nothing fails and nothing cancels."""
    depended_on = {dep for step in steps for dep in step.deps}
    expected = Expected(leaves=tuple(s.slug for s in steps if s.slug not in depended_on))
    decided = decided or Decisions()
    expected.skipped = decided.skipped
    for step in steps:
        if step.slug in decided.skipped | decided.outputs.keys():
            output = expected.outputs[step.slug] = decided.outputs.get(step.slug)
            expected.tasks[step.slug] = list(output or ()) if step.is_map else [output]
            continue
        if not all(dep in expected.outputs for dep in step.deps):
            continue
        items = _items(step, run_input, expected.outputs)
        if items is None:
            expected.violating.add(step.slug)
            continue
        if items and step.cancels and not healed:
            expected.cancelling.add(step.slug)
        given = {dep: expected.outputs[dep] for dep in step.deps} | {"run": run_input}
        outputs = [
            decided.tasks[step.slug, index]
            if (step.slug, index) in decided.tasks
            else work(step, given | ({"item": item, "index": index} if step.is_map else {}))
            for index, item in enumerate(items)
        ]
        expected.tasks[step.slug] = outputs
        fails = any(step.failures_of(i) >= step.max_attempts for i in range(len(items)))
        if fails and not healed:
            expected.failing.add(step.slug)
        elif not (items and step.cancels and not healed):
            expected.outputs[step.slug] = outputs if step.is_map else outputs[0]
    return expected


def _items(step: Step, run_input: Any, outputs: dict[str, Any]) -> list[Any] | None:
    if not step.is_map:
        return [None]
    source = outputs[step.deps[0]] if step.deps else run_input
    if isinstance(source, list):
        return source
    return None if step.initial_tasks is None else [source] * step.initial_tasks


@dataclass
class Functions:
    """The step functions of a flow, and how often each of its tasks has been called."""

    steps: list[Step]
    calls: Counter[tuple[str, int]] = field(default_factory=Counter)
    is_healed: bool = False

    def by_slug(self) -> dict[str, Callable[..., Any]]:
        """The functions, as ``execute_dynamic`` takes them."""
        return {step.slug: self._function(step) for step in self.steps}

    def _function(self, step: Step) -> Callable[..., Any]:
        def run(input: dict[str, Any], context: Any) -> Any:
            index = context.task_index
            self.calls[step.slug, index] += 1
            if not self.is_healed:
                if step.cancels:
                    executor.cancel_run(context.run_id)
                if context.attempt <= step.failures_of(index):
                    raise ValueError(f"attempt {context.attempt}")
            return work(step, input)

        return run
