"""Contracts as validation reads them: schemas, and nothing that raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgflow_django import jsonvalue
from pgflow_django.contracts.contract import put_params
from pgflow_django.contracts.parts import MismatchError

if TYPE_CHECKING:
    from pgflow_django.contracts.contract import Contract
    from pgflow_django.contracts.hints import Side
    from pgflow_django.definitions.schemas import Fault


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a contract declares. A part that can't be used is one of which nothing is known."""

    contract: Contract

    @property
    def input(self) -> Any:
        """What the function reads."""
        return schema_of(self.contract, "input")

    @property
    def accepted(self) -> Any:
        """What a call takes for that."""
        return _certain_schema_of(self.contract, "input")

    @property
    def output(self) -> Any:
        """What is stored of what it returns."""
        return _certain_schema_of(self.contract, "output")

    @property
    def map_only(self) -> bool:
        """Whether it makes sense in map steps only."""
        return self.contract.map_only

    @property
    def effects(self) -> str:
        """What it does to the world."""
        return self.contract.effects

    def find_faults(self, params: Any) -> list[Fault]:
        """The places at which each call would refuse these params."""
        part = self.contract.params
        if part is None:
            return []
        try:
            put_params({}, jsonvalue.stored(params), part)
        except MismatchError as error:
            return error.faults
        except Exception:  # noqa: BLE001 - validators may raise anything, and say nothing by it
            return []
        return []


def schema_of(contract: Contract | None, side: Side) -> Any:
    """The JSON Schema of what a contract declares on one side; ``None`` for nothing."""
    part = contract.parts[side] if contract else None
    try:
        return None if part is None else part.schema
    except Exception:  # noqa: BLE001 - a system check tells why there is none
        return None


def _certain_schema_of(contract: Contract, side: Side) -> Any:
    part = contract.parts[side]
    try:
        return None if part is None else part.certain
    except Exception:  # noqa: BLE001 - pydantic, and the types themselves
        return None
