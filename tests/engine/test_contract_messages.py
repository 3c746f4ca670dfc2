"""Messages are for all who see a run: what stood in a value is told in problems only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    field_validator,
)
from pydantic_core import PydanticCustomError

from pgflow_django import step_function
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.doors import Door

JSON = dict[str, Any]
SECRET = "s3cr3t"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    value: Cat | Dog = Field(discriminator="kind")


def refuse(value: Any) -> Any:
    raise ValueError(f"{value} is bad")


def refuse_by_assertion(value: Any) -> Any:
    raise AssertionError(f"{value} is bad")


def refuse_in_own_words(value: Any) -> Any:
    raise PydanticCustomError("bad", "{value} is bad", {"value": value})


def refuse_in_fixed_words(value: Any) -> Any:
    raise PydanticCustomError("bad", f"{value} is bad")


class Bytes(BaseModel):
    model_config = ConfigDict(val_json_bytes="hex")
    value: Annotated[bytes, Field(strict=True)]


def model(hint: Any) -> Any:
    class Read(BaseModel):
        value: hint

        @field_validator("value", mode="after")
        @classmethod
        def leave(cls, value: Any) -> Any:
            return value

    return Read


@pytest.mark.parametrize(
    ("hint", "value", "rule"),
    [
        (Pet, {"kind": SECRET}, "should have one of the tags 'cat', 'dog'"),
        (model(UUID), f"{SECRET}-0000", "should be a valid UUID"),
        (model(Annotated[str, BeforeValidator(refuse)]), SECRET, "is refused by a validator"),
        (
            model(Annotated[str, BeforeValidator(refuse_by_assertion)]),
            SECRET,
            "is refused by a validator",
        ),
        (
            model(Annotated[str, BeforeValidator(refuse_in_own_words)]),
            SECRET,
            "is refused by a validator",
        ),
        (
            model(Annotated[str, BeforeValidator(refuse_in_fixed_words)]),
            SECRET,
            "is refused by a validator",
        ),
        (Bytes, SECRET, "should be in the declared encoding"),
        (model(AnyUrl), SECRET, "should be a valid URL"),
        (model(datetime), SECRET, "should be a valid datetime or date"),
        (model(Json[int]), SECRET, "should be valid JSON"),
        (model(Annotated[list[str], Field(max_length=1)]), [SECRET] * 4711, "at most 1 item"),
    ],
)
def test_a_message_says_the_rule_and_problems_the_value(
    door: Door, hint: Any, value: Any, rule: str
) -> None:
    function = step_function("reading", input=hint)(lambda input: 1)
    registry.unregister("reading")
    build("flow", {"a": []})
    error = door.run("flow", {"value": value}, {"a": function}).error
    assert error["code"] == "invalid_step_input"
    message = error["error_message"]
    assert rule in message
    assert SECRET not in message
    assert "4711" not in message
    assert SECRET in error["problems"][0]["message"]
