"""Params that a function declares: those of its step, as they were given, with their defaults."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    computed_field,
    field_serializer,
    model_validator,
)

from pgflow_django import flow_builder, step_function, validate_flow
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.doors import Door

JSON = dict[str, Any]


def echo_params(input: JSON) -> Any:
    return input.get("params", "none")


def declared(params: Any, **more: Any) -> Any:
    """A function that returns its params, of which it declares that they are this."""

    def give(input: JSON) -> Any:
        return echo_params(input)

    found = step_function("declared", params=params, **more)(give)
    registry.unregister("declared")
    return found


def run_with(door: Door, function: Any, params: Any = None, given: Any = None) -> Any:
    options = {"a": {"params": params}} if params is not None else {}
    build("flow", {"a": []}, options=options)
    return door.output("flow", {} if given is None else given, {"a": function})["a"]


class Colour(enum.Enum):
    RED = "red"


class Csv(BaseModel):
    delimiter: str = ","
    quote: str = '"'


@dataclass
class Limits:
    most: int
    least: int = 1


class Secret(BaseModel):
    key: SecretStr
    other: SecretStr = SecretStr("plain")


class Written(BaseModel):
    day: date
    size: int = 3

    @field_serializer("day", "size")
    def write(self, value):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        return "changed"

    @computed_field
    def double(self) -> int:
        return self.size * 2


class Hidden(BaseModel):
    table: str = Field(default="orders", exclude=True)
    colour: Colour = Colour.RED


class Named(BaseModel):
    delimiter: str = Field(default=",", alias="delim")
    quote: str = Field(default='"', validation_alias=AliasChoices("quotes", "q"))
    table: str = Field(default="orders", serialization_alias="written")


class Deep(BaseModel):
    csv: Csv = Csv()
    many: list[Csv] = []
    limits: Limits
    open: dict[str, Csv] = Field(default_factory=dict)


class Raw(BaseModel):
    query: Json[dict[str, int]]
    number: int = 7


@pytest.mark.parametrize(
    ("params", "given", "seen"),
    [
        (Secret, {"key": "s3cr3t"}, {"key": "s3cr3t", "other": "plain"}),
        (Written, {"day": "2026-01-31"}, {"day": "2026-01-31", "size": 3}),
        (Hidden, {}, {"table": "orders", "colour": "red"}),
        (Named, {}, {"delim": ",", "quotes": '"', "table": "orders"}),
        (Named, {"delim": ";", "q": "'"}, {"delim": ";", "q": "'", "table": "orders"}),
        (Raw, {"query": '{"a": 1}'}, {"query": '{"a": 1}', "number": 7}),
        (Raw, {"query": "{}", "number": "8", "more": 1}, {"query": "{}", "number": "8", "more": 1}),
        (
            Deep,
            {"csv": {"more": 1}, "many": [{"quote": ""}], "limits": {"most": 2}, "open": {"a": {}}},
            {
                "csv": {"more": 1, "delimiter": ",", "quote": '"'},
                "many": [{"delimiter": ",", "quote": ""}],
                "limits": {"most": 2, "least": 1},
                "open": {"a": {"delimiter": ",", "quote": '"'}},
            },
        ),
        (
            Deep,
            {"limits": {"most": 2}},
            {
                "csv": {"delimiter": ",", "quote": '"'},
                "many": [],
                "limits": {"most": 2, "least": 1},
                "open": {},
            },
        ),
        (dict[str, Csv], {"a": {"quote": ""}}, {"a": {"delimiter": ",", "quote": ""}}),
    ],
)
def test_params_stay_as_they_were_given(door: Door, params: Any, given: Any, seen: Any) -> None:
    assert run_with(door, declared(params), given) == seen


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    query: Json[dict[str, int]]
    delimiter: str = Field(default=",", validation_alias="delim")
    secret: SecretStr = SecretStr("x")

    @computed_field
    def count(self) -> int:
        return len(self.query)


class StrictInput(BaseModel):
    params: Strict


def test_an_input_that_declares_the_params_reads_the_same_ones(door: Door) -> None:
    def read(input: StrictInput) -> Any:
        params = input.params
        return [params.query, params.delimiter, params.secret.get_secret_value(), params.count]

    function = step_function("read", params=Strict)(read)
    registry.unregister("read")
    given = {"query": '{"a": 1}', "delim": ";"}
    assert run_with(door, function, given) == [{"a": 1}, ";", "x", 1]


class Careless(BaseModel):
    table: str = "orders"

    @model_validator(mode="before")
    @classmethod
    def look(cls, value):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN206
        return {**value, "seen": value.get("table")}


class Helpful(BaseModel):
    table: str = "orders"

    @model_validator(mode="before")
    @classmethod
    def look(cls, value):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN206
        return value or {}


@dataclass
class Sized:
    size: int = 1
    names: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    ("params", "seen"),
    [
        (Careless, {"table": "orders"}),
        (Helpful, {"table": "orders"}),
        (Sized, {"size": 1, "names": []}),
        (Csv | None, "none"),
    ],
)
def test_params_that_a_step_does_not_have(door: Door, params: Any, seen: Any) -> None:
    assert run_with(door, declared(params)) == seen


@pytest.mark.parametrize("params", [Csv, Csv | None])
@pytest.mark.parametrize("inputs", [None, {"params": "run/params"}])
def test_params_are_those_of_the_step_only(door: Door, params: Any, inputs: Any) -> None:
    build("flow", {"a": []}, options={"a": {"inputs": inputs}})
    given = {"params": {"delimiter": "from the run"}}
    seen = door.output("flow", given, {"a": declared(params)})["a"]
    assert seen == (Csv().model_dump() if params is Csv else "none")


def test_required_params_are_not_taken_from_the_run(door: Door) -> None:
    build("flow", {"a": []})
    run = door.run("flow", {"params": {"most": 3}}, {"a": declared(Limits)})
    assert run.error["code"] == "invalid_step_params"


class Counted(BaseModel):
    names: list[str] = []
    sizes: dict[str, int] = {}
    big: int = 1
    part: float = 0.5


@pytest.mark.parametrize(
    ("params", "is_good"),
    [
        ({"names": ("a", "b")}, True),
        ({"sizes": {1: 2}}, True),
        ({"big": 1e22}, True),
        ({"big": 1.5e300}, True),
        ({"big": 1e-7}, False),
        ({"part": 1e-7}, True),
        ({"names": ("a", 1)}, False),
    ],
)
def test_params_are_judged_as_they_are_stored(door: Door, params: Any, is_good: bool) -> None:
    function = declared({"type": "object"})  # what is stored, unchanged
    build("seen", {"a": []}, options={"a": {"params": params}})
    stored = door.output("seen", {}, {"a": function})["a"]
    step_function("counted", params=Counted)(lambda input: 1)
    step_function(
        "schema",
        params={
            "type": "object",
            "properties": {"big": {"type": "integer"}, "names": {"type": "array"}},
        },
    )(lambda input: 1)
    try:
        for name in ("counted", "schema"):
            step = {"slug": "a", "uses": name}
            written = validate_flow({"workflow_slug": "w", "steps": [{**step, "params": params}]})
            read = validate_flow({"workflow_slug": "w", "steps": [{**step, "params": stored}]})
            assert [one.code for one in written] == [one.code for one in read]
            if name == "counted":
                assert (not written) is is_good, written
        flow_builder.create_flow("counting")
        flow_builder.add_step("counting", "a", function="counted", params=params)
        assert (door.run("counting", {}, {}).status == "completed") is is_good
    finally:
        registry.unregister("counted")
        registry.unregister("schema")
