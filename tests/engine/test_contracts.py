"""What a step function declares is what it gets and gives, wherever its step is run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pgflow_django import executor, step_function
from pgflow_django.exceptions import RunFailed
from pgflow_django.models import WorkflowTaskAttempt
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.conftest import Register
from tests.engine.doors import Door

JSON = dict[str, Any]


class Row(BaseModel):
    code: str


class Rows(TypedDict):
    rows: list[Row]
    day: date


class Params(BaseModel):
    delimiter: Annotated[str, Field(max_length=1)] = ","
    table: str = "orders"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int
    when: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Point:
    x: int
    y: int = 0


def echo(input: JSON) -> JSON:
    return dict(input)


def run_failing(door: Door, given: Any, function: Any, **options: Any) -> JSON:
    """The error of a run of one step, which must fail."""
    build("flow", {"a": []}, options={"a": options}, max_attempts=2)
    run = door.run("flow", given, {"a": function})
    assert run.status == "failed", run.output
    assert run.error is not None
    return run.error


def test_a_dict_with_declared_keys_has_them_as_their_types(door: Door) -> None:
    def read(input: Rows) -> list[str]:
        assert isinstance(input["day"], date)
        assert input["run"]["day"] == "2026-01-31"  # type: ignore[typeddict-item]
        return [row.code for row in input["rows"]]

    build("flow", {"a": []})
    given = {"rows": [{"code": "x"}], "day": "2026-01-31", "more": 1}
    assert door.output("flow", given, {"a": read}) == {"a": ["x"]}


def test_a_model_or_a_dataclass_comes_as_an_object(door: Door) -> None:
    def model(input: Strict) -> Strict:
        assert isinstance(input, Strict)
        return input

    def point(input: Point, context: Any) -> int:
        assert isinstance(input, Point)
        return input.x + input.y + int(context.attempt)

    build("flow", {"a": [], "b": []})
    output = door.output("flow", {"n": 1, "x": 2, "more": []}, {"a": model, "b": point})
    assert output == {"a": {"n": 1, "when": "2026-01-01T00:00:00Z"}, "b": 3}


def test_an_output_is_stored_as_json(door: Door) -> None:
    def give(input: JSON) -> tuple[date, Point, set[int]]:
        return date(2026, 1, 31), Point(1), {3}

    build("flow", {"a": []})
    output = door.output("flow", {}, {"a": give})
    assert output == {"a": ["2026-01-31", {"x": 1, "y": 0}, [3]]}


def test_input_that_does_not_fit_is_told_with_its_first_places(door: Door) -> None:
    def read(input: Rows) -> None:
        raise AssertionError

    rows = [{"code": "x"}, {}, *({"code": number} for number in range(9))]
    error = run_failing(door, {"rows": rows}, read)
    assert (error["code"], error["attempt"]) == ("invalid_step_input", 1)
    assert len(error["problems"]) == 5
    assert error["problems"][:2] == [
        {"pointer": "/rows/1/code", "message": "is missing"},
        {"pointer": "/rows/2/code", "message": "should be a string, is 0"},
    ]
    assert 'step "a" of flow "flow"' in error["error_message"]
    assert "what function" in error["error_message"]
    # Values are for those who may see payloads, and messages for all who see the run.
    assert "/rows/2/code: should be a string" in error["error_message"]
    assert "is 0" not in error["error_message"]
    attempt = WorkflowTaskAttempt.objects.get()
    assert attempt.code == "invalid_step_input"
    assert attempt.details == {"problems": error["problems"]}
    assert attempt.problems == error["problems"]


def test_the_error_that_a_caller_gets_has_the_places() -> None:
    def read(input: Point) -> int:
        return input.x

    build("flow", {"a": []})
    with pytest.raises(RunFailed) as caught:
        executor.execute_dynamic("flow", {"x": "?"}, {"a": read})
    assert caught.value.error_code == "invalid_step_input"
    assert caught.value.problems == [
        {"pointer": "/x", "message": 'should be a whole number, is "?"'}
    ]


def test_params_are_checked_and_have_their_defaults(door: Door, register: Register) -> None:
    declared = step_function("declared", params=Params)(echo)
    build("flow", {"a": [], "b": []}, options={"a": {"params": {"delimiter": ";", "more": 1}}})
    output = door.output("flow", {}, {"a": declared, "b": declared})
    assert output["a"]["params"] == {"delimiter": ";", "table": "orders", "more": 1}
    assert output["b"]["params"] == {"delimiter": ",", "table": "orders"}
    registry.unregister("declared")


def test_params_that_do_not_fit_fail_at_once(door: Door) -> None:
    declared = step_function("declared", params=Params)(lambda input: 1)
    registry.unregister("declared")
    error = run_failing(door, {}, declared, params={"delimiter": ";;"})
    assert (error["code"], error["attempt"]) == ("invalid_step_params", 1)
    assert error["problems"][0]["pointer"] == "/delimiter"


def test_an_output_that_does_not_fit_is_tried_again(door: Door) -> None:
    answers = iter([{"n": "many"}, {"n": 5}])

    def ask(input: JSON) -> Strict:
        return next(answers)  # type: ignore[return-value]

    build("flow", {"a": []}, max_attempts=2)
    assert door.output("flow", {}, {"a": ask})["a"]["n"] == 5
    attempt = WorkflowTaskAttempt.objects.get()
    assert attempt.code == "invalid_step_output"
    assert attempt.problems == [{"pointer": "/n", "message": 'should be a whole number, is "many"'}]


def test_an_async_function_is_checked_too(door: Door) -> None:
    async def ask(input: JSON) -> int:
        return "x"  # type: ignore[return-value]

    error = run_failing(door, {}, ask)
    assert (error["code"], error["attempt"]) == ("invalid_step_output", 2)


def test_schemas_are_checked(door: Door) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    double = step_function("double", input=schema, output={"type": "integer", "maximum": 9})(
        lambda input: input["n"] * 2
    )
    registry.unregister("double")
    build("flow", {"a": []})
    assert door.output("flow", {"n": 2, "more": 1}, {"a": double}) == {"a": 4}
    run = door.run("flow", {"n": 7}, {"a": double})
    assert run.error["problems"] == [{"pointer": "", "message": "should be at most 9, is 14"}]
    run = door.run("flow", {"m": 7}, {"a": double})
    assert run.error["problems"] == [{"pointer": "/n", "message": "is missing"}]


def test_a_declaration_that_can_not_be_used_is_not_checked(door: Door) -> None:
    def give(input: JSON) -> NoSuchType:  # type: ignore[name-defined]  # noqa: F821
        return 1

    build("flow", {"a": []})
    assert door.output("flow", {}, {"a": give}) == {"a": 1}


class Fatal(BaseException):
    pass


def raise_fatal(value: Any) -> Any:
    raise Fatal("from a validator")


def raise_key(value: Any) -> Any:
    raise KeyError("from a validator")


class Hostile(str):
    """Text that raises wherever it is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise Fatal("from repr")

    __str__ = __repr__


