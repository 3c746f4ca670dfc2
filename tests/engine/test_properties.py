"""Random flows against the oracle: however they are run and whatever fails, they end as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pgflow_django import RunFailed, executor, flow_builder
from pgflow_django.exceptions import InvalidInput
from pgflow_django.models import WorkflowRun, WorkflowStepTask
from pgflow_django.registry import registry
from tests.engine.audit import audited, check_audit
from tests.engine.database import clean, query, step_statuses
from tests.engine.doors import DOORS
from tests.engine.effort import EFFORT
from tests.engine.invariants import check_all_ended
from tests.engine.moves import make_moves
from tests.engine.oracle import Expected, Functions, Step, expect, flows
from tests.engine.steering import Steered

INPUTS: list[Any] = [{"n": 1}, [], ["x"], [1, None, "é", [2]], "text", None]


@pytest.fixture(autouse=True)
def witness(transactional_db: None) -> Iterator[None]:
    """Watch every move of every task, of all examples."""
    with audited():
        yield


def start_afresh() -> None:
    """Clean up after the last example."""
    clean()
    query("delete from engine_audit")


def store(steps: list[Step]) -> None:
    """Store a random flow under the slug `flow`."""
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": "flow",
            "base_delay": 0,
            "steps": [
                {
                    "slug": step.slug,
                    "depends_on": list(step.deps),
                    "type": "map" if step.is_map else "single",
                    "initial_tasks": step.initial_tasks,
                    "max_attempts": step.max_attempts,
                }
                for step in steps
            ],
        }
    )


def is_refused(steps: list[Step], run_input: Any) -> bool:
    """Whether the run can't even start: a root map over what is no array."""
    return not isinstance(run_input, list) and any(
        step.is_map and not step.deps and step.initial_tasks is None for step in steps
    )


def check_run(run: WorkflowRun, expected: Expected, steps: list[Step], calls: Functions) -> None:
    """Hold a run that has ended against what the oracle says."""
    assert run.status in expected.statuses, (run.error, expected)
    statuses = step_statuses(run.id)
    for slug, status in statuses.items():
        if status == "completed":
            assert slug in expected.outputs, f"{slug} could not complete"
    if run.status == "completed":
        assert run.output == expected.output
        assert set(statuses.values()) == {"completed"}
    else:
        assert run.output is None
    if run.status == "failed":
        assert run.error["step_slug"] in expected.failing | expected.violating
        assert statuses[run.error["step_slug"]] == "failed"
        assert list(statuses.values()).count("failed") == 1
    by_slug = {step.slug: step for step in steps}
    for task in WorkflowStepTask.objects.filter(run_id=run.id):
        step, index = by_slug[task.step_slug], task.task_index
        if task.status == "completed":
            assert task.output == expected.tasks[task.step_slug][index]
        if task.status == "completed" and not calls.is_healed:
            assert task.attempts_count == step.failures_of(index) + 1
            assert calls.calls[step.slug, index] == step.failures_of(index) + 1
        assert calls.calls[step.slug, index] <= step.max_attempts + (
            1 if calls.is_healed else 0
        ) * (step.max_attempts)


@settings(
    max_examples=60 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=flows(),
    run_input=st.sampled_from(INPUTS),
    door=st.sampled_from(sorted(DOORS)),
    takes_up_again=st.booleans(),
)
def test_any_flow_ends_as_the_oracle_says(
    steps: list[Step], run_input: Any, door: str, takes_up_again: bool
) -> None:
    start_afresh()
    store(steps)
    functions = Functions(steps)
    if is_refused(steps, run_input):
        event("refused")
        with pytest.raises(InvalidInput):
            executor.start_flow("flow", run_input)
        check_all_ended()
        return
    run = DOORS[door]().run("flow", run_input, functions.by_slug())
    event(run.status)
    check_run(run, expect(steps, run_input), steps, functions)
    check_audit()
    if takes_up_again and run.status != "completed":
        take_up_again(run, steps, functions)


def take_up_again(run: WorkflowRun, steps: list[Step], functions: Functions) -> None:
    """Retry the run with functions that neither fail nor cancel."""
    done = {
        (task.step_slug, task.task_index)
        for task in WorkflowStepTask.objects.filter(run_id=run.id, status="completed")
    }
    before = dict(functions.calls)
    functions.is_healed = True
    try:
        run = executor.retry_run(run.id, step_functions=functions.by_slug())
    except RunFailed:
        run.refresh_from_db()
    check_all_ended()
    check_audit()
    check_run(run, expect(steps, run.input, healed=True), steps, functions)
    for task in done:
        assert functions.calls[task] == before[task], f"{task} had completed and was called again"


@settings(
    max_examples=15 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=flows(), run_inputs=st.lists(st.sampled_from(INPUTS), min_size=2, max_size=8))
def test_many_runs_of_one_flow_drained_together_end_as_the_oracle_says(
    first: list[Step], run_inputs: list[Any]
) -> None:
    start_afresh()
    store(first)
    run_inputs = [value for value in run_inputs if not is_refused(first, value)]
    functions = [Functions(first) for _ in run_inputs]
    runs = executor.start_flows("flow", run_inputs)
    of_run = {run.id: functions[number] for number, run in enumerate(runs)}
    for step in first:

        def dispatch(input: dict[str, Any], context: Any) -> Any:
            return of_run[context.run_id].by_slug()[context.step_slug](input, context)

        registry.unregister(step.slug)
        registry.register(dispatch, step.slug)
    try:
        assert executor.drain(timeout=60)
    finally:
        for step in first:
            registry.unregister(step.slug)
    check_all_ended()
    check_audit()
    for run, run_input, calls in zip(runs, run_inputs, functions, strict=True):
        check_run(WorkflowRun.objects.get(id=run.id), expect(first, run_input), first, calls)


@settings(
    max_examples=80 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=flows(at_least=3),
    run_input=st.sampled_from(INPUTS),
    seed=st.integers(0, 2**32),
    count=st.integers(8, 20),
)
def test_a_run_that_is_steered_at_random_moments_ends_as_the_oracle_says(
    steps: list[Step], run_input: Any, seed: int, count: int
) -> None:
    start_afresh()
    store(steps)
    run_input = [1, None, "é", [2]] if is_refused(steps, run_input) else run_input
    steered = Steered(executor.start_flow("flow", run_input).id, steps, Functions(steps))
    steered.play(make_moves(f"{seed} {steps}", count))
    waiting = [steered]
    while waiting:
        one = waiting.pop()
        one.finish()
        waiting += one.reruns
        expected = expect(steps, run_input, healed=True, decided=one.decided)
        check_steered(one, expected)
    check_all_ended()
    check_audit()


def check_steered(steered: Steered, expected: Expected) -> None:
    """Hold a run that was steered to its end against what the oracle says."""
    run = steered.run
    event(run.status)
    statuses = step_statuses(run.id)
    if expected.violating:
        assert run.status == "failed"
        assert run.error["step_slug"] in expected.violating
    else:
        assert run.status == "completed", (run.status, run.error)
        assert run.output == expected.output
        assert {slug for slug, status in statuses.items() if status == "skipped"} == (
            expected.skipped
        )
    for task in WorkflowStepTask.objects.filter(run_id=run.id, status__in=["completed", "skipped"]):
        if statuses[task.step_slug] != "skipped":
            assert task.output == expected.tasks[task.step_slug][task.task_index]
