"""``skipstep``, ``completestep``, ``rerun``, and what ``retryrun`` does to steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgflow_django import executor, flow_builder, step_function
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from pgflow_django.registry import registry
from tests.commands.calling import call

STEPS = [
    {"slug": "fetch", "uses": "deciding.fetch"},
    {"slug": "item", "uses": "deciding.item", "type": "map", "depends_on": ["fetch"]},
    {"slug": "report", "uses": "deciding.report", "depends_on": ["item"]},
]


@pytest.fixture
def run(db: None) -> Iterator[WorkflowRun]:
    """Give a run whose item 1 failed, and whose others may have been cut off."""
    before = dict(registry._functions)
    broken = {1}

    @step_function("deciding.fetch")
    def fetch(input: dict[str, Any]) -> list[int]:
        return [1, 2, 3]

    @step_function("deciding.item")
    def item(input: dict[str, Any]) -> int:
        if input["index"] in broken:
            raise ValueError("no such item")
        return int(input["item"]) * 2

    @step_function("deciding.report")
    def report(input: dict[str, Any]) -> int:
        return sum(value or 0 for value in input["item"])

    flow_builder.create_flow_from_spec(
        {"workflow_slug": "deciding", "max_attempts": 1, "base_delay": 0, "steps": STEPS}
    )
    started = executor.start_flow("deciding", {"n": 1})
    executor.drain()
    yield WorkflowRun.objects.get(pk=started.pk)
    registry._functions.clear()
    registry._functions.update(before)


def output(run: WorkflowRun) -> Any:
    executor.drain()
    return WorkflowRun.objects.get(pk=run.pk).output


def test_an_item_is_skipped(run: WorkflowRun) -> None:
    answer = call("skipstep", str(run.pk), "item", index="1", reason="no such customer")
    assert answer.status == 0
    assert answer.stdout == (
        f'Run {run.pk} of flow "deciding": task 1 of step "item" is skipped. It is started.\n'
    )
    assert output(run) == {"report": 8}
    event = WorkflowRunEvent.objects.get(run_id=run.pk, kind="skipped")
    assert event.data is not None
    assert event.data["reason"] == "no such customer"
    assert event.data["by"].startswith("command:")


def test_a_step_is_skipped_with_what_comes_after_it(run: WorkflowRun) -> None:
    answer = call("skipstep", str(run.pk), "item", downstream=True, json=True)
    assert answer.status == 0
    assert answer.json["steps"] == ["item", "report"]
    assert answer.json["status"] == "completed"


def test_an_item_is_completed_from_a_file_and_the_run_is_held(
    run: WorkflowRun, tmp_path: Path
) -> None:
    file = tmp_path / "item.json"
    file.write_text("40")
    answer = call("completestep", str(run.pk), "item", index="1", output=f"@{file}", hold=True)
    assert 'task 1 of step "item" is completed. It is paused.' in answer.stdout
    assert f"To let it go on: python manage.py resumerun {run.pk}" in answer.stderr
    call("resumerun", str(run.pk))
    assert output(run) == {"report": 48}


@pytest.mark.parametrize(
    ("arguments", "options", "code"),
    [
        (["nowhere"], {}, "step_not_found"),
        (["item"], {"index": "7"}, "task_not_found"),
        (["fetch"], {}, "step_already_done"),
        (["item"], {"index": "x"}, "bad_usage"),
        (["item"], {"index": "-1"}, "bad_usage"),
    ],
)
def test_what_can_not_be_skipped_is_refused(
    run: WorkflowRun, arguments: list[str], options: dict[str, str], code: str
) -> None:
    answer = call("skipstep", str(run.pk), *arguments, json=True, **options)
    assert answer.status == 2
    assert answer.json["error"]["code"] == code
    assert WorkflowRun.objects.get(pk=run.pk).status == "failed"


def test_an_output_that_is_no_json_is_told_with_its_place(run: WorkflowRun) -> None:
    answer = call("completestep", str(run.pk), "item", output="{")
    assert answer.status == 2
    assert "--output" in answer.stderr
    assert WorkflowRun.objects.get(pk=run.pk).status == "failed"


def test_one_item_is_tried_first(run: WorkflowRun) -> None:
    answer = call("retryrun", str(run.pk), step="item", index="1")
    assert answer.stdout == (
        f'Run {run.pk} of flow "deciding" is paused, and task 1 of step "item" is tried, by the '
        "workers.\n"
    )
    assert f"To let the rest follow: python manage.py resumerun {run.pk}" in answer.stderr
    assert call("retryrun", str(run.pk), step="item").status == 2


def test_what_waits_has_its_next_attempt_now(run: WorkflowRun) -> None:
    patient = {"workflow_slug": "patient", "max_attempts": 2, "base_delay": 600, "steps": STEPS}
    flow_builder.create_flow_from_spec(patient)
    waiting = executor.start_flow("patient")
    assert executor.drain(timeout=0.5) is False
    answer = call("retryrun", str(waiting.pk), now=True)
    assert answer.stdout == (
        f'Run {waiting.pk} of flow "patient": 1 task has its next attempt now.\n'
    )
    assert call("retryrun", str(waiting.pk), now=True, json=True).json["error"]["code"] == (
        "nothing_to_retry"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"index": "1"},
        {"here": True, "step": "item"},
        {"here": True, "now": True},
        {"now": True, "hold": True},
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    run: WorkflowRun, options: dict[str, Any]
) -> None:
    assert call("retryrun", str(run.pk), json=True, **options).json["error"]["code"] == "bad_usage"


def test_a_rerun_has_the_same_input_or_another(run: WorkflowRun) -> None:
    same = call("rerun", str(run.pk), json=True).json
    other = call("rerun", str(run.pk), input='{"n": 2}', json=True).json
    runs = WorkflowRun.objects.in_bulk([same["run_id"], other["run_id"]], field_name="pk")
    assert sorted(each.input["n"] for each in runs.values()) == [1, 2]
    assert {each.rerun_of for each in runs.values()} == {run.pk}
    answer = call("rerun", str(run.pk))
    assert f'of flow "deciding" is started: a rerun of {run.pk}.' in answer.stdout


def test_a_rerun_from_a_step_takes_over_what_was_done(run: WorkflowRun) -> None:
    new = call("rerun", str(run.pk), from_step="item", json=True).json
    states = WorkflowRun.objects.get(pk=new["run_id"]).step_states
    assert dict(states.values_list("step_slug", "status"))["fetch"] == "completed"
    refused = call("rerun", str(run.pk), from_step="report", json=True)
    assert (refused.status, refused.json["error"]["code"]) == (2, "rerun_not_possible")
