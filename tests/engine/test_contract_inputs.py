"""Inputs that a function declares: the run's keys are no fault, and none of them is lost."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    OnErrorOmit,
    RootModel,
)
from typing_extensions import TypedDict

from pgflow_django import step_function, validate_flow
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.doors import Door

JSON = dict[str, Any]


def reading(declared: Any) -> Any:
    """A function with a declared input, which gives the names of the keys that it sees."""

    def read(input: JSON) -> Any:
        return sorted(input)

    found = step_function("reading", input=declared)(read)
    registry.unregister("reading")
    return found


class A(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class B(BaseModel):
    model_config = ConfigDict(extra="forbid")
    b: int


class Kind(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: Literal[1]


class OtherKind(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: Literal[2]


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 1
    children: list[Node] = []


class Closed(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid")
    a: int


class Root(RootModel[A]):
    pass


@dataclass
class Point:
    __pydantic_config__ = ConfigDict(extra="forbid")
    a: int


class First(TypedDict):
    a: int


class Second(TypedDict):
    b: date


def leave(value: Any) -> Any:
    return value


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
OTHER = {**CLOSED, "properties": {"b": {"type": "integer"}}, "required": ["b"]}
TREE = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "child": {"$ref": "#"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "declared",
    [
        A,
        Union[A, B],  # noqa: UP007
        Annotated[Union[Kind, OtherKind], Field(discriminator="a")],  # noqa: UP007
        Annotated[A, AfterValidator(leave)],
        Annotated[A, BeforeValidator(leave)],
        Optional[A],  # noqa: UP045
        Node,
        Closed,
        Closed | B,
        Root,
        Point,
        CLOSED,
        {"anyOf": [CLOSED, OTHER]},
        {"$ref": "#/$defs/A", "$defs": {"A": CLOSED}},
        {"$ref": "#/$defs/B", "$defs": {"A": CLOSED, "B": {"anyOf": [{"$ref": "#/$defs/A"}]}}},
        {"allOf": [CLOSED]},
        TREE,
        First | Second,
        Annotated[First, AfterValidator(leave)],
        Optional[First],  # noqa: UP045
        dict[str, Any],
    ],
)
def test_keys_that_are_not_declared_are_no_fault_and_stay(door: Door, declared: Any) -> None:
    options = {"inputs": {"named": "run/more"}, "params": {"p": 1}}
    build("flow", {"before": [], "a": ["before"]}, options={"a": options})
    functions = {"before": lambda input: 1, "a": reading(declared)}
    output = door.output("flow", {"a": 1, "more": 2}, functions)
    assert output["a"] == ["a", "before", "more", "named", "params", "run"]
    run = door.run("flow", {"a": "x", "b": "x", "more": 2}, functions)
    takes_all = declared in (dict[str, Any], {"allOf": [CLOSED]})
    assert run.status == ("completed" if takes_all else "failed")


class Inner(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    closed: A = A(a=0)
    open: Inner = Inner(a=0)
    node: Node = Node()


def read_whole(input: Whole) -> Any:
    return [sorted(vars(input)), input.open.__pydantic_extra__]


def test_what_is_inside_keeps_to_what_its_own_model_says(door: Door) -> None:
    build("flow", {"a": []})
    given = {"closed": {"a": 1}, "open": {"a": 1, "more": 2}, "more": 3}
    output = door.output("flow", given, {"a": read_whole})["a"]
    assert output == [["closed", "node", "open"], {"more": 2}]
    bad: Any
    for bad, place in (
        ({"closed": {"a": 1, "more": 2}}, "/closed/more"),
        ({"node": {"children": [{"more": 2}]}}, "/node/children/0/more"),
    ):
        error = door.run("flow", bad, {"a": read_whole}).error
        assert [one["pointer"] for one in error["problems"]] == [place]
    for declared, bad in ((Node, {"children": [{"more": 1}]}), (TREE, {"a": 1, "child": {"x": 1}})):
        assert door.run("flow", bad, {"a": reading(declared)}).error["code"] == "invalid_step_input"


class Colour(enum.Enum):
    RED = "red"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    day: date
    colour: Colour
    pair: tuple[int, int]
    n: int


@dataclass
class StrictField:
    day: Annotated[date, Field(strict=True)]


def read_strict(input: Strict) -> Any:
    return [input.day, input.colour.value, input.pair]


def read_field(input: StrictField) -> Any:
    return input.day


def test_strict_types_are_read_as_json_writes_them(door: Door) -> None:
    build("flow", {"a": []})
    given = {"day": "2026-01-31", "colour": "red", "pair": [1, 2], "n": 1}
    strict = step_function("strict", output=list[Any])(read_strict)
    registry.unregister("strict")
    assert door.output("flow", given, {"a": strict})["a"] == ["2026-01-31", "red", [1, 2]]
    field = step_function("field", output=date)(read_field)
    registry.unregister("field")
    assert door.output("flow", given, {"a": field})["a"] == "2026-01-31"
    error = door.run("flow", {**given, "n": "1"}, {"a": strict}).error
    assert error["problems"] == [{"pointer": "/n", "message": 'should be a whole number, is "1"'}]
    params = step_function("params", params=Strict)(lambda input: input["params"]["day"])
    registry.unregister("params")
    build("strict", {"a": []}, options={"a": {"params": given}})
    assert door.output("strict", {}, {"a": params})["a"] == "2026-01-31"


class Numbers(BaseModel):
    numbers: Iterable[int]


def read_numbers(input: Numbers) -> int:
    return sum(input.numbers)


def test_what_is_iterated_later_is_checked_before_the_call(door: Door) -> None:
    build("flow", {"a": []})
    assert door.output("flow", {"numbers": [1, 2]}, {"a": read_numbers}) == {"a": 3}
    params = step_function("params", params=Numbers)(lambda input: sum(input["params"]["numbers"]))
    registry.unregister("params")
    build("good", {"a": []}, options={"a": {"params": {"numbers": [1, 2]}}})
    assert door.output("good", {}, {"a": params}) == {"a": 3}
    build("bad", {"a": []}, options={"a": {"params": {"numbers": [1, "x"]}}})
    for slug, function, code in (
        ("flow", read_numbers, "invalid_step_input"),
        ("bad", params, "invalid_step_params"),
    ):
        error = door.run(slug, {"numbers": [1, "x"]}, {"a": function}).error
        assert error["code"] == code
        assert error["problems"][0]["pointer"] == "/numbers/1"


class Omitting(BaseModel):
    rows: list[OnErrorOmit[int]]
    least: Annotated[int, Field(default=1)] = 1


def test_what_is_left_out_on_errors_is_no_fault(door: Door) -> None:
    def texts(input: JSON) -> Annotated[list[dict[str, int]], Field(min_length=1)]:
        return [{}]

    def read(input: Omitting) -> int:
        return len(input.rows)

    step_function("texts")(texts)
    step_function("omitting")(read)
    try:
        steps = [
            {"slug": "rows", "uses": "texts"},
            {"slug": "a", "uses": "omitting", "depends_on": ["rows"]},
        ]
        assert validate_flow({"workflow_slug": "flow", "steps": steps}) == []
        build("flow", {"rows": [], "a": ["rows"]})
        assert door.output("flow", {}, {"rows": texts, "a": read}) == {"a": 0}
    finally:
        registry.unregister("texts")
        registry.unregister("omitting")
