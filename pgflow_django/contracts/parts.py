"""One side of a contract: what its values must be, as a type of pydantic's or as a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from pgflow_django.contracts.accepted import accepted_schema
from pgflow_django.contracts.completing import complete
from pgflow_django.contracts.hints import Side, portable
from pgflow_django.contracts.made import make
from pgflow_django.contracts.opened import open_schema
from pgflow_django.contracts.stored import certain_schema, stored_schema
from pgflow_django.contracts.wording import MAX_PLACES, clip, read_errors
from pgflow_django.definitions.schema_values import Checker
from pgflow_django.definitions.schemas import Fault, read_schema

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_OTHER = Fault("", "holds something else than it declares")


class MismatchError(ValueError):
    """A value does not fit what is declared; ``faults`` are the first places."""

    def __init__(self, side: Side, faults: list[Fault]) -> None:
        super().__init__(side)
        self.side = side
        self.faults = faults


class Part(Protocol):
    """What is declared of an input, of params or of an output."""

    @property
    def schema(self) -> Any:
        """It as a JSON Schema."""

    @property
    def certain(self) -> Any:
        """A JSON Schema of what is certain: what it refuses fails each call, or is never stored."""

    @property
    def takes_none(self) -> bool:
        """Whether the value may be left out."""

    def check(self, value: Any) -> Any:
        """The value as it was declared. Raises ``MismatchError``, and what validators raise."""

    def store(self, value: Any) -> Any:
        """A checked value as JSON can hold it. Raises ``MismatchError`` for objects that lie."""

    def complete(self, value: Any) -> Any:
        """The value as it is, once it is checked, with the defaults of what is left out."""

    def misfits(self, stored: Any) -> list[Fault]:
        """The first places in which a value is none that can have been stored, for certain."""


class _TakesNone:
    """What parts say of what is not there."""

    @cached_property
    def takes_none(self: Part) -> bool:
        """See ``Part``."""
        try:
            return self.check(None) is None
        except Exception:  # noqa: BLE001 - validators may raise anything of what is no object
            return False


class SchemaPart(_TakesNone):
    """A part that is declared as a JSON Schema. Raises ``NoSchemaError`` where it is none."""

    def __init__(self, side: Side, schema: dict[str, Any]) -> None:
        self._side = side
        self.schema: Any = schema
        reading = read_schema(schema)
        self.unused = reading.unused
        # An input also holds the keys of the run.
        self.certain: Any = open_schema(reading.schema) if side == "input" else reading.schema
        self._checker = Checker(self.certain, is_read=True)

    def check(self, value: Any) -> Any:
        """See ``Part``."""
        if found := self.misfits(value):
            raise MismatchError(self._side, found)
        return value

    def misfits(self, stored: Any) -> list[Fault]:
        """See ``Part``."""
        return [clip(fault) for fault in self._checker.faults(stored, MAX_PLACES)]

    complete = check

    def store(self, value: Any) -> Any:
        """See ``Part``: such a value is JSON."""
        return value


class TypePart(_TakesNone):
    """A part that is declared as a type. Raises what pydantic has against it."""

    def __init__(self, side: Side, hint: Any) -> None:
        from pydantic import TypeAdapter, ValidationError
        from pydantic_core import PydanticSerializationError

        self.hint = hint
        self._side = side
        self._adapter: TypeAdapter[Any] = TypeAdapter(portable(hint))
        if not self._adapter.pydantic_complete:
            self._adapter.rebuild()  # raises where a name is still unknown
        # What each call needs, at hand: to look it up costs more than to check a small value.
        made = make(self._adapter, side)
        self._validate, self._dump, self._judge, self._is_sure, self._is_iterated = made
        self._refusal, self._unwritable = ValidationError, PydanticSerializationError
        self._is_input = side == "input"

    @cached_property
    def schema(self) -> Any:
        """See ``Part``."""
        if self._side == "output":
            return stored_schema(self._adapter)
        return self._adapter.json_schema(mode="validation")

    @cached_property
    def certain(self) -> Any:
        """See ``Part``."""
        read = certain_schema if self._side == "output" else accepted_schema
        return read(self._adapter.core_schema)

    def check(self, value: Any) -> Any:
        """See ``Part``."""
        if self._is_iterated and isinstance(value, Iterator):
            value = list(value)
        try:
            checked = self._validate(value)
        except self._refusal as error:
            found = read_errors(error, value)
        else:
            if self._is_input and isinstance(checked, dict):
                return {**value, **checked}
            return checked
        # Outside of "except": the error holds values, which must not outlive the attempt.
        raise MismatchError(self._side, found)

    def store(self, value: Any) -> Any:
        """See ``Part``."""
        if self._is_sure:
            try:
                if self._judge is not None:
                    self._judge(value, strict=True)
                return self._dump(value, mode="json")
            except self._refusal:
                pass  # it may still be written as it is declared
        try:
            if self._judge is not None:
                self._judge(value)
            return self._dump(value, mode="json", warnings="error")
        except self._refusal as error:
            found = read_errors(error, value)
        except self._unwritable:
            found = []
        # What can't be written at all raises again, and tells its type only.
        stored = None if found else self._dump(value, mode="json", warnings=False)
        raise MismatchError(self._side, found or self.misfits(stored) or [_OTHER])

    def complete(self, value: Any) -> Any:
        """See ``Part``."""
        return complete(value, self.check(value))

    def misfits(self, stored: Any) -> list[Fault]:
        """See ``Part``."""
        return [clip(fault) for fault in self._certainly.faults(stored, MAX_PLACES)]

    @cached_property
    def _certainly(self) -> Checker:
        try:
            return Checker(self.certain)
        except Exception:  # noqa: BLE001 - of a type that has no schema nothing is certain
            return Checker({})
