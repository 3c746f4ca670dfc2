"""The slug rule, orders, cycles and nearest names."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from pgflow_django import flow_builder
from pgflow_django.definitions.graph import (
    did_you_mean,
    find_cycle,
    is_valid_slug,
    nearest_names,
    topological_order,
)
from pgflow_django.models import Workflow, WorkflowStep

from .slugs import INVALID_IN_PYTHON, INVALID_SLUGS, VALID_SLUGS

SLUGS = st.sampled_from([f"s{number}" for number in range(12)])
GRAPHS = st.dictionaries(SLUGS, st.lists(SLUGS, unique=True, max_size=4), max_size=12)


def chain(length: int) -> dict[str, list[str]]:
    return {f"s{i}": [f"s{j}" for j in range(max(0, i - 10), i)] for i in range(length)}


@pytest.mark.parametrize("slug", VALID_SLUGS)
def test_valid_slugs(slug: str) -> None:
    assert is_valid_slug(slug)
    assert flow_builder.is_valid_slug(slug)


@pytest.mark.parametrize("slug", [*INVALID_SLUGS, *INVALID_IN_PYTHON])
def test_invalid_slugs(slug: Any) -> None:
    assert not is_valid_slug(slug)


@pytest.mark.django_db
@pytest.mark.parametrize("slug", VALID_SLUGS)
def test_valid_slugs_are_stored(slug: str) -> None:
    Workflow.objects.create(workflow_slug=slug)
    WorkflowStep.objects.create(workflow_slug=slug, step_slug=slug, step_index=0)
    assert WorkflowStep.objects.get(workflow_slug=slug).step_slug == slug


@pytest.mark.django_db
@pytest.mark.parametrize("slug", INVALID_SLUGS)
def test_the_database_refuses_invalid_slugs(slug: str) -> None:
    with (
        pytest.raises(IntegrityError, match="workflow_slug_follows_the_slug_rule"),
        transaction.atomic(),
    ):
        Workflow.objects.create(workflow_slug=slug)
    Workflow.objects.create(workflow_slug="flow")
    with pytest.raises(IntegrityError, match="step_slug_follows_the_slug_rule"):
        WorkflowStep.objects.create(workflow_slug="flow", step_slug=slug, step_index=0)


def test_order_puts_dependencies_first_and_keeps_the_order_of_definition() -> None:
    graph = {"join": ["b", "a"], "a": [], "b": ["a"], "alone": []}
    assert topological_order(graph) == ["a", "alone", "b", "join"]


def test_order_leaves_out_what_is_in_or_behind_a_cycle() -> None:
    graph = {"a": [], "b": ["c"], "c": ["b", "a"], "behind": ["c"]}
    assert topological_order(graph) == ["a"]


def test_order_ignores_unknown_and_repeated_dependencies() -> None:
    assert topological_order({"a": ["nobody"], "b": ["a", "a"]}) == ["a", "b"]


def test_the_cycle_is_told_in_the_order_of_work_from_its_first_step() -> None:
    graph = {"z": [], "a": ["c", "z"], "b": ["a"], "c": ["b"], "behind": ["c"]}
    assert find_cycle(graph) == ["a", "b", "c", "a"]
    assert find_cycle({"a": ["a"]}) == ["a", "a"]
    assert find_cycle({"a": [], "b": ["a"]}) is None


@given(GRAPHS)
def test_a_graph_has_either_an_order_or_a_cycle(graph: dict[str, list[str]]) -> None:
    order, cycle = topological_order(graph), find_cycle(graph)
    assert (len(order) == len(graph)) == (cycle is None)
    for step in order:
        assert all(
            order.index(dependency) < order.index(step)
            for dependency in graph[step]
            if dependency in graph
        )
    if cycle:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(before in graph[step] for before, step in itertools.pairwise(cycle))


def test_the_largest_flows_are_no_burden() -> None:
    graph = chain(2_000)
    graph["s0"] = ["s1999"]
    started = time.process_time()
    cycle = find_cycle(graph)
    assert cycle is not None
    assert cycle[0] == "s0"
    assert time.process_time() - started < 1


def test_nearest_names_ignore_case_and_come_best_first() -> None:
    names = ["report", "Reports", "deploy", "x"]
    assert nearest_names("REPORT", names) == ["report", "Reports"]
    assert nearest_names("zzz", names) == []
    assert nearest_names(None, names) == []
    assert did_you_mean(["a", "b"]) == ' Did you mean "a" or "b"?'
    assert did_you_mean([]) == ""
