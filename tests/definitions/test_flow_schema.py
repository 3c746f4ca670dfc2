"""The JSON Schema of documents, and that it agrees with what validates them."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator as Draft

from pgflow_django import flow_schema, step_function, validate_flow
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS
from tests.engine.effort import EFFORT

from .documents import mutated_documents, valid_documents

#: Codes of errors that no schema can express, wherever they are.
BEYOND = {
    *("missing_dependencies", "self_dependency", "cycle_detected", "duplicate_step_slug"),
    *("unknown_source", "too_many_dependencies", "invalid_input_schema"),
}
#: Of the registered functions, those that the made documents may name.
NAMES = ["fetch", "fetch_2"]

much = settings(
    max_examples=60 * EFFORT,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def functions() -> None:
    for name in NAMES:
        step_function(name)(lambda input: input)


def plain(value: Any) -> Any:
    """A document without what only Python tells apart: 5.0 is 5 to a schema."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def told(document: Any) -> list[Any]:
    """The errors of a document, with functions that there aren't among them."""
    problems = validate_flow(document)
    return [one for one in problems if one.severity == "error" or one.code == "unknown_function"]


def can_be_expressed(document: Any, problem: Any) -> bool:
    """Whether a schema can say what a problem says: text that can't be stored is beyond it."""
    if problem.code in BEYOND:
        return False
    return "\\u" not in json.dumps(document) and "bytes of JSON" not in problem.message


@given(valid_documents())
@much
def test_the_schema_takes_valid_documents(functions: None, document: Any) -> None:
    refused = [error.json_path for error in Draft(flow_schema()).iter_errors(plain(document))]
    assert bool(refused) == any(one.code == "unknown_function" for one in told(document))


@given(mutated_documents())
@much
def test_the_schema_and_the_validator_agree(functions: None, document: Any) -> None:
    document = plain(document)
    is_taken = Draft(flow_schema()).is_valid(document)
    problems = told(document)
    if not is_taken:
        assert problems
    elif problems:
        assert not any(can_be_expressed(document, one) for one in problems), problems


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("workflow_slug", "run"), ("workflow_slug", "a\n"), ("workflow_slug", "a" * 129),
        ("queue", "in_process"), ("queue", "default\n"), ("timeout", 0), ("timeout", True),
        ("timeout", None), ("max_attempts", 1_001), ("description", "x" * 10_001), ("nodes", []),
        ("input_schema", []), ("steps", {}), ("steps", None), ("steps/0", "a"), ("steps/0/slug", 7),
        ("steps/0/type", "loop"), ("steps/0/depends_on", "a"), ("steps/0/depends_on", ["b", "b"]),
        ("steps/0/uses", "other"), ("steps/0/inputs", {"run": "run"}),
        ("steps/0/inputs", {"": "b"}),
        ("steps/0/inputs", {"a": "/b"}), ("steps/0/inputs", {"a": "run/~2"}), ("steps/0/name", 1),
        ("steps/0/inputs", {str(n): "run" for n in range(51)}), ("steps/0/initial_tasks", 0),
        ("steps/0/params", None), ("steps/0/uses", ""), ("steps/0/timeout", None), ("timeout", 7),
    ],
)  # fmt: skip
def test_both_say_the_same_of_one_place(functions: None, place: str, value: Any) -> None:
    document: Any = {"workflow_slug": "flow", "steps": [{"slug": "a"}, {"slug": "b"}]}
    *above, last = place.split("/")
    at = document
    for key in above:
        at = at[int(key) if isinstance(at, list) else key]
    at[int(last) if isinstance(at, list) else last] = value
    assert Draft(flow_schema()).is_valid(document) == (told(document) == [])


def test_a_map_step_waits_for_one(functions: None) -> None:
    document: Any = {
        "workflow_slug": "flow",
        "steps": [
            {"slug": "a"}, {"slug": "b"}, {"slug": "c", "type": "map", "depends_on": ["a", "b"]},
        ],
    }  # fmt: skip
    assert not Draft(flow_schema()).is_valid(document)
    document["steps"][2]["depends_on"] = ["a"]
    assert Draft(flow_schema()).is_valid(document)


def test_the_schema_is_one_and_has_all_options_with_words(functions: None) -> None:
    schema = flow_schema()
    Draft.check_schema(schema)
    assert schema["$id"] == "urn:pgflow:flow:1"
    assert schema["required"] == ["workflow_slug"]
    step = schema["$defs"]["step"]
    assert set(schema["properties"]) == {"workflow_slug", "steps", *FLOW_KEYS}
    assert set(step["properties"]) == {"slug", "depends_on", *STEP_KEYS}
    for one in (schema, step):
        assert one["additionalProperties"] is False
        assert all(found["description"] for found in one["properties"].values())
    assert {*NAMES, "", None} <= set(step["properties"]["uses"]["enum"])


def test_a_schema_for_some_functions() -> None:
    uses = flow_schema(functions=["a", "b"])["$defs"]["step"]["properties"]["uses"]
    assert uses["enum"] == ["a", "b", "", None]


def run(*arguments: str) -> Any:
    out = StringIO()
    call_command("flowschema", *arguments, stdout=out)
    return json.loads(out.getvalue())


def test_the_command_prints_it(functions: None) -> None:
    assert run() == flow_schema()
    assert run("--functions", "fetch") == flow_schema(functions=["fetch"])
