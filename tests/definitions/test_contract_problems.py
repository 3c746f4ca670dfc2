"""What validation says of steps that don't fit what their functions declare."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal, NotRequired

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator as Draft
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from pgflow_django import drafts, flow_builder, step_function, validate_flow
from pgflow_django.contracts.accepted import accepted_schema
from pgflow_django.contracts.hints import portable
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.definitions.policy import Policy
from pgflow_django.definitions.problems import Problem
from pgflow_django.exceptions import InvalidStepOption, PgflowError
from tests.engine.effort import EFFORT

from .documents import mutated_documents
from .schemas import VALUES

JSON = dict[str, Any]
TEXT = {"type": "string"}
WHOLE = {"type": "integer"}


class Row(TypedDict):
    code: str
    size: NotRequired[int]


class Rows(TypedDict):
    rows: list[Row]


class Params(BaseModel):
    delimiter: Annotated[str, Field(max_length=1)] = ","
    kind: Literal["csv", "tsv"] = "csv"


class Checked(BaseModel):
    rows: list[Row]
    rejected: int


class Item(BaseModel):
    item: Row


class Only(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: list[Row]


@pytest.fixture(autouse=True)
def functions() -> None:
    """The functions of these tests; whatever is registered is forgotten after each."""

    @step_function("csv.read")
    def read(input: JSON) -> list[Row]:
        return [{"code": "HAM"}]

    @step_function("csv.check")
    def check(input: JSON) -> Checked:
        return Checked(rows=[{"code": "HAM"}], rejected=0)

    @step_function("csv.join", params=Params)
    def join(input: Rows) -> str:
        return input["rows"][0]["code"]

    @step_function("csv.only")
    def only(input: Only) -> int:
        return len(input.rows)

    @step_function("csv.convert", map_only=True)
    def convert(input: Item) -> Row:
        return input.item

    @step_function("plain")
    def plain(input: JSON) -> Any:
        return input

    @step_function("count", output=WHOLE)
    def count(input: JSON) -> Any:
        return 1

    @step_function("name", input={"type": "object", "properties": {"n": TEXT}, "required": ["n"]})
    def name(input: JSON) -> Any:
        return input["n"]


def flow(*steps: JSON, **options: Any) -> JSON:
    return {"workflow_slug": "flow", **options, "steps": list(steps)}


def step(slug: str, uses: str, *depends_on: str, **options: Any) -> JSON:
    waits = {"depends_on": list(depends_on)} if depends_on else {}
    return {"slug": slug, "uses": uses, **waits, **options}


def found(document: Any) -> list[tuple[str, str, str]]:
    return [(one.severity, one.code, one.pointer) for one in validate_flow(document)]


def only_problem(document: Any) -> Problem:
    problems = validate_flow(document)
    assert len(problems) == 1, problems
    return problems[0]


READ = step("read", "csv.read")
CHECK = step("check", "csv.check")
COUNT = step("count", "count")


@pytest.mark.parametrize(
    "document",
    [
        flow(READ, step("join", "csv.join", "read", inputs={"rows": "read"})),
        flow(CHECK, step("join", "csv.join", "check", inputs={"rows": "check/rows"})),
        flow(step("rows", "csv.read"), step("join", "csv.join", "rows")),
        flow(READ, step("each", "csv.convert", "read", type="map")),
        flow(
            READ,
            step("each", "csv.convert", "read", type="map"),
            step("join", "csv.join", "each", inputs={"rows": "each"}),
        ),
        flow(READ, step("each", "plain", "read", type="map", inputs={"code": "item/code"})),
        flow(COUNT, step("each", "plain", "count", type="map", initial_tasks=3)),
        flow(step("plain", "plain"), step("each", "plain", "plain", type="map")),
        flow(
            step("join", "csv.join"),
            input_schema={
                "type": "object",
                "properties": {"rows": {"type": "array"}},
                "required": ["rows"],
            },
        ),
        flow(CHECK, step("only", "csv.only", "check", inputs={"rows": "check/rows"})),
    ],
)
def test_of_what_fits_or_may_fit_nothing_is_said(document: Any) -> None:
    assert found(document) == []


@pytest.mark.parametrize(
    ("params", "pointer", "text"),
    [
        ({"delimiter": 7}, "/delimiter", "should be a string, is 7"),
        ({"delimiter": "--"}, "/delimiter", "should have at most 1 character"),
        ({"kind": "xls"}, "/kind", "should be 'csv' or 'tsv'"),
        (7, "", "is 7"),
    ],
)
def test_invalid_params(params: Any, pointer: str, text: str) -> None:
    problem = only_problem(
        flow(step("rows", "csv.read"), step("join", "csv.join", "rows", params=params))
    )
    assert (problem.code, problem.severity) == ("invalid_params", "error")
    assert problem.pointer == f"/steps/1/params{pointer}"
    assert text in problem.message


def test_params_that_are_required_are_missed() -> None:
    class Needed(BaseModel):
        folder: str

    @step_function("load", params=Needed)
    def load(input: JSON) -> Any:
        return input

    assert found(flow(step("load", "load"))) == [
        ("error", "invalid_params", "/steps/0/params/folder")
    ]
    assert found(flow(step("load", "load", params={"folder": "a"}))) == []


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (flow(COUNT, step("join", "csv.join", "count", inputs={"rows": "count"})), "inputs/rows"),
        (
            flow(CHECK, step("join", "csv.join", "check", inputs={"rows": "check"})),
            "inputs/rows",
        ),
        (
            flow(CHECK, step("join", "csv.join", "check", inputs={"rows": "check/rejected"})),
            "inputs/rows",
        ),
        (
            flow(CHECK, step("join", "csv.join", "check", inputs={"rows": "check/row"})),
            "inputs/rows",
        ),
        (flow(COUNT, step("plain", "plain", "count", inputs={"a/b": "count/x"})), "inputs/a~1b"),
        (
            flow(READ, step("join", "csv.join", "read", inputs={"rows": "read/0"})),
            "inputs/rows",
        ),
        (flow(step("rows", "count"), step("join", "csv.join", "rows")), "depends_on/0"),
        (
            flow(
                COUNT,
                step("counts", "count", "count", type="map", initial_tasks=3),
                step("each", "csv.convert", "counts", type="map"),
            ),
            "depends_on/0",
        ),
        (
            flow(
                COUNT,
                step("join", "csv.join", inputs={"rows": "run/day"}),
                input_schema={"type": "object", "properties": {"day": TEXT}},
            ),
            "inputs/rows",
        ),
        (
            flow(
                COUNT,
                step("join", "csv.join"),
                input_schema={
                    "type": "object",
                    "properties": {"rows": TEXT},
                    "required": ["rows"],
                },
            ),
            "inputs",
        ),
    ],
)
def test_type_mismatch(document: Any, pointer: str) -> None:
    at = len(document["steps"]) - 1
    assert found(document) == [("error", "type_mismatch", f"/steps/{at}/{pointer}")]


def test_a_mismatch_says_both_types() -> None:
    problem = only_problem(flow(COUNT, step("join", "csv.join", "count", inputs={"rows": "count"})))
    assert "whole number" in problem.message
    assert "list of {code: text, size?: whole number}" in problem.message
    assert "csv.join" in problem.message


def test_what_pydantic_converts_is_no_mismatch() -> None:
    @step_function("day")
    def day(input: JSON) -> str:
        return "7"

    class Number(TypedDict):
        n: int

    @step_function("number")
    def number(input: Number) -> Any:
        return input

    assert found(flow(step("day", "day"), step("n", "number", "day", inputs={"n": "day"}))) == []


def test_a_map_over_what_is_no_list() -> None:
    assert found(flow(COUNT, step("each", "plain", "count", type="map"))) == [
        ("error", "map_over_no_array", "/steps/1/depends_on/0")
    ]
    assert found(flow(step("each", "plain", type="map"), input_schema={"type": "object"})) == [
        ("error", "map_over_no_array", "/steps/0/type")
    ]


@pytest.mark.parametrize(
    ("schema", "severity"),
    [
        (None, "warning"),
        ({"type": "object"}, "warning"),
        ({"type": "object", "properties": {"rows": {"type": "array"}}}, "warning"),
        ({"type": "object", "additionalProperties": False}, "error"),
        ({"type": "object", "properties": {"day": TEXT}, "additionalProperties": WHOLE}, "error"),
        ({"type": "array"}, "error"),
    ],
)
def test_a_missing_input(schema: Any, severity: str) -> None:
    document = flow(COUNT, step("join", "csv.join", "count"), input_schema=schema)
    assert found(document) == [(severity, "missing_input", "/steps/1/inputs")]


@pytest.mark.parametrize(
    ("document", "source"),
    [
        (flow(READ, COUNT, step("join", "csv.join", "read", "count")), "read"),
        (flow(CHECK, step("join", "csv.join", "check")), "check/rows"),
        (flow(CHECK, step("join", "csv.join", "check", inputs={"day": "run"})), "check/rows"),
    ],
)
def test_the_one_output_that_fits_mends_a_missing_input(document: Any, source: str) -> None:
    problem = only_problem(document)
    assert (problem.code, problem.suggestions) == ("missing_input", [source])
    assert problem.fix is not None
    mended = apply_patch(document, problem.fix)
    assert mended["steps"][-1]["inputs"]["rows"] == source
    assert found(mended) == []


def test_of_two_outputs_that_fit_none_is_chosen() -> None:
    problem = only_problem(
        flow(READ, step("more", "csv.read"), step("join", "csv.join", "read", "more"))
    )
    assert (problem.suggestions, problem.fix) == (["read", "more"], None)


def test_an_unused_dependency() -> None:
    document = flow(READ, COUNT, step("only", "csv.only", "count", "read", inputs={"rows": "read"}))
    assert found(document) == [("warning", "unused_dependency", "/steps/2/depends_on/0")]
    open_input = flow(
        READ, COUNT, step("join", "csv.join", "count", "read", inputs={"rows": "read"})
    )
    assert found(open_input) == []


def test_of_functions_that_declare_nothing_nothing_is_said() -> None:
    @step_function("silent", effects="none", tags=["a"])
    def silent(input: JSON) -> Any:
        return input

    assert found(flow(step("a", "silent"), step("b", "silent", "a", inputs={"x": "a/b"}))) == []


def test_keywords_that_are_not_evaluated_refuse_nothing() -> None:
    @step_function("odd", output={"oneOf": [WHOLE]})
    def odd(input: JSON) -> Any:
        return []

    @step_function("strict", input={"properties": {"a": {"oneOf": [TEXT]}, "b": WHOLE}})
    def strict(input: JSON) -> Any:
        return input

    steps = [COUNT, step("odd", "odd"), step("s", "strict", "count", "odd")]
    steps[2]["inputs"] = {"a": "count", "b": "odd"}
    assert found(flow(*steps)) == []


@given(mutated_documents(), st.booleans())
@settings(max_examples=100 * EFFORT, suppress_health_check=list(HealthCheck))
def test_any_document_may_call_functions_that_declare_much(document: Any, is_strict: bool) -> None:
    step_function("fetch", params=Params)(read_rows)
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/row"}, "rows": {"type": "array"}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"row": {"anyOf": [TEXT, {"$ref": "#"}]}},
    }
    step_function("fetch_2", input=schema, params=schema, output=schema)(lambda input: input)
    policy = Policy() if is_strict else None
    problems = validate_flow(document, policy=policy)
    json.dumps([problem.to_dict() for problem in problems])
    for problem in problems[:10]:
        if problem.fix:
            fixed = validate_flow(apply_patch(document, problem.fix), policy=policy)
            assert problem not in fixed


def read_rows(input: Rows) -> Checked:
    return Checked(rows=input["rows"], rejected=0)


# -- who asks ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_flow_that_breaks_contracts_is_not_stored_nor_published(admin_user: Any) -> None:
    document = flow(COUNT, step("join", "csv.join", "count", inputs={"rows": "count"}))
    with pytest.raises(InvalidStepOption) as caught:
        flow_builder.create_flow_from_spec(document)
    assert caught.value.code == "type_mismatch"
    draft = drafts.create("flow", {**document}, user=admin_user)
    assert [one.code for one in drafts.problems(draft.document)] == ["type_mismatch"]
    with pytest.raises(PgflowError):
        drafts.publish("flow", draft.version, user=admin_user)


def test_a_long_pointer_is_followed_for_a_while_only() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}
    for tokens, count in ((20, 1), (400, 0)):
        inputs = {"x": "run" + "/a" * tokens + "/b"}
        document = flow(step("plain", "plain", inputs=inputs), input_schema=schema)
        assert len(found(document)) == count


def test_two_thousand_steps_with_contracts_take_no_long_time() -> None:
    steps = [READ]
    for number in range(1, 2_000):
        source = "read" if number == 1 else f"s{number - 1}"
        inputs = {"rows": source} if number == 1 else {}
        steps.append(step(f"s{number}", "csv.join", source, inputs=inputs, params={"kind": "csv"}))
    started = time.process_time()
    assert len(validate_flow(flow(*steps))) == 1_998
    assert time.process_time() - started < 5


# -- what pydantic takes ------------------------------------------------------------------------


class Given(BaseModel):
    a: int = Field(validation_alias=AliasChoices("a", "A"))
    b: Annotated[int, BeforeValidator(lambda _: 1)]
    c: str = "x"


class Loose(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    a: str


class Nested(BaseModel):
    a: Nested | None = None
    b: list[int] = []


@pytest.mark.parametrize(
    "hint",
    [
        int, float, bool, str, None,
        list[int], list[str], dict[str, int], Row, Rows, Checked, Given,
        Loose, Nested, int | None, Literal["x", "xy"], Literal[1, "x"], tuple[int, str], set[int],
        Annotated[int, Field(gt=1)], Annotated[list[int], Field(min_length=2)], Params, list[Row],
    ],
)  # fmt: skip
def test_what_is_refused_for_certain_is_refused_by_pydantic(hint: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(portable(hint))
    accepted = Draft(accepted_schema(adapter.core_schema))

    @given(VALUES | st.dictionaries(st.sampled_from(["a", "b", "A", "code", "rows"]), VALUES))
    def check(value: Any) -> None:
        try:
            adapter.validate_python(value)
        except ValueError:
            return
        assert accepted.is_valid(value)

    check()
