"""Who started a run, and by which door."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import ProgrammingError, transaction

from pgflow_django import drafts, engine, executor, flow_builder, step_function
from pgflow_django.models import WorkflowRun

pytestmark = pytest.mark.django_db

DOCUMENT = {"workflow_slug": "flow", "steps": [{"slug": "a", "uses": "starters.give"}]}


@step_function("starters.give", effects="none")
def give(input: dict[str, Any]) -> int:
    """Give a number."""
    return 1


@step_function("starters.nest")
def nest(input: dict[str, Any]) -> str:
    """Start a run."""
    return str(executor.start_flow("flow").id)


@pytest.fixture(autouse=True)
def _flow() -> None:
    flow_builder.create_flow_from_spec(DOCUMENT)


def _starter(run: WorkflowRun) -> tuple[str, str]:
    row = WorkflowRun.objects.get(pk=run.pk)
    return row.started_by, row.via


def test_code_says_nothing_unless_it_says_who_starts() -> None:
    assert _starter(executor.start_flow("flow")) == ("", "")
    with engine.starting_as("ann", "http"):
        assert _starter(executor.start_flow("flow")) == ("ann", "http")
        runs = executor.start_flows("flow", [{}, {}])
    assert [_starter(run) for run in runs] == [("ann", "http")] * 2
    assert _starter(executor.start_flow("flow")) == ("", "")


def test_who_comes_second_with_a_key_has_not_started_the_run() -> None:
    with engine.starting_as("ann", "mcp"):
        executor.start_flow("flow", key="k")
    with engine.starting_as("bob", "http"):
        assert _starter(executor.start_flow("flow", key="k")) == ("ann", "mcp")


def test_a_trial_tells_who_tries() -> None:
    drafts.create("tried", {**DOCUMENT, "workflow_slug": "tried"}, user="ann")
    with engine.starting_as("ann", "mcp"):
        assert _starter(executor.start_trial("tried")) == ("ann", "mcp")


def test_what_the_steps_of_a_run_start_is_their_own() -> None:
    nested = {"workflow_slug": "nested", "steps": [{"slug": "a", "uses": "starters.nest"}]}
    flow_builder.create_flow_from_spec(nested)
    with engine.starting_as("ann", "http"):
        started = executor.execute_dynamic("nested")["a"]
    assert _starter(WorkflowRun.objects.get(workflow_slug="nested")) == ("ann", "http")
    assert _starter(WorkflowRun.objects.get(pk=started)) == ("", "")


@pytest.mark.parametrize("arguments", [["--detach"], []])
def test_a_command_is_a_door(arguments: list[str]) -> None:
    call_command("runflow", "flow", *arguments)
    assert _starter(WorkflowRun.objects.get()) == ("", "command")


def test_nobody_becomes_the_starter_afterwards() -> None:
    run = executor.start_flow("flow")
    with pytest.raises(ProgrammingError, match="started_by"), transaction.atomic():
        WorkflowRun.objects.filter(pk=run.pk).update(started_by="bob")
