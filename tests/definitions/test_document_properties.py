"""Flow documents by Hypothesis: what validation accepts is stored, and comes back the same."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgflow_django import flow_builder
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.definitions.shape import canonical, read_document, write_document
from pgflow_django.exceptions import PgflowError
from pgflow_django.flow_builder import validate_flow
from pgflow_django.models import Workflow, WorkflowStep, WorkflowStepDependency
from tests.engine.effort import EFFORT

from .documents import mutated_documents, valid_documents

database = settings(
    max_examples=20 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def errors(document: Any) -> list[str]:
    return [problem.code for problem in validate_flow(document) if problem.severity == "error"]


def same(one: Any, other: Any) -> bool:
    return canonical(read_document(one)) == canonical(read_document(other))


@given(valid_documents())
def test_valid_documents_have_no_errors(document: Any) -> None:
    assert errors(document) == []


@given(valid_documents())
def test_the_shortest_document_says_the_same(document: Any) -> None:
    shortest = write_document(read_document(document))
    assert same(shortest, document)
    assert write_document(read_document(shortest)) == shortest
    assert len(json.dumps(shortest)) <= len(json.dumps({"steps": [], **document}))


@given(mutated_documents())
def test_validation_takes_anything_and_tells_it_in_json(document: Any) -> None:
    problems = validate_flow(document)
    json.dumps([problem.to_dict() for problem in problems])
    assert all(problem.message.endswith((".", "?")) for problem in problems)


@given(mutated_documents())
def test_every_fix_can_be_applied_and_mends_its_problem(document: Any) -> None:
    for problem in validate_flow(document):
        if problem.fix:
            fixed = validate_flow(apply_patch(document, problem.fix))
            assert problem not in fixed


@pytest.mark.django_db
@given(valid_documents())
@database
def test_a_stored_document_comes_back_the_same(document: Any) -> None:
    Workflow.objects.all().delete()
    slug = document["workflow_slug"]
    flow_builder.create_flow_from_spec(document)
    exported = flow_builder.export_flow(slug)
    assert exported == write_document(read_document(document))
    check_now()
    flow_builder.delete_flow(slug)
    flow_builder.create_flow_from_spec(exported)
    assert flow_builder.export_flow(slug) == exported


@pytest.mark.django_db
@given(mutated_documents())
@database
def test_the_database_takes_what_validation_accepts(document: Any) -> None:
    Workflow.objects.all().delete()
    if errors(document):
        with pytest.raises(PgflowError) as caught:
            flow_builder.create_flow_from_spec(document)
        assert caught.value.code == errors(document)[0]
        assert not Workflow.objects.exists()
    else:
        flow_builder.create_flow_from_spec(document)
        check_now()


@pytest.mark.django_db
@given(st.lists(valid_documents(slug="flow"), min_size=2, max_size=4))
@database
def test_replacing_makes_any_flow_any_other(documents: list[Any]) -> None:
    Workflow.objects.all().delete()
    version = flow_builder.create_flow_from_spec(documents[0]).version
    for before, document in itertools.pairwise(documents):
        workflow = flow_builder.create_flow_from_spec(document, replace=True)
        check_now()
        version += not same(before, document)
        assert workflow.version == version
        assert flow_builder.export_flow("flow") == write_document(read_document(document))


@pytest.mark.django_db
@given(st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), unique=True), min_size=1,
))  # fmt: skip
@database
def test_sql_and_python_agree_about_cycles(graph: dict[str, list[str]]) -> None:
    document = {
        "workflow_slug": "flow",
        "steps": [
            {"slug": step, "depends_on": [d for d in dependencies if d in graph and d != step]}
            for step, dependencies in graph.items()
        ],
    }
    refused = False
    try:
        with transaction.atomic():
            store_unchecked(document)
            check_now()
    except IntegrityError as error:
        assert "has a cycle: " in str(error)  # noqa: PT017 - either way is right
        refused = True
    assert refused == ("cycle_detected" in errors(document))
    Workflow.objects.all().delete()


def store_unchecked(document: Any) -> None:
    Workflow.objects.create(workflow_slug="flow")
    for index, step in enumerate(document["steps"]):
        WorkflowStep.objects.create(workflow_slug="flow", step_slug=step["slug"], step_index=index)
    WorkflowStepDependency.objects.bulk_create(
        WorkflowStepDependency(workflow_slug="flow", dep_slug=dependency, step_slug=step["slug"])
        for step in document["steps"]
        for dependency in step["depends_on"]
    )


def check_now() -> None:
    """Run the checks that wait for the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        cursor.execute("set constraints all deferred")
