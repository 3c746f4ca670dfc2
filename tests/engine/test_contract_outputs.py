"""Outputs that a function declares: what is stored is what was declared, whatever it returns."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    RootModel,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from pgflow_django import step_function
from pgflow_django.registry import registry
from tests.engine.building import build
from tests.engine.doors import Door

JSON = dict[str, Any]


@dataclass
class O:  # noqa: E742
    n: int
    most: Annotated[int, Field(le=9)] = 1


@dataclass
class Holder:
    inner: O
    more: list[O] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    m: M


@pydantic_dataclass
class P:
    n: int


class M(BaseModel):
    n: int
    most: int = Field(default=1, le=9)
    kind: Literal["a", "b"] = "a"


class Outer(BaseModel):
    inner: M
    plain: O | None = None


class Keeps(TypedDict):
    o: O
    m: M


class Root(RootModel[list[M]]):
    pass


class Checked(BaseModel):
    n: int
    word: str = Field(default="", max_length=3)

    @model_validator(mode="after")
    def look(self):  # type: ignore[no-untyped-def] # noqa: ANN201
        return self


class Named(BaseModel):
    n: int = Field(alias="N")
    most: int = Field(default=1, le=9)


def changed(model: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(model, name, value)
    return model


def returning(hint: Any, make: Callable[[], Any]) -> Any:
    """A function that returns what is made, and declares ``hint``."""
    found = step_function("returning", output=hint)(lambda input: make())
    registry.unregister("returning")
    return found


GOOD = M(n=1)


@pytest.mark.parametrize(
    ("hint", "make", "pointer"),
    [
        (O, lambda: O(n="text"), "/n"),
        (O, lambda: O(n=1, most=10), "/most"),
        (list[O], lambda: [O(n=1), O(n="text")], "/1/n"),
        (O | None, lambda: O(n=None), "/n"),
        (Holder, lambda: Holder(inner=O(n="text")), "/inner/n"),
        (Holder, lambda: Holder(inner=O(n=1), more=[O(n=1, most=10)]), "/more/0/most"),
        (Slotted, lambda: Slotted(changed(M(n=1), n="text")), "/m/n"),
        (P, lambda: changed(P(n=1), n="text"), "/n"),
        (M, lambda: changed(M(n=1), n="text"), "/n"),
        (M, lambda: changed(M(n=1), most=10), "/most"),
        (M, lambda: changed(M(n=1), kind="c"), "/kind"),
        (M, lambda: M.model_construct(n="text"), "/n"),
        (M, M.model_construct, "/n"),
        (dict[str, M], lambda: {"x": M.model_construct(n="text")}, "/x/n"),
        (tuple[M, ...], lambda: (GOOD, M.model_construct(n=[])), "/1/n"),
        (Outer, lambda: Outer(inner=changed(M(n=1), n="text")), "/inner/n"),
        (Outer, lambda: Outer(inner=M(n=1), plain=O(n="text")), "/plain/n"),
        (Keeps, lambda: {"o": O(n="text"), "m": GOOD}, "/o/n"),
        (Keeps, lambda: {"o": O(n=1), "m": M.model_construct(n="text")}, "/m/n"),
        (Root, lambda: Root([changed(M(n=1), n="text")]), "/0/n"),
        (Checked, lambda: changed(Checked(n=1), n="text"), "/n"),
        (Checked, lambda: changed(Checked(n=1), word="long text"), "/word"),
        (Named, lambda: changed(Named(N=1), n="text"), "/n"),
        (Named, lambda: changed(Named(N=1), most=10), "/most"),
    ],
)
def test_an_instance_is_checked_as_a_dict_is(
    door: Door, hint: Any, make: Callable[[], Any], pointer: str
) -> None:
    build("flow", {"a": []})
    error = door.run("flow", {}, {"a": returning(hint, make)}).error
    assert error["code"] == "invalid_step_output", error
    assert [one["pointer"] for one in error["problems"]] == [pointer]
    assert "text" not in error["error_message"]


CALLS: list[int] = []


class Doubling(BaseModel):
    n: int = Field(le=9)
    raw: Json[list[int]] = [1]
    data: Base64Bytes = b"eA=="
    words: Annotated[list[str], BeforeValidator(str.split)] = []

    @field_validator("n")
    @classmethod
    def double(cls, value: int) -> int:
        CALLS.append(value)
        return value * 2


class Base(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int


class Derived(Base):
    more: int = 2


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: str = Field(alias="a")


@dataclass
class Posted:
    n: int
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.made = self.n * 2
        self.n += 1


@dataclass
class Loose:
    day: date
    price: float = 0.0


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)
    pair: tuple[int, ...] = ()
    days: set[date] = Field(default_factory=set)


def validated() -> Doubling:
    return Doubling.model_validate({"n": 9, "raw": "[2]", "data": "eHl6", "words": "two words"})


@pytest.mark.parametrize(
    ("hint", "make", "stored"),
    [
        (Doubling, validated, {"n": 18, "raw": [2], "data": "eHl6", "words": ["two", "words"]}),
        (Base, lambda: Derived(n=1), {"n": 1}),
        (list[Base], lambda: [Derived(n=1), {"n": "2"}], [{"n": 1}, {"n": 2}]),
        (Swapped, lambda: Swapped(b=1, a="x"), {"a": 1, "b": "x"}),
        (Posted, lambda: Posted(1), {"n": 2, "made": 2}),
        (Loose, lambda: Loose("2026-01-31", 1), {"day": "2026-01-31", "price": 1.0}),
        (Frozen, lambda: Frozen(pair=(1, 2)), {"pair": [1, 2], "days": []}),
        (Outer, lambda: Outer(inner=M(n=1)), {"inner": M(n=1).model_dump(), "plain": None}),
        (Named, lambda: Named(N=1), {"n": 1, "most": 1}),
        (Named, lambda: {"N": 1}, {"n": 1, "most": 1}),
    ],
)
def test_what_was_made_rightly_is_stored_as_it_is(
    door: Door, hint: Any, make: Callable[[], Any], stored: Any
) -> None:
    build("flow", {"a": []})
    CALLS.clear()
    assert door.output("flow", {}, {"a": returning(hint, make)})["a"] == stored
    assert len(CALLS) == (hint is Doubling)


def count(last: Any = 3) -> Generator[Any]:
    yield 1
    yield last


def break_off() -> Generator[Any]:
    yield 1
    raise ValueError("it is the step that fails here")


class Numbers(BaseModel):
    numbers: Iterable[int]


@pytest.mark.parametrize("hint", [Iterable[int], Generator[int, None, None], list[int]])
def test_what_is_iterated_is_checked(door: Door, hint: Any) -> None:
    build("flow", {"a": []})
    assert door.output("flow", {}, {"a": returning(hint, count)}) == {"a": [1, 3]}
    error = door.run("flow", {}, {"a": returning(hint, lambda: count("x"))}).error
    assert error["code"] == "invalid_step_output"
    assert [one["pointer"] for one in error["problems"]] in (["/1"], [""])


def test_a_model_that_holds_what_is_iterated_is_checked(door: Door) -> None:
    build("flow", {"a": []})
    for make in (lambda: Numbers(numbers=count()), lambda: {"numbers": count()}):
        assert door.output("flow", {}, {"a": returning(Numbers, make)}) == {
            "a": {"numbers": [1, 3]}
        }
    for bad in (lambda: Numbers(numbers=count("x")), lambda: {"numbers": count("x")}):
        error = door.run("flow", {}, {"a": returning(Numbers, bad)}).error
        assert error["code"] == "invalid_step_output", error


def test_a_generator_that_fails_is_a_step_that_fails(door: Door) -> None:
    build("flow", {"a": []})
    error = door.run("flow", {}, {"a": returning(Iterable[int], break_off)}).error
    assert error["code"] == "step_failed"
    assert "it is the step that fails here" in error["error_message"]
