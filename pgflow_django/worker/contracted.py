"""A step's values and what its function declares: the error where they don't fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pgflow_django.contracts import MismatchError
from pgflow_django.exceptions import ContractBroken
from pgflow_django.registry import RegisteredFunction
from pgflow_django.worker.claimed import ClaimedTask

_BROKEN: Final = {
    "input": partial(ContractBroken, code="invalid_step_input"),
    "params": partial(ContractBroken, code="invalid_step_params"),
    "output": partial(ContractBroken, code="invalid_step_output"),
}
_WHAT: Final = {"input": "its input", "params": "its params", "output": "what it returned"}


def check(
    by: Callable[[Any], Any], value: Any, function: RegisteredFunction, task: ClaimedTask
) -> Any:
    """The value as a contract has it. Raises ``ContractBroken``, and what validators raise."""
    try:
        return by(value)
    except MismatchError as error:
        side, faults = error.side, error.faults
    # Outside of "except": what it was raised for must not outlive the attempt.
    # Messages are read by more people than values are, in pages and logs; problems tell the values.
    places = "; ".join(f"{fault.pointer or 'the whole'}: {fault.rule}" for fault in faults)
    raise _BROKEN[side](
        f"{task.name}: {_WHAT[side]} doesn't fit what function {function.name} declares. {places}",
        problems=[{"pointer": fault.pointer, "message": fault.message} for fault in faults],
    )
