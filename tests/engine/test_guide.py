"""The guide's examples, line by line, in Python: what it shows in Elixir works here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from pgflow_django import (
    InvalidSlug,
    PgflowError,
    WorkflowNotFound,
    executor,
    flow_builder,
)
from pgflow_django.models import Workflow
from tests.engine.invariants import check_all_ended


def test_quick_start_runs_a_hundred_items_in_parallel() -> None:
    # 1. AI generates workflow structure
    flow_builder.create_flow("ai_data_pipeline", max_attempts=5, timeout=60)

    # 2. AI adds steps with dependencies
    flow_builder.add_step("ai_data_pipeline", "fetch_data", [])
    flow_builder.add_step(
        "ai_data_pipeline", "process_batch", ["fetch_data"], step_type="map", initial_tasks=100
    )
    flow_builder.add_step("ai_data_pipeline", "save_results", ["process_batch"])

    # 3. Provide step implementations
    saved: list[Any] = []

    def save_results(input: dict[str, Any]) -> dict[str, bool]:
        saved.extend(input["process_batch"])
        return {"saved": True}

    step_functions = {
        "fetch_data": lambda input: list(range(1, 101)),
        "process_batch": lambda input: {"processed": input["item"] * 2},
        "save_results": save_results,
    }

    # 4. Execute!
    result = executor.execute_dynamic("ai_data_pipeline", {"initial": "data"}, step_functions)
    assert result == {"save_results": {"saved": True}}
    assert saved == [{"processed": n * 2} for n in range(1, 101)]
    check_all_ended()


def test_create_flow_gives_the_flow_or_says_that_its_name_is_invalid() -> None:
    workflow = flow_builder.create_flow("my_workflow", max_attempts=3, timeout=30)
    assert (workflow.workflow_slug, workflow.max_attempts, workflow.timeout) == (
        "my_workflow",
        3,
        30,
    )
    for slug in ("1st", "my-workflow", "", "my workflow", "run"):
        with pytest.raises(InvalidSlug) as caught:
            flow_builder.create_flow(slug)
        assert caught.value.code == "invalid_workflow_slug"


def test_add_step_takes_the_options_of_the_guide() -> None:
    flow_builder.create_flow("my_workflow")
    flow_builder.add_step("my_workflow", "dep1", [])
    flow_builder.add_step("my_workflow", "dep2", [])
    step = flow_builder.add_step(
        "my_workflow",
        "step_name",
        ["dep1", "dep2"],
        step_type="single",
        initial_tasks=None,
        max_attempts=5,
        timeout=120,
    )
    assert (step.max_attempts, step.timeout, step.deps_count) == (5, 120, 2)


def test_map_step_rules() -> None:
    flow_builder.create_flow("maps")
    flow_builder.add_step("maps", "over_input", [], step_type="map")
    flow_builder.add_step("maps", "over_output", ["over_input"], step_type="map")
    with pytest.raises(PgflowError) as caught:
        flow_builder.add_step("maps", "bad", ["over_input", "over_output"], step_type="map")
    assert caught.value.code == "map_step_constraint_violation"
    output = executor.execute_dynamic(
        "maps",
        [1, 2],
        {"over_input": lambda i: i["item"] + 1, "over_output": lambda i: i["item"] * 10},
    )
    assert output == {"over_output": [20, 30]}


def test_execute_dynamic_takes_seconds_where_the_guide_has_milliseconds() -> None:
    flow_builder.create_flow("timed")
    flow_builder.add_step("timed", "only", [])
    result = executor.execute_dynamic(
        "timed", {"input": "data"}, {"only": lambda i: i["input"]}, timeout=300.0, poll_interval=0.2
    )
    assert result == {"only": "data"}
    with pytest.raises(WorkflowNotFound) as caught:
        executor.execute_dynamic("workflow_slug", {"input": "data"}, {})
    assert caught.value.code == "workflow_not_found"


def test_pattern_1_generates_a_workflow_from_natural_language() -> None:
    def ask_claude(prompt: str) -> dict[str, Any]:
        assert "Summarise" in prompt
        answer = """{
          "workflow_slug": "summarise_news",
          "steps": [
            {"slug": "search", "depends_on": [], "type": "single"},
            {"slug": "read", "depends_on": ["search"], "type": "map"},
            {"slug": "summarise", "depends_on": ["read"], "type": "single"}
          ]
        }"""
        return dict(json.loads(answer))

    def generate_from_prompt(prompt: str) -> Any:
        workflow_spec = ask_claude(f"Generate a workflow for: {prompt}")
        flow_builder.create_flow(workflow_spec["workflow_slug"])
        for step in workflow_spec["steps"]:
            flow_builder.add_step(
                workflow_spec["workflow_slug"],
                step["slug"],
                step["depends_on"],
                step_type=step["type"],
            )
        step_functions = {
            "search": lambda input: [f"{input['prompt']} #{n}" for n in range(3)],
            "read": lambda input: input["item"].upper(),
            "summarise": lambda input: " / ".join(input["read"]),
        }
        return executor.execute_dynamic(
            workflow_spec["workflow_slug"], {"prompt": prompt}, step_functions
        )

    assert generate_from_prompt("Summarise") == {
        "summarise": "SUMMARISE #0 / SUMMARISE #1 / SUMMARISE #2"
    }


def test_the_spec_of_pattern_1_is_a_flow_document_as_it_stands() -> None:
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": "spec",
            "steps": [
                {"slug": "search", "depends_on": [], "type": "single"},
                {"slug": "read", "depends_on": ["search"], "type": "map"},
            ],
        }
    )
    functions = {"search": lambda i: [1], "read": lambda i: i["item"]}
    assert executor.execute_dynamic("spec", {}, functions) == {"read": [1]}


@dataclass
class Agent:
    slug: str
    function: Callable[[dict[str, Any]], Any]


def test_pattern_2_lets_agents_work_one_after_another() -> None:
    def create_agent_workflow(agents: list[Agent]) -> Any:
        flow_builder.create_flow("multi_agent_task")
        prev_step = None
        for agent in agents:
            deps = [prev_step] if prev_step else []
            flow_builder.add_step("multi_agent_task", agent.slug, deps)
            prev_step = agent.slug
        step_functions = {agent.slug: agent.function for agent in agents}
        return executor.execute_dynamic("multi_agent_task", {}, step_functions)

    agents = [
        Agent("researcher", lambda input: ["fact 1", "fact 2"]),
        Agent("writer", lambda input: " and ".join(input["researcher"])),
        Agent("reviewer", lambda input: f"approved: {input['writer']}"),
    ]
    assert create_agent_workflow(agents) == {"reviewer": "approved: fact 1 and fact 2"}


def test_pattern_3_runs_two_variants_in_parallel() -> None:
    config_a = {"fetch": [], "rank": ["fetch"]}
    config_b = {"fetch": [], "filter": ["fetch"], "rank": ["filter"]}
    both_run = threading.Barrier(2)

    def create_variant(variant_name: str, steps: dict[str, list[str]]) -> str:
        workflow_slug = f"ab_test_{variant_name}"
        flow_builder.create_flow(workflow_slug)
        for step_name, depends_on in steps.items():
            flow_builder.add_step(workflow_slug, step_name, depends_on)
        return workflow_slug

    def fetch(input: dict[str, Any]) -> list[int]:
        both_run.wait(30)  # neither goes on before the other runs, too
        return [3, 1, 2, *range(input["n"])]

    step_fns = {
        "fetch": fetch,
        "filter": lambda input: [n for n in input["fetch"] if n > 1],
        "rank": lambda input: min(input["filter" if "filter" in input else "fetch"]),
    }

    def execute(workflow_slug: str) -> Any:
        try:
            return executor.execute_dynamic(workflow_slug, {"n": 1}, step_fns)
        finally:
            connections.close_all()

    variants = [create_variant("a", config_a), create_variant("b", config_b)]
    with ThreadPoolExecutor(2) as tasks:
        assert list(tasks.map(execute, variants)) == [{"rank": 0}, {"rank": 2}]
    check_all_ended()


def test_helper_functions_list_get_and_delete_workflows() -> None:
    flow_builder.create_flow("my_workflow", max_attempts=4)
    flow_builder.add_step("my_workflow", "step1", [])
    flow_builder.add_step("my_workflow", "step2", ["step1"])
    flow_builder.create_flow("old_workflow")

    listed = [(w["workflow_slug"], w["max_attempts"]) for w in flow_builder.list_flows()]
    assert listed == [("old_workflow", 3), ("my_workflow", 4)]

    workflow = flow_builder.get_flow("my_workflow")
    assert workflow["workflow_slug"] == "my_workflow"
    steps = [(step["step_slug"], step["depends_on"]) for step in workflow["steps"]]
    assert steps == [("step1", []), ("step2", ["step1"])]

    assert flow_builder.delete_flow("old_workflow") is None
    assert [w["workflow_slug"] for w in flow_builder.list_flows()] == ["my_workflow"]


def test_migration_path_from_static_to_dynamic_executes_identically() -> None:
    class MyWorkflow:
        @staticmethod
        def __workflow_steps__() -> list[Any]:
            return [("step1", MyWorkflow.step1, {"depends_on": []})]

        @staticmethod
        def step1(input: dict[str, Any]) -> Any:
            return input["run"]

    before = executor.execute(MyWorkflow, {"any": "input"})
    assert Workflow.objects.get().workflow_slug == "my_workflow"
    flow_builder.delete_flow("my_workflow")

    flow_builder.create_flow("my_workflow")
    flow_builder.add_step("my_workflow", "step1", [])
    after = executor.execute_dynamic("my_workflow", {"any": "input"}, {"step1": MyWorkflow.step1})
    assert before == after == {"step1": {"any": "input"}}