def give_hostile(value: Any) -> Any:
    raise ValueError(Hostile("x"))


@pytest.mark.parametrize("validate", [raise_fatal, raise_key, give_hostile])
@pytest.mark.parametrize("side", ["input", "output"])
def test_whatever_a_validator_raises_ends_its_attempt_only(
    door: Door, side: str, validate: Callable[[Any], Any]
) -> None:
    class Watched(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def look(cls, value: int) -> Any:
            return validate(value)

    def read(input: Watched) -> int:
        return 1

    def give(input: JSON) -> Watched:
        return {"n": 1}  # type: ignore[return-value]

    error = run_failing(door, {"n": 1}, read if side == "input" else give)
    assert error["code"] in {"step_failed", f"invalid_step_{side}"}
    build("after", {"a": []})
    assert door.output("after", {}, {"a": lambda i: 1}) == {"a": 1}


DELETED: list[str] = []


class Dying(BaseModel):
    n: int

    def __del__(self) -> None:
        DELETED.append("gone")
        raise RuntimeError("from __del__")


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    yield
    gc.collect()


def test_models_that_raise_when_they_go_harm_nobody(door: Door, unraisable: None) -> None:
    def give(input: Dying) -> Dying:
        return Dying(n=input.n)

    build("flow", {"a": []})
    assert door.output("flow", {"n": 1}, {"a": give}) == {"a": {"n": 1}}
    gc.collect()
    assert DELETED


def test_a_value_that_can_not_be_stored_is_told_as_ever(door: Door) -> None:
    def give(input: JSON) -> list[Any]:
        return [float("nan")]

    def numbers(input: JSON) -> list[float]:
        return [float("nan")]

    assert run_failing(door, {}, give)["code"] == "output_not_json"
    build("numbers", {"a": []})
    assert door.run("numbers", {}, {"a": numbers}).error["code"] == "output_not_json"
