"""What step functions declare, and what is said of declarations that can't be used."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

import pytest
from django.core.management import call_command
from pydantic import BaseModel, ConfigDict, Field

from pgflow_django import Example, step_function
from pgflow_django.checks import check_contracts
from pgflow_django.contracts import Contract
from pgflow_django.contracts.hints import Side
from pgflow_django.exceptions import PgflowError
from pgflow_django.registry import describe, registry

if TYPE_CHECKING:
    from decimal import Decimal

JSON = dict[str, Any]


class Row(TypedDict):
    code: str
    size: NotRequired[int]


class Rows(TypedDict):
    rows: list[Row]


class Params(BaseModel):
    delimiter: Annotated[str, Field(max_length=1)] = ","


class Loaded(BaseModel):
    model_config = ConfigDict(extra="forbid")
    loaded: int


@dataclass
class Day:
    day: date


class Empty(BaseModel):
    pass


def contract_of(function: Any) -> Contract:
    contract = describe(function).contract
    assert contract is not None
    return contract


def registered(name: str) -> Contract:
    function = registry.get(name)
    assert function is not None
    return contract_of(function)


def schema_of(contract: Contract, side: Side) -> Any:
    part = contract.parts[side]
    return None if part is None else part.schema


def nothing(input: JSON) -> JSON:
    return input


def bare(input: dict[str, int]) -> dict:  # type: ignore[type-arg]
    return input


def bare_list(input: JSON) -> list:  # type: ignore[type-arg]
    return []


def anything(input: Any, context: Decimal) -> Any:
    return input


def some_object(input: object) -> object:
    return input


def empty(input: Empty) -> list[Any]:
    return []


@pytest.mark.parametrize(
    "function",
    [nothing, bare, bare_list, anything, some_object, empty, lambda input: 1, len, dict],
)
def test_a_function_that_declares_nothing_has_no_contract(function: Any) -> None:
    assert describe(function, "f").contract is None


def test_what_is_declared_comes_from_the_decorator() -> None:
    @step_function("csv.load", params=Params, output=Loaded, tags=["csv"], effects="writes")
    def load(input: Rows) -> Any:
        return {}

    contract = registered("csv.load")
    assert schema_of(contract, "input")["required"] == ["rows"]
    assert schema_of(contract, "input")["properties"]["rows"]["type"] == "array"
    assert schema_of(contract, "params")["properties"]["delimiter"]["maxLength"] == 1
    assert schema_of(contract, "output")["properties"]["loaded"]["type"] == "integer"
    assert (contract.tags, contract.effects, contract.map_only) == (("csv",), "writes", False)


def hinted(input: Day, context: Any = None) -> list[Row]:
    return []


def no_output(input: JSON) -> None:
    return None


def awaited(input: JSON) -> Awaitable[int]:
    raise NotImplementedError


async def coroutine(input: JSON) -> int:
    return 1


def test_what_is_declared_comes_from_hints() -> None:
    contract = contract_of(hinted)
    assert schema_of(contract, "input")["required"] == ["day"]
    assert schema_of(contract, "output")["type"] == "array"
    assert contract.params is None
    for function, kind in ((no_output, "null"), (awaited, "integer"), (coroutine, "integer")):
        assert schema_of(contract_of(function), "output") == {"type": kind}


@dataclass
class Reader:
    table: str
    size: int = 0

    def __call__(self, input: Day, context: Any = None) -> int:
        return self.size


class Bare:
    note: str = ""

    def __call__(self, input: JSON) -> date:
        return date(2026, 1, 31)


def configured(table: str, input: Day, size: int = 0) -> int:
    return size


@pytest.mark.parametrize(
    ("function", "reads", "kind"),
    [
        (Reader("orders"), True, "integer"),
        (Bare(), False, "string"),
        (Reader("orders").__call__, True, "integer"),
        (functools.partial(configured, "orders"), True, "integer"),
        (functools.partial(functools.partial(configured, "orders"), size=1), True, "integer"),
        (functools.partial(Reader("orders"), context=None), True, "integer"),
        (functools.partial(hinted), True, "array"),
    ],
)
def test_callable_objects_and_partials_declare_by_hints(
    function: Any, reads: bool, kind: str
) -> None:
    contract = contract_of(function)
    assert (contract.input is not None) is reads
    if reads:
        assert schema_of(contract, "input")["required"] == ["day"]
    assert schema_of(contract, "output")["type"] == kind
    assert list(contract.flaws()) == []


def test_each_name_has_what_it_was_declared_with() -> None:
    def plain(input: JSON) -> Any:
        return input

    def with_hint(input: JSON) -> date:
        return date(2026, 1, 31)

    step_function("x.a", output=int)(plain)
    step_function("x.b")(plain)
    step_function(plain)
    step_function("y.a", params=Params, output=int)(with_hint)
    step_function("y.b")(with_hint)
    assert schema_of(registered("x.a"), "output") == {"type": "integer"}
    for name in ("x.b", "plain"):
        found = registry.get(name)
        assert found is not None
        assert found.contract is None
    assert schema_of(registered("y.b"), "output") == {"type": "string", "format": "date"}
    assert registered("y.b").params is None


def test_a_function_around_another_has_its_own_contract() -> None:
    def inner(input: JSON) -> Any:
        return 1

    step_function("inner", params=Params, output=int)(inner)

    @functools.wraps(inner)
    def outer(input: JSON) -> Any:
        return str(inner(input))

    assert describe(inner).contract is registered("inner")
    assert describe(outer).contract is None
    step_function("outer")(outer)
    found = registry.get("outer")
    assert found is not None
    assert found.contract is None


def test_json_schemas_are_taken_as_they_are() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}

    @step_function("f", input=schema, output={"type": "integer"})
    def f(input: JSON) -> Any:
        return 1

    assert schema_of(registered("f"), "input") == schema
    assert list(registered("f").flaws()) == []


def test_effects_alone_are_a_contract_without_types() -> None:
    @step_function("f", effects="external")
    def f(input: JSON) -> JSON:
        return input

    assert registered("f").effects == "external"
    assert registered("f").parts == {"input": None, "params": None, "output": None}


def test_types_may_come_later_in_the_module_or_stand_in_the_function_around() -> None:
    class Local(BaseModel):
        n: int

    def local(input: Local) -> Later:
        return Later(n=1)

    contract = contract_of(local)
    assert schema_of(contract, "input")["required"] == ["n"]
    assert schema_of(contract, "output")["required"] == ["n"]
    assert list(contract.flaws()) == []


class Later(BaseModel):
    n: int


class Alien:
    pass


def alien(input: JSON) -> Alien:
    return Alien()


def unresolved(input: JSON) -> Decimal:
    raise NotImplementedError


def list_warnings(name: str) -> list[tuple[str, str]]:
    return [
        (found.id or "", str(found.msg)) for found in check_contracts() if f'"{name}"' in found.msg
    ]


class Unfinished(BaseModel):
    price: Decimal


@pytest.mark.parametrize(
    ("function", "declared", "words"),
    [
        (unresolved, {}, "the type of what it returns can't be used: NameError"),
        (alien, {}, "the type of what it returns can't be used"),
        (nothing, {"params": Unfinished}, "the type of its params can't be used"),
        (nothing, {"input": list[int]}, "its input is declared as array"),
        (nothing, {"params": {"type": "text"}}, "the schema of its params is none: /type"),
        (nothing, {"output": {"$ref": "https://example.com/x.json"}}, "references lead to"),
        (nothing, {"output": {"properties": {"a": 7}}}, "/properties/a is 7"),
    ],
)
def test_a_declaration_that_can_not_be_used_is_a_warning_with_the_place(
    function: Any, declared: Any, words: str
) -> None:
    step_function("broken", **declared)(function)
    (found,) = list_warnings("broken")
    assert found[0] == "pgflow.W006"
    assert words in found[1]
    assert f"{__file__}:{function.__code__.co_firstlineno}" in found[1]


def test_an_example_that_breaks_its_own_schema_is_a_warning() -> None:
    good = Example(input={"rows": []}, params={"delimiter": ";"}, output={"loaded": 0})
    bad = Example(input={"rows": [{"code": 7}]}, params={"delimiter": ";;"}, output={"loaded": "x"})

    @step_function("csv.load", params=Params, output=Loaded, examples=[good, bad])
    def load(input: Rows) -> Any:
        return {}

    found = list_warnings("csv.load")
    assert [check for check, _ in found] == ["pgflow.W007"] * 3
    texts = " ".join(text for _, text in found)
    assert (
        "the input of its example 2 does not fit: /rows/0/code: should be a string, is 7" in texts
    )
    assert "the params of its example 2" in texts
    assert "the output of its example 2" in texts


def test_manage_check_tells_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    step_function("broken")(unresolved)
    call_command("check")
    assert "pgflow.W006" in capsys.readouterr().err


@pytest.mark.parametrize(
    "declared",
    [{"effects": "boom"}, {"effects": None}, {"tags": "csv"}, {"tags": [7]}, {"examples": [{}]}],
)
def test_words_that_are_none_are_refused(declared: Any) -> None:
    with pytest.raises(PgflowError) as caught:
        step_function("f", **declared)(nothing)
    assert caught.value.code == "invalid_contract"


def test_pydantic_is_imported_with_the_first_contract() -> None:
    code = (
        "import sys; from pgflow_django import step_function\n"
        "@step_function('a')\ndef a(input: dict) -> dict: return input\n"
        "assert 'pydantic' not in sys.modules and 'jsonschema' not in sys.modules\n"
        "@step_function('b')\ndef b(input) -> int: return 1\n"
        "assert 'pydantic' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
