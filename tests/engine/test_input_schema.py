"""What a run is started with fits its flow's schema, by whichever door it comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from pgflow_django import Flow, engine, executor, flow_builder, step, validate_flow
from pgflow_django.checks import check_databases
from pgflow_django.exceptions import InvalidInput, InvalidWorkflow
from pgflow_django.models import Workflow, WorkflowRun
from tests.engine.building import build
from tests.engine.conftest import Register

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "maxLength": 10},
        "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}},
    },
    "required": ["day"],
    "$defs": {"row": {"anyOf": [{"type": "integer"}, {"enum": ["all", None]}]}},
}
GOOD = {"day": "today", "rows": [1, "all", None], "more": True}
BAD = {"day": 7, "rows": [1, "none"]}


def functions() -> dict[str, Any]:
    return {"a": lambda input: input["day"]}


DOORS: dict[str, Callable[[Any], Any]] = {
    "start_flow": lambda given: executor.start_flow("flow", given),
    "start_flows": lambda given: executor.start_flows("flow", [GOOD, given]),
    "execute_dynamic": lambda given: executor.execute_dynamic("flow", given, functions()),
    "astart_flow": lambda given: async_to_sync(executor.astart_flow)("flow", given),
    "aexecute_dynamic": lambda given: async_to_sync(executor.aexecute_dynamic)(
        "flow", given, functions()
    ),
}


def build_flow(schema: Any = SCHEMA) -> None:
    build("flow", {"a": []}, input_schema=schema)


@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_what_does_not_fit(door: str) -> None:
    build_flow()
    for _ in range(2):  # with a schema that is not known yet, and with one that is
        with pytest.raises(InvalidInput) as caught:
            DOORS[door](BAD)
        assert caught.value.code == "invalid_input"
        assert [(one.pointer, one.message) for one in caught.value.problems] == [
            ("/day", "should be a string, is 7"),
            ("/rows/1", 'should fit one of the alternatives, is "none"'),
        ]
        assert "/day: should be a string, is 7" in str(caught.value)
        assert not WorkflowRun.objects.exists()
    DOORS[door](GOOD)
    assert WorkflowRun.objects.exists()


def test_runflow_refuses_it(capsys: pytest.CaptureFixture[str], register: Register) -> None:
    register(functions())
    build_flow()
    with pytest.raises(SystemExit):
        call_command("runflow", "flow", "--input", json.dumps(BAD), "--json")
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "invalid_input"
    assert error["problems"][0]["pointer"] == "/day"


def test_a_flow_in_code_has_its_schema_enforced() -> None:
    class Daily(Flow):
        input_schema = SCHEMA

        @step
        def a(input: dict[str, Any]) -> Any:  # noqa: N805
            return input["day"]

    with pytest.raises(InvalidInput):
        Daily.start(BAD)
    assert executor.execute(Daily, GOOD) == {"a": "today"}


def test_a_change_of_the_schema_counts_at_once() -> None:
    build_flow()
    executor.start_flow("flow", GOOD)
    Workflow.objects.update(input_schema={"properties": {"day": {"type": "integer"}}})
    with pytest.raises(InvalidInput):
        executor.start_flow("flow", GOOD)
    executor.start_flow("flow", {"day": 7})
    Workflow.objects.update(input_schema=None)
    executor.start_flow("flow", BAD)


def test_a_run_that_has_the_key_is_given_whatever_the_input() -> None:
    build_flow()
    run = executor.start_flow("flow", GOOD, key="k")
    assert executor.start_flow("flow", BAD, key="k").id == run.id
    with pytest.raises(InvalidInput):
        executor.start_flow("flow", BAD, key="other")


def test_a_schema_that_is_known_costs_no_statement() -> None:
    build_flow()
    executor.start_flow("flow", GOOD)
    with CaptureQueriesContext(connection) as queries:
        executor.start_flow("flow", GOOD)
    known = len(queries)
    build("plain", {"a": []})
    executor.start_flow("plain", BAD)
    with CaptureQueriesContext(connection) as queries:
        executor.start_flow("plain", BAD)
    assert known == len(queries)


def test_sql_starts_what_it_is_told() -> None:
    build_flow()
    with connection.cursor() as cursor:
        cursor.execute("select pgflow.start_flow('flow', '[7]')")
    assert WorkflowRun.objects.get().input == 7
    assert engine.start_flow("flow", "[8]", using="default")


def test_a_refusal_in_a_transaction_breaks_nothing_of_it() -> None:
    build_flow()
    with transaction.atomic():
        with pytest.raises(InvalidInput):
            executor.start_flow("flow", BAD)
        executor.start_flow("flow", GOOD)
    assert WorkflowRun.objects.count() == 1


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "text"}, "/type"),
        ({"properties": []}, "/properties is [], but must be an object"),
        ({"properties": {"a": 7}}, "/properties/a is 7, but must be a schema"),
        ({"required": "day"}, "/required"),
        ({"minLength": -1}, "/minLength"),
        ({"anyOf": []}, "/anyOf"),
        ({"$ref": "https://example.com/x"}, "same schema"),
        ({"$ref": "#/$defs/nothing"}, "where no schema stands"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#"}}}, "leads back to itself"),
        ({"title": "x" * 70_000}, "at most 65,536"),
    ],
)
def test_what_is_no_schema_is_refused_where_it_is_stored(schema: Any, words: str) -> None:
    document = {"workflow_slug": "flow", "input_schema": schema, "steps": [{"slug": "a"}]}
    (found,) = validate_flow(document)
    assert (found.code, found.pointer) == ("invalid_input_schema", "/input_schema")
    assert words in found.message
    with pytest.raises(InvalidWorkflow):
        flow_builder.create_flow("flow", input_schema=schema)


def nest(levels: int) -> dict[str, Any]:
    return {"items": nest(levels - 1)} if levels > 1 else {}


def test_a_schema_has_sixteen_levels() -> None:
    assert (
        validate_flow({"workflow_slug": "f", "input_schema": nest(16), "steps": [{"slug": "a"}]})
        == []
    )
    (found,) = validate_flow(
        {"workflow_slug": "f", "input_schema": nest(17), "steps": [{"slug": "a"}]}
    )
    assert found.code == "invalid_input_schema"


def test_keywords_that_nobody_evaluates_are_a_warning_and_harmless() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"day": {"type": "string", "pattern": "(a+)+$", "format": "date"}},
        "patternProperties": {"(a+)+$": False},
        "additionalProperties": {"not": {}},
    }
    document = {"workflow_slug": "flow", "input_schema": schema, "steps": [{"slug": "a"}]}
    assert [(one.code, one.pointer, one.severity) for one in validate_flow(document)] == [
        ("unused_schema_keyword", "/input_schema/properties/day/pattern", "warning"),
        ("unused_schema_keyword", "/input_schema/patternProperties", "warning"),
        ("unused_schema_keyword", "/input_schema/additionalProperties/not", "warning"),
    ]
    build_flow(schema)
    executor.start_flow("flow", {"day": "a" * 60 + "b", "a" * 60 + "b": 1})


def test_a_schema_that_would_take_for_ever_ends_in_a_refusal() -> None:
    tree = {"properties": {"x": {"$ref": "#/$defs/tree"}}, "required": ["y"]}
    build_flow({"$ref": "#/$defs/tree", "$defs": {"tree": {"anyOf": [tree, tree]}}})
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"x": deep, "y": 1}
    with pytest.raises(InvalidInput, match="takes too long to be checked"):
        executor.start_flow("flow", deep)


def test_what_was_stored_before_and_is_none_is_a_warning_and_not_enforced() -> None:
    build_flow()
    Workflow.objects.update(input_schema={"type": "text"})
    executor.start_flow("flow", BAD)
    found = [one for one in check_databases(databases=["default"]) if one.id == "pgflow.W008"]
    assert len(found) == 1
    assert "flow" in found[0].msg
    Workflow.objects.update(input_schema=SCHEMA)
    assert not [one for one in check_databases(databases=["default"]) if one.id == "pgflow.W008"]
