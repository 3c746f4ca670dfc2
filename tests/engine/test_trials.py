"""Trials: a draft runs without being published, with outputs given, and counts nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, computed_field, field_serializer

from pgflow_django import (
    Example,
    PgflowError,
    drafts,
    executor,
    flow_builder,
    simulate_flow,
    step_function,
)
from pgflow_django.cli.pruning import prune
from pgflow_django.definitions.trials import GIVEN
from pgflow_django.exceptions import InvalidInput, TrialNeedsConsent
from pgflow_django.models import WorkflowRun, WorkflowVersion, WorkflowVersionStep
from pgflow_django.registry import registry
from pgflow_django.runs.explaining import explain_run
from pgflow_django.runs.view import load
from tests.engine.building import build
from tests.engine.database import clean, query, value
from tests.engine.oracle import Step, expect, flows, work

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    """Step functions that note their calls."""
    before = dict(registry._functions)
    CALLS.clear()

    @step_function("try.fetch", effects="reads", output={"type": "array"})
    def fetch(input: dict[str, Any]) -> list[int]:
        CALLS.append("fetch")
        return [1, 2, 3]

    @step_function("try.double", effects="none")
    def double(input: dict[str, Any]) -> int:
        CALLS.append("double")
        return int(input["item"]) * 2

    @step_function("try.send", effects="external", examples=[Example(output={"sent": 1})])
    def send(input: dict[str, Any]) -> dict[str, Any]:
        CALLS.append("send")
        return {"sent": sum(input["double"])}

    @step_function("try.plain")
    def plain(input: dict[str, Any]) -> int:
        CALLS.append("plain")
        return 1

    yield
    registry._functions.clear()
    registry._functions.update(before)


FETCH = {"slug": "fetch", "uses": "try.fetch"}
DOUBLE = {"slug": "double", "uses": "try.double", "type": "map", "depends_on": ["fetch"]}
SEND = {"slug": "send", "uses": "try.send", "depends_on": ["double"]}


def document_of(*steps: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "tried", "base_delay": 0, **options, "steps": list(steps)}


ETL = document_of(FETCH, DOUBLE, SEND)


def output_of(run: WorkflowRun) -> Any:
    executor.drain()
    return executor.get_run_status(run.pk).result()


def steps_of(run: WorkflowRun) -> list[str]:
    return [step.slug for step in load(run.pk, using="default").steps]


def test_a_draft_that_was_never_published_is_tried_by_workers() -> None:
    drafts.create("tried", ETL, user="ada")
    run = executor.start_trial("tried", allow_effects=True)
    assert run.is_trial
    status = executor.get_run_status(run.pk)
    assert (status.status, status.is_trial, status.total_steps) == ("started", True, 3)
    assert output_of(run) == {"send": {"sent": 12}}
    with pytest.raises(PgflowError, match="tried"):
        executor.start_flow("tried")
    assert flow_builder.list_flows() == []


def test_no_start_finds_what_a_trial_runs() -> None:
    flow_builder.create_flow_from_spec(document_of(FETCH))
    drafts.edit("tried", 0, "add_step", {"slug": "more", "uses": "try.plain"}, user="ada")
    first = executor.start_trial("tried", allow_effects=True)
    run = executor.start_flow("tried", key="k")
    again = executor.start_trial("tried", allow_effects=True)
    assert executor.start_flow("tried", key="k").pk == run.pk
    executor.drain()
    assert [steps_of(each) for each in (first, run, again)] == [
        ["fetch", "more"], ["fetch"], ["fetch", "more"]
    ]  # fmt: skip
    assert list(drafts.list_versions("tried")) == [1]
    assert WorkflowRun.objects.get(key="k").pk == run.pk
    published = drafts.publish("tried", drafts.load("tried").version, user="ada")
    assert published.active_runs == 0
    assert steps_of(executor.start_flow("tried")) == ["fetch", "more"]


def test_a_draft_as_it_was_read_and_a_flow_that_is_switched_off() -> None:
    build("off", {"a": []}, options={"a": {"uses": "try.fetch"}})
    draft = drafts.load("off")
    query("update workflows set is_active = false")
    assert output_of(executor.start_trial(draft)) == {"a": [1, 2, 3]}


def test_steps_with_given_outputs_are_not_called_nor_what_only_they_need() -> None:
    run = executor.start_trial(ETL, outputs={"double": [5, 6]}, allow_effects=True)
    assert output_of(run) == {"send": {"sent": 11}}
    assert CALLS == ["send"]
    view = load(run.pk, using="default")
    assert [(step.slug, step.is_given) for step in view.steps] == [
        ("double", True), ("send", False)
    ]  # fmt: skip


def test_a_map_over_what_is_given_and_a_given_leaf() -> None:
    run = executor.start_trial(ETL, outputs={"fetch": [7], "send": None})
    assert output_of(run) == {"send": None}
    assert CALLS == []
    run = executor.start_trial(ETL, outputs={"fetch": [7]}, until="double")
    assert output_of(run) == {"double": [14]}


def test_until_leaves_out_what_comes_after() -> None:
    side = {"slug": "side", "uses": "try.plain"}
    run = executor.start_trial(document_of(FETCH, DOUBLE, SEND, side), until="double")
    assert output_of(run) == {"double": [2, 4, 6]}
    assert steps_of(run) == ["fetch", "double"]


def test_functions_that_change_something_or_say_nothing_need_consent() -> None:
    plain, gone = {"slug": "plain", "uses": "try.plain"}, {"slug": "gone", "uses": "try.gone"}
    document = document_of(FETCH, DOUBLE, SEND, plain, gone)
    with pytest.raises(TrialNeedsConsent) as caught:
        executor.start_trial(document)
    assert caught.value.code == "trial_needs_consent"
    assert caught.value.steps == [
        ("send", "try.send", "external"),
        ("plain", "try.plain", "unknown"),
        ("gone", "try.gone", "unknown"),
    ]
    assert '"send" (try.send: external)' in str(caught.value)
    assert not WorkflowRun.objects.exists()
    given = {"send": {}, "plain": 1, "gone": 1}
    assert output_of(executor.start_trial(document, outputs=given)) == given


NEEDS_A = {"type": "object", "required": ["a"]}


@pytest.mark.parametrize(
    ("document", "options", "code", "words"),
    [
        (document_of(SEND), {}, "missing_dependencies", "double"),
        (document_of(FETCH, FETCH), {}, "duplicate_step_slug", "fetch"),
        (document_of(), {}, "workflow_has_no_steps", "no steps"),
        ("nothing", {}, "workflow_not_found", "nothing"),
        ({"steps": [FETCH]}, {}, "invalid_workflow_slug", "workflow_slug"),
        (ETL, {"until": "dubble"}, "missing_step", 'Did you mean "double"'),
        (ETL, {"until": 7}, "missing_step", "7"),
        (ETL, {"until": ["fetch"]}, "missing_step", "fetch"),
        (ETL, {"outputs": {"dubble": [1]}}, "invalid_outputs", 'Did you mean "double"'),
        (ETL, {"outputs": {"double": 7}}, "invalid_outputs", "list"),
        (ETL, {"outputs": {"fetch": {"no": "list"}}}, "invalid_outputs", "try.fetch"),
        (ETL, {"outputs": {"fetch": {1, 2}}}, "invalid_outputs", "JSON"),
        (ETL, {"outputs": [1]}, "invalid_outputs", "object"),
        (ETL, {"input": {1, 2}}, "invalid_input", "JSON"),
        ({**ETL, "input_schema": NEEDS_A}, {"input": {"b": 1}}, "invalid_input", "input_schema"),
        (document_of({**DOUBLE, "depends_on": []}), {"input": 7}, "type_violation", "double"),
    ],
)
def test_what_can_not_be_tried_is_refused_and_nothing_starts(
    document: Any, options: dict[str, Any], code: str, words: str
) -> None:
    drafts.create("tried", ETL, user="ada")
    with pytest.raises(PgflowError) as caught:
        executor.start_trial(document, **{"allow_effects": True, **options})
    assert caught.value.code == code
    assert words in str(caught.value)
    assert not WorkflowRun.objects.exists()
    assert not WorkflowVersion.objects.exists()


def test_an_output_larger_than_any_step_may_return_is_refused(settings: Any) -> None:
    settings.PGFLOW = {"MAX_OUTPUT_BYTES": 100}
    with pytest.raises(InvalidInput, match="100"):
        executor.start_trial(ETL, outputs={"fetch": [1] * 200}, until="double")


def test_a_failed_trial_is_explained_and_taken_up_again() -> None:
    def broken(input: dict[str, Any]) -> int:
        raise ValueError("no")

    registry.register(broken, "try.broken")
    run = executor.start_trial(
        document_of({"slug": "bad", "uses": "try.broken", "max_attempts": 1}), allow_effects=True
    )
    executor.drain()
    found = explain_run(run.pk)
    assert (found.status, found.cause and found.cause.step) == ("failed", "bad")
    assert [action.command for action in found.next] == [f"python manage.py retryrun {run.pk}"]
    registry.unregister("try.broken")
    registry.register(lambda input: 2, "try.broken")
    executor.retry_run(run.pk)
    assert output_of(run) == {"bad": 2}


def test_a_trial_that_breaks_a_contract_is_tried_anew_once_the_draft_is_corrected() -> None:
    step_function("try.strict", params={"type": "object", "required": ["n"]})(lambda input: 1)
    strict = {"slug": "strict", "uses": "try.strict", "max_attempts": 1}
    run = executor.start_trial(document_of({**strict, "params": {"n": 1}}), allow_effects=True)
    step_function("try.strict", params={"type": "object", "required": ["m"]})(lambda input: 1)
    executor.drain()
    (action,) = explain_run(run.pk).next
    assert action.command == ""
    assert "Correct the document, then try it anew" in action.why
    drafts.create("tried", ETL, user="ada")
    (action,) = explain_run(run.pk).next
    assert action.command == "python manage.py runflow tried --draft --yes"
    assert "Correct the draft, then try it anew" in action.why


def test_a_failed_trial_is_not_compared_with_what_was_published() -> None:
    flow_builder.create_flow_from_spec(document_of(FETCH))
    executor.start_flow("tried")
    executor.drain()
    registry.register(lambda input: 1 / 0, "try.zero")
    zero = {"slug": "zero", "uses": "try.zero", "max_attempts": 1}
    trial = executor.start_trial(document_of(FETCH, zero), until="zero", allow_effects=True)
    executor.drain()
    found = explain_run(trial.pk)
    assert found.status == "failed"
    assert found.changed_since_success is None


def test_trials_tell_nothing_of_how_long_steps_take_or_of_successes() -> None:
    drafts.create("tried", ETL, user="ada")
    executor.start_trial("tried", outputs={"double": [1]}, allow_effects=True)
    executor.drain()
    drafts.publish("tried", drafts.load("tried").version, user="ada")
    assert {step.seconds.source for step in times_of("tried")} == {"timeout"}
    executor.start_flow("tried")
    executor.drain()
    assert {step.seconds.n for step in times_of("tried")} == {1, 3}


def times_of(slug: str) -> Any:
    return simulate_flow(slug, outputs={"fetch": [1]}).steps


def test_trials_are_pruned_after_their_days_whatever_else_stays() -> None:
    flow_builder.create_flow_from_spec(document_of(FETCH))
    runs = [executor.start_flow("tried").pk, executor.start_trial("tried").pk]
    young = executor.start_trial("tried").pk
    executor.drain()
    query("update workflow_runs set ended_at = now() - interval '8 days' where id = any(%s)", runs)
    query("alter table workflow_versions disable trigger user")
    query("update workflow_versions set created_at = now() - interval '8 days'")
    query("alter table workflow_versions enable trigger user")
    now = value("select now()")
    month, week = now - timedelta(days=30), now - timedelta(days=7)
    assert prune(month, ["completed"], trials_before=week, batch=100, using="default") == 1
    assert set(WorkflowRun.objects.values_list("id", flat=True)) == {runs[0], young}
    versions = WorkflowVersion.objects.order_by("version").values_list("version", flat=True)
    assert list(versions) == [0, 1]
    assert not WorkflowVersionStep.objects.exclude(
        version_id__in=WorkflowVersion.objects.values("id")
    ).exists()


def test_the_version_of_a_trial_goes_with_it_while_others_write_runs() -> None:
    trial = executor.start_trial(document_of(FETCH), outputs={"fetch": ["secret"]})
    executor.drain()
    later = value("select now() + interval '1 day'")
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters) as other:
        other.execute("lock table workflow_runs in row exclusive mode")
        assert prune(later, ["completed"], trials_before=later, batch=100, using="default") == 1
    assert not WorkflowRun.objects.filter(pk=trial.pk).exists()
    assert not WorkflowVersionStep.objects.exists()


def test_a_constant_of_the_flow_is_not_given() -> None:
    constant = {"uses": GIVEN, "params": {"value": 7}}
    steps = (
        {"slug": "root", **constant},
        FETCH,
        {"slug": "each", "type": "map", "depends_on": ["fetch"], **constant},
    )
    run = executor.start_trial(document_of(*steps), outputs={"fetch": [1, 2]})
    executor.drain()
    steps_now = load(run.pk, using="default").steps
    assert [step.slug for step in steps_now if step.is_given] == ["fetch"]
    assert executor.get_run_status(run.pk).result() == {"root": 7, "each": [7, 7]}


def test_a_given_step_waits_for_no_worker_of_its_own_queue() -> None:
    far = {**FETCH, "queue": "gpu"}
    run = executor.start_trial(document_of(far, DOUBLE), outputs={"fetch": [1]})
    assert set(WorkflowVersionStep.objects.values_list("queue", flat=True)) == {"default"}
    assert executor.drain(queues=["default"], timeout=10)
    assert executor.get_run_status(run.pk).status == "completed"
    alone = executor.start_trial(document_of(far), outputs={"fetch": [1]})
    assert executor.get_run_status(alone.pk).status == "started"


class Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    when: datetime
    number: UUID

    @computed_field
    def twice(self) -> int:
        return 2


class Told(BaseModel):
    n: int

    @field_serializer("n")
    def say(self, n: int) -> str:
        return f"<{n}>"


@pytest.mark.parametrize(
    ("hint", "made", "wrong"),
    [
        (Row, Row(when=datetime(2026, 1, 1, tzinfo=UTC), number=UUID(int=1)), {"when": 1}),
        (Told, Told(n=1), {"n": 1}),
        (list[Told], [Told(n=1)], {"n": "<1>"}),
    ],
)
def test_what_a_step_has_given_can_be_given_to_a_trial(hint: Any, made: Any, wrong: Any) -> None:
    step_function("try.made", output=hint, effects="none")(lambda input: made)
    document = document_of({"slug": "made", "uses": "try.made"})
    output = output_of(executor.start_trial(document))["made"]
    run = executor.start_trial(document, outputs={"made": output})
    assert output_of(run) == {"made": output}
    with pytest.raises(InvalidInput, match="is not what its function"):
        executor.start_trial(document, outputs={"made": wrong})


# -- agreement ---------------------------------------------------------------------------------


def document_of_random(steps: list[Step]) -> dict[str, Any]:
    """The steps as a document, and their functions registered."""
    rows: list[dict[str, Any]] = []
    for number, step in enumerate(steps):
        step_function(f"try.{step.slug}", effects="none")(_pure(step))
        row: dict[str, Any] = {
            "slug": step.slug,
            "uses": f"try.{step.slug}",
            "depends_on": [*step.deps],
            "description": "x" * (number % 2),
        }
        if step.is_map:
            row |= {"type": "map", "initial_tasks": step.initial_tasks}
        if number % 3 == 1:
            row |= {"queue": "other", "timeout": 7, "params": {"n": None}}
        rows.append(row)
    return document_of(*rows, max_attempts=0)


def _pure(step: Step) -> Any:
    return lambda input: work(step, input)


def pinned_rows(run_id: Any) -> list[Any]:
    version = WorkflowRun.objects.get(pk=run_id).version_id
    head = WorkflowVersion.objects.get(pk=version)
    rows = list(
        WorkflowVersionStep.objects.filter(version_id=version).order_by("step_index").values()
    )
    for row in rows:
        del row["version_id"]
    return [{"queues": sorted(head.queues), "map": head.has_root_map}, *rows]


@settings(max_examples=15, deadline=None)
@given(steps=flows(), run_input=st.sampled_from([{"n": 1}, [1, 2], []]), data=st.data())
def test_a_trial_ends_as_the_published_flow_does(
    steps: list[Step], run_input: Any, data: st.DataObject
) -> None:
    expected = expect(steps, run_input, healed=True)
    if expected.violating:
        return
    clean()
    document = document_of_random(steps)
    whole = executor.start_trial(document, run_input)
    assert output_of(whole) == expected.output
    flow_builder.create_flow_from_spec(document)
    run = executor.start_flow("tried", run_input)
    assert output_of(run) == expected.output
    assert pinned_rows(whole.pk) == pinned_rows(run.pk)

    slugs = sorted(expected.outputs)
    until = data.draw(st.sampled_from(slugs))
    given_steps = data.draw(st.sets(st.sampled_from(slugs), max_size=3))
    outputs = {slug: expected.outputs[slug] for slug in given_steps}
    part = executor.start_trial(document, run_input, outputs=outputs, until=until)
    assert output_of(part) == {until: expected.outputs[until]}
    functions = {step.slug: step.function for step in load(part.pk, using="default").steps}
    assert {slug for slug, name in functions.items() if name == GIVEN} <= given_steps
