"""How a flow would run, told without calling a function or writing a row: ``simulate_flow``.

Service layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import router

from pgflow_django.definitions import bounds
from pgflow_django.definitions.graph import topological_order
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.samples import NoSampleError, make_fitting_sample
from pgflow_django.definitions.schema_values import Checker
from pgflow_django.definitions.shape import (
    Document,
    FlowDefinition,
    StepDefinition,
    read_document,
    resolve,
)
from pgflow_django.flow_builder import export_flow, validate_flow
from pgflow_django.models import Workflow
from pgflow_django.registry import registry
from pgflow_django.runs.checking import encode_input
from pgflow_django.runs.given import read_outputs
from pgflow_django.runs.guessing import UNKNOWN
from pgflow_django.runs.past_seconds import load_seconds
from pgflow_django.runs.playing import Played, Player
from pgflow_django.runs.simulation import Seconds, SimulatedStep, Simulation, Totals
from pgflow_django.storage.trouble import uses_database

#: A warning elsewhere; but no start takes such a flow.
_NO_STEPS = "workflow_has_no_steps"


@uses_database
def simulate_flow(
    document_or_slug: Document | str,
    input: Any = UNKNOWN,
    *,
    outputs: Mapping[str, Any] | None = None,
    using: str | None = None,
) -> Simulation:
    """How a flow would run with this input: waves, tasks, values, effects, times, problems.

    Takes a flow document, or the slug of a stored flow. Calls no function and writes nothing. A
    step's output is the one in ``outputs`` (of a map step the list of its tasks'), else what a
    built-in function returns, else that of its function's example that fits the input best, else
    made from what it declares, else unknown. Where no ``input`` is given (``None`` is one), it is
    made from the flow's ``input_schema``, or it is unknown.

    Raises ``WorkflowNotFound``, ``InvalidInput`` for values that are no JSON, too large, or no
    step's.
    """
    alias = using or router.db_for_read(Workflow)
    document: Any = bounds.read(document_or_slug).value
    inactive: list[Problem] = []
    if type(document) is str:
        slug, document = document, export_flow(document, using=alias)
        inactive = _refuse_inactive(slug, alias)
    problems = [*map(_judge, validate_flow(document))]
    if any(problem.severity == "error" for problem in problems):
        return Simulation(False, tuple(problems))
    stored = read_document(document)
    value, found = _read_input(stored, input)
    definition = resolve(stored)
    given = read_outputs(definition, {} if outputs is None else outputs)
    player = Player(value, given, registry.get)
    order = topological_order({step.slug: step.depends_on for step in definition.steps})
    index = {step.slug: number for number, step in enumerate(definition.steps)}
    for slug in order:
        player.play(definition.steps[index[slug]], index[slug])
    problems += [*inactive, *found, *player.problems]
    return _describe(definition, order, player.played, problems, alias)


def _refuse_inactive(slug: object, alias: str) -> list[Problem]:
    if Workflow.objects.using(alias).filter(workflow_slug=slug, is_active=True).exists():
        return []
    return [Problem("workflow_inactive", "", f'Flow "{slug}" is inactive: it can\'t be started.')]


def _judge(problem: Problem) -> Problem:
    """A problem as it is for whoever wants to run the flow."""
    return replace(problem, severity="error") if problem.code == _NO_STEPS else problem


def _read_input(flow: FlowDefinition, given: Any) -> tuple[Any, list[Problem]]:
    """The run's input, and what is wrong with the one that is given."""
    schema = flow.options["input_schema"]
    checker = None if schema is None else Checker(schema)
    if given is not UNKNOWN:
        value = json.loads(encode_input(flow.slug, given))
        faults = [] if checker is None else checker.faults(value)
        return value, [Problem("invalid_input", fault.pointer, fault.message) for fault in faults]
    if checker is None:
        return UNKNOWN, []
    try:
        return make_fitting_sample(schema, lambda value: not checker.faults(value)), []
    except NoSampleError:
        return UNKNOWN, []


