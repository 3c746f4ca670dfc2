"""What a step would return, as far as that can be told without calling its function.

Service layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pgflow_django.contracts import Contract, Example, schema_of
from pgflow_django.definitions.joining import JOIN, join
from pgflow_django.definitions.samples import NoSampleError, make_fitting_sample
from pgflow_django.definitions.trials import GIVEN
from pgflow_django.jsonvalue import same
from pgflow_django.registry import RegisteredFunction
from pgflow_django.runs.simulation import OutputFrom


class _Unknown:
    def __repr__(self) -> str:
        return "unknown"


#: In place of a value that nobody can tell.
UNKNOWN: Any = _Unknown()


class Guesser:
    """Guesses what functions return, and remembers what it has made of their declarations."""

    def __init__(self, find_function: Callable[[str], RegisteredFunction | None]) -> None:
        self._find_function = find_function
        self._released: dict[int, Any] = {}
        self._made: dict[int, Any] = {}

    def guess(
        self, name: str, tasks: Iterable[Mapping[str, Any]], joined: Sequence[str] | None = None
    ) -> tuple[list[Any], OutputFrom]:
        """What a function returns for tasks that get these dicts, and where that comes from.

        ``joined`` are the steps whose outputs it would join.
        """
        if name in {GIVEN, JOIN}:
            outputs = [_compute(name, built, joined) for built in tasks]
            return outputs, "unknown" if any(one is UNKNOWN for one in outputs) else "computed"
        function = self._find_function(name)
        contract = function.contract if function else None
        if contract is not None and any(one.output is not None for one in contract.examples):
            return [self._release(contract, _choose(contract, built)) for built in tasks], "example"
        made = UNKNOWN if contract is None else self._make(contract)
        return [made for _ in tasks], "unknown" if made is UNKNOWN else "schema"

    def _release(self, contract: Contract, example: Example) -> Any:
        """What would be stored of an example's output; as it stands, where it breaks the type."""
        if id(example) not in self._released:
            output = example.output
            with suppress(Exception):  # a system check tells of it
                output = contract.release(output)
            text = json.dumps(output, default=str)
            self._released[id(example)] = json.loads(text)
        return self._released[id(example)]

    def _make(self, contract: Contract) -> Any:
        """A value of the declared type, where one can be made up that it takes."""
        if id(contract) not in self._made:
            made = UNKNOWN
            if (schema := schema_of(contract, "output")) is not None:
                with suppress(NoSampleError):
                    made = make_fitting_sample(schema, lambda value: _takes(contract, value))
            self._made[id(contract)] = made
        return self._made[id(contract)]


def _compute(name: str, built: Mapping[str, Any], joined: Sequence[str] | None) -> Any:
    """What a built-in function returns."""
    if name == JOIN and joined is not None and all(slug in built for slug in joined):
        return join(built[slug] for slug in joined)
    if name == GIVEN and isinstance(params := built.get("params"), dict):
        return params.get("value", UNKNOWN)
    return UNKNOWN


def _takes(contract: Contract, value: Any) -> bool:
    try:
        if contract.output is not None:
            contract.output.check(value)
    except Exception:  # noqa: BLE001 - validators may raise anything
        return False
    return True


def _choose(contract: Contract, built: Mapping[str, Any]) -> Example:
    """The first example with an output whose input and params are these, else the first."""
    examples = [example for example in contract.examples if example.output is not None]
    return next((example for example in examples if _fits(example, built)), examples[0])


def _fits(example: Example, built: Mapping[str, Any]) -> bool:
    wanted = dict(example.input) if isinstance(example.input, dict) else {}
    if example.params is not None:
        wanted["params"] = example.params
    if not wanted:
        return False
    return all(name in built and same(built[name], value) for name, value in wanted.items())
