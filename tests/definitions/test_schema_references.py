"""What passes as a schema can be checked against: references of any spelling, any value."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator as Draft

from pgflow_django import executor, step_function
from pgflow_django.definitions.schema_values import Checker
from pgflow_django.definitions.schemas import read_schema, schema_faults
from pgflow_django.flow_builder import create_flow_from_spec, validate_flow
from pgflow_django.models import WorkflowRun
from tests.engine.effort import EFFORT

#: Keys of ``$defs``, each with references that lead there.
SPELLINGS = [
    ("aA", ["aA", "a%41", "%61A"]),
    ("a%41", ["a%2541"]),
    ("a/b", ["a~1b", "a%7E1b"]),
    ("a~b", ["a~0b", "a%7E0b"]),
    ("%7E1", ["%257E1"]),
    ("ä ö", ["ä ö", "%C3%A4%20%C3%B6"]),
    ("", [""]),
    ("$ref", ["$ref", "%24ref"]),
    ("$id", ["$id"]),
    ("anyOf", ["anyOf"]),
]


def flow(schema: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "input_schema": schema, "steps": [{"slug": "a"}]}


def referring(key: str, reference: str) -> dict[str, Any]:
    return {"$defs": {key: {"type": "integer"}}, "$ref": f"#/$defs/{reference}"}


@pytest.mark.parametrize(
    ("key", "reference"), [(key, one) for key, spellings in SPELLINGS for one in spellings]
)
def test_a_reference_may_be_spelled_as_uris_may(key: str, reference: str) -> None:
    schema = referring(key, reference)
    assert [one.code for one in validate_flow(flow(schema))] == []
    assert Checker(schema).faults(1) == []
    assert Checker(schema).faults("x") != []


@pytest.mark.parametrize(
    ("key", "reference"), [("a%41", "a%41"), ("a%2Fb", "a%2Fb"), ("%7E1", "%7E1"), ("a b", "a+b")]
)
def test_a_reference_that_leads_nowhere_is_told(key: str, reference: str) -> None:
    [problem] = validate_flow(flow(referring(key, reference)))
    assert (problem.code, problem.pointer) == ("invalid_input_schema", "/input_schema")
    assert "where no schema stands" in problem.message


def test_a_map_knows_what_a_spelled_reference_leads_to() -> None:
    document = flow(referring("aA", "a%41"))
    document["steps"][0]["type"] = "map"
    assert [one.code for one in validate_flow(document)] == ["map_over_no_array"]


def test_a_function_may_declare_its_input_by_a_spelled_reference() -> None:
    rows = {"type": "object", "properties": {"rows": {"type": "array"}}, "required": ["rows"]}

    @step_function("tests.spelled", input={"$defs": {"aA": rows}, "$ref": "#/$defs/a%41"})
    def spelled(input: Any) -> Any:
        return input

    document = {"workflow_slug": "flow", "steps": [{"slug": "a", "uses": "tests.spelled"}]}
    assert [one.code for one in validate_flow(document)] == ["missing_input"]


def chain(length: int) -> dict[str, Any]:
    links: dict[str, Any] = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}
    return {"$defs": {**links, f"a{length}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def test_references_lead_through_a_bounded_number_of_others() -> None:
    assert Checker(chain(30)).faults("x")[0].rule == "should be a whole number"
    [problem] = validate_flow(flow(chain(1_000)))
    assert problem.code == "invalid_input_schema"
    assert "one after another" in problem.message


def test_a_deep_value_is_checked_or_refused() -> None:
    loop = {"items": {"$ref": "#/$defs/a0"}}
    schema = {**chain(30), "$ref": "#/$defs/a0"}
    schema["$defs"]["a31"] = loop
    schema["$defs"]["a30"] = {"$ref": "#/$defs/a31"}
    value: Any = 1
    for _ in range(62):
        value = [value]
    faults = Checker(schema).faults(value)
    assert all("nested" in fault.rule for fault in faults)


@pytest.mark.django_db
def test_a_large_value_that_fits_is_taken() -> None:
    create_flow_from_spec(flow({"type": "array", "items": {"type": "integer"}}))
    executor.start_flow("flow", [1] * 100_001)
    assert WorkflowRun.objects.count() == 1


def test_a_large_value_that_fits_one_of_several_alternatives_is_taken() -> None:
    schema = {"items": {"anyOf": [{"type": "integer"}] * 10}}
    assert Checker(schema).faults([1] * 12_000) == []


HOSTILE: dict[str, tuple[Any, Any]] = {
    "names": (
        {"items": {"anyOf": [{"required": [f"n{n}" for n in range(2_000)]}] * 2}},
        [{}] * 2_000,
    ),
    "values": ({"items": {"enum": list(range(8_000))}}, [-1, *[7_999] * 300]),
    "declared": ({"items": {"properties": {f"n{n}": {} for n in range(4_000)}}}, [{}] * 2_000),
}


@pytest.mark.parametrize(("schema", "value"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_check_ends_whatever_the_schema_says(schema: Any, value: Any) -> None:
    start = time.process_time()
    Checker(schema).faults(value)
    assert time.process_time() - start < 5


NAMES = st.sampled_from(
    ["a", "b", "$id", "$ref", "$anchor", "anyOf", "a%41", "~", "/", "0", "", "ä"]
)
REFERENCES = st.lists(
    NAMES | st.sampled_from(["$defs", "properties", "items", "anyOf", "0", "1", "-1", "%7E1"]),
    max_size=4,
).map(lambda tokens: "#" + "".join(f"/{token}" for token in tokens))
VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1.5, 10**30, "a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


def extend(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(NAMES, inner, max_size=3)
    several = st.lists(inner, min_size=1, max_size=3)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "$ref": REFERENCES,
        "$defs": named,
        "properties": named,
        "anyOf": several,
        "prefixItems": several,
        "items": inner,
        "additionalProperties": inner,
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "minimum": st.integers(-(10**40), 10**40) | st.floats(allow_nan=False),
        "maxLength": st.integers(0, 3),
        "type": st.sampled_from(["string", "array", "object", "integer"]),
        "required": st.lists(NAMES, unique=True, max_size=2),
        "$id": st.sampled_from(["x", "#", "", "http://a/b"]),
        "$anchor": NAMES,
        "default": VALUES,
    }
    return st.fixed_dictionaries({}, optional=keywords)


SCHEMAS: st.SearchStrategy[Any] = st.recursive(st.booleans() | st.just({}), extend, max_leaves=12)


@given(SCHEMAS, VALUES)
@settings(max_examples=60 * EFFORT)
def test_what_passes_as_a_schema_can_be_checked_against(schema: Any, value: Any) -> None:
    if schema_faults(schema):
        return
    faults = Checker(schema).faults(value)
    cleaned = read_schema(schema).schema
    assert bool(faults) != Draft(cleaned).is_valid(value)
