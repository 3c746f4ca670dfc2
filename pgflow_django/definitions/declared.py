"""What validation asks of the contracts of step functions. Pure: contracts themselves are above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pgflow_django.definitions.schemas import Fault


class Declared(Protocol):
    """What a step function declares: JSON Schemas, ``None`` for what it is silent about."""

    @property
    def input(self) -> Any:
        """What it reads."""

    @property
    def accepted(self) -> Any:
        """What it reads, as widely as a call takes it: what this refuses, each call refuses."""

    @property
    def output(self) -> Any:
        """What is stored of what it returns."""

    @property
    def map_only(self) -> bool:
        """Whether it makes sense in map steps only."""

    @property
    def effects(self) -> str:
        """What it does to the world."""

    def find_faults(self, params: Any) -> list[Fault]:
        """The places at which params break what it declares of them."""


#: By the names of functions; those that declare nothing are not in it.
Contracts = Mapping[str, Declared]
