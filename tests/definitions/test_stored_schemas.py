"""The schema of an output is that of what is stored of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, NotRequired

import pytest
from jsonschema import Draft202012Validator as Draft
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    WithJsonSchema,
    computed_field,
    field_serializer,
    model_serializer,
)
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from pgflow_django.contracts import declare

JSON = dict[str, Any]


class Row(TypedDict):
    code: str
    size: NotRequired[int]


class Loaded(BaseModel):
    loaded: int
    day: date | None = None


class More(Loaded):
    model_config = ConfigDict(extra="allow")
    more: str = "x"


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Counted(BaseModel):
    rows: list[Row]
    hidden: int = Field(default=1, exclude=True)

    @computed_field
    def count(self) -> int:
        return len(self.rows)


class Written(BaseModel):
    a: int

    @field_serializer("a")
    def write(self, value):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        return str(value)


class Wholly(BaseModel):
    a: int

    @model_serializer(mode="wrap")
    def write(self, handler):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        return {**handler(self), "b": 1}


@dataclass
class Point:
    x: int
    y: int = 0


@pytest.mark.parametrize(
    ("hint", "value", "stored"),
    [
        (Row, {"code": "a", "size": 1, "other": 2}, {"code": "a", "size": 1}),
        (list[Row], [{"code": "a", "other": 2}], [{"code": "a"}]),
        (Loaded, Loaded(loaded=1), {"loaded": 1, "day": None}),
        (Loaded, More.model_validate({"loaded": 1, "other": 3}), {"loaded": 1, "day": None}),
        (Loaded, {"loaded": "7", "other": 3}, {"loaded": 7, "day": None}),
        (Open, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (Counted, {"rows": [{"code": "a"}]}, {"rows": [{"code": "a"}], "count": 1}),
        (Written, Written(a=1), {"a": "1"}),
        (Wholly, Wholly(a=1), {"a": 1, "b": 1}),
        (Point, Point(1), {"x": 1, "y": 0}),
        (Loaded | None, None, None),
    ],
)
def test_what_is_stored_fits_the_schema_of_the_output(hint: Any, value: Any, stored: Any) -> None:
    contract = declare(lambda input: input, output=hint)
    assert contract is not None
    assert contract.output is not None
    assert contract.release(value) == stored
    Draft(contract.output.schema).validate(stored)


class Renamed(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)
    first_name: str = Field(alias="firstName")


class Holder(BaseModel):
    one: Renamed
    two: Loaded = Field(alias="second")


class Anything(BaseModel):
    one: SerializeAsAny[Loaded]


class Flag(enum.IntFlag):
    A = 1
    B = 2


class Odd(enum.Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value: object) -> Odd:
        made = object.__new__(cls)
        made._name_, made._value_ = str(value), str(value)
        return made


class Skipped(BaseModel):
    a: int | SkipJsonSchema[None] = None
    b: SkipJsonSchema[int] = 1
    flag: Flag = Flag.A
    odd: Odd = Odd.A


class Said(BaseModel):
    a: Annotated[Decimal, WithJsonSchema({"type": "number"})]
    b: int = Field(default=1, json_schema_extra={"maximum": 0})


def double(value: int) -> int:
    return value * 2


class Doubled(BaseModel):
    a: Annotated[int, Field(le=9), AfterValidator(double)]


class Sometimes(BaseModel):
    a: int = Field(default=0, exclude_if=lambda value: value == 0)


@pytest.mark.parametrize(
    ("hint", "value", "stored"),
    [
        (Renamed, Renamed(firstName="x"), {"firstName": "x"}),
        (
            Holder,
            {"one": {"firstName": "x"}, "second": Loaded(loaded=1)},
            {"one": {"firstName": "x"}, "two": {"loaded": 1, "day": None}},
        ),
        (Anything, Anything(one=More(loaded=1)), {"one": {"loaded": 1, "day": None, "more": "x"}}),
        (SerializeAsAny[Loaded], More(loaded=1), {"loaded": 1, "day": None, "more": "x"}),
        (Flag, Flag.A | Flag.B, 3),
        (Skipped, Skipped(odd=Odd("z")), {"a": None, "b": 1, "flag": 1, "odd": "z"}),
        (int | SkipJsonSchema[None], None, None),  # type: ignore[misc]
        (Said, {"a": "1.5"}, {"a": "1.5", "b": 1}),
        (Doubled, {"a": 9}, {"a": 18}),
        (Sometimes, {}, {}),
    ],
)
def test_what_is_stored_is_never_refused_for_certain(hint: Any, value: Any, stored: Any) -> None:
    contract = declare(lambda input: input, output=hint)
    assert contract is not None
    assert contract.output is not None
    assert contract.release(value) == stored
    Draft(contract.output.certain).validate(stored)
    assert contract.output.misfits(stored) == []
    if hint not in (Said, Doubled):  # these say of themselves what isn't so
        Draft(contract.output.schema).validate(stored)


@pytest.mark.parametrize("hint", [Row, Loaded, Counted, Point])
def test_keys_that_are_not_declared_are_not_stored(hint: Any) -> None:
    contract = declare(lambda input: input, output=hint)
    assert contract is not None
    assert contract.output is not None
    assert contract.output.schema["additionalProperties"] is False