def _describe(
    flow: FlowDefinition,
    order: Sequence[str],
    played: Mapping[str, Played],
    problems: Sequence[Problem],
    alias: str,
) -> Simulation:
    functions = {step.slug: step.options["function"] for step in flow.steps}
    past = load_seconds(flow.slug, functions, using=alias)
    times = {step.slug: _time(step, played[step.slug], past) for step in flow.steps}
    waves = _find_waves(flow)
    depended_on = {dependency for step in flow.steps for dependency in step.depends_on}
    steps = tuple(_show_step(step, waves[step.slug], played, times) for step in flow.steps)
    return Simulation(
        ok=not any(problem.severity == "error" for problem in problems),
        problems=tuple(problems),
        waves=tuple(
            tuple(slug for slug in functions if waves[slug] == wave)
            for wave in sorted(set(waves.values()))
        ),
        steps=steps,
        totals=_count(flow, order, steps, times),
        output={
            slug: played[slug].output
            for slug in functions
            if slug not in depended_on and played[slug].output is not UNKNOWN
        },
    )


def _find_waves(flow: FlowDefinition) -> dict[str, int]:
    graph = {step.slug: step.depends_on for step in flow.steps}
    waves: dict[str, int] = {}
    for slug in topological_order(graph):
        waves[slug] = max((waves[dependency] + 1 for dependency in graph[slug]), default=0)
    return waves


def _show_step(
    step: StepDefinition, wave: int, played: Mapping[str, Played], times: Mapping[str, Seconds]
) -> SimulatedStep:
    found, name = played[step.slug], step.options["function"]
    return SimulatedStep(
        slug=step.slug,
        function=name,
        wave=wave,
        tasks=found.tasks,
        input=found.input,
        unknown=found.unknown,
        output=None if found.output is UNKNOWN else found.output,
        output_from=found.output_from,
        effects=registry.effects_of(name),
        seconds=times[step.slug],
    )


def _time(step: StepDefinition, played: Played, past: Mapping[str, Seconds]) -> Seconds:
    if played.tasks == 0:
        return Seconds()
    most = float(step.options["timeout"])
    return past.get(step.slug) or Seconds(most, most, "timeout")


def _count(
    flow: FlowDefinition,
    order: Sequence[str],
    steps: Sequence[SimulatedStep],
    times: Mapping[str, Seconds],
) -> Totals:
    by_slug = {step.slug: step for step in flow.steps}
    at_once: dict[int, int] = {}
    for step in steps:
        at_once[step.wave] = at_once.get(step.wave, 0) + (step.tasks or 0)
    return Totals(
        tasks=sum(step.tasks or 0 for step in steps),
        tasks_at_most=sum(
            (step.tasks or 0) * by_slug[step.slug].options["max_attempts"] for step in steps
        ),
        most_at_once=max(at_once.values(), default=0),
        critical_path_seconds=_find_critical_path([by_slug[slug] for slug in order], times),
    )


def _find_critical_path(steps: Sequence[StepDefinition], times: Mapping[str, Seconds]) -> Seconds:
    """The longest way through the flow; ``timeout`` where a step is known by that only."""
    ends: dict[str, tuple[float, float]] = {}
    for step in steps:
        before = [ends[dependency] for dependency in step.depends_on]
        p50, p95 = (max((end[which] for end in before), default=0.0) for which in (0, 1))
        took = times[step.slug]
        delay = step.options["start_delay"] if took.source != "none" else 0
        ends[step.slug] = (p50 + delay + took.p50, p95 + delay + took.p95)
    sources = {seconds.source for seconds in times.values()}
    p50, p95 = (max((end[which] for end in ends.values()), default=0.0) for which in (0, 1))
    if "timeout" in sources:
        return Seconds(round(p50, 6), round(p95, 6), "timeout")
    return Seconds(round(p50, 6), round(p95, 6), "history" if "history" in sources else "none")
