"""What the worker of the browser's tests does: a shop that is told by files how its day goes.

Each file in the folder ``SHOP_FOLDER`` is a word that ``Shop`` of ``test_with_workers`` has said.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pgflow_django import step_function
from pgflow_django.context import StepContext


def is_told(word: str) -> bool:
    """Whether this is how things are."""
    return (Path(os.environ["SHOP_FOLDER"]) / word).exists()


def wait_while(word: str, context: StepContext) -> None:
    """Wait until it is no longer so, or the run has ended."""
    while is_told(word) and not context.cancelled():
        time.sleep(0.02)


@step_function("shop.pick")
def pick(input: Any) -> list[int]:
    """Give the orders."""
    return [1, 2, 3]


@step_function("shop.pack")
def pack(input: Any, context: StepContext) -> str:
    """Pack one; the second may take long, and there may be nothing left of it."""
    if input["item"] == 2:
        wait_while("slow", context)
        if is_told("sold out"):
            raise LookupError("nothing left of order 2")
    return f"parcel {input['item']}"


@step_function("shop.send")
def send(input: Any, context: StepContext) -> str:
    """Send all that were packed, once there is a van."""
    wait_while("van away", context)
    if is_told("van broken"):
        raise ConnectionError("no van today")
    return ", ".join(parcel or "nothing" for parcel in input["pack"])


@step_function("shop.talk")
def talk(input: Any, context: StepContext) -> int:
    """Log numbered lines, 1,000 a second."""
    wait_while("silence", context)
    begun, count = time.monotonic(), int(input["run"]["lines"])
    for number in range(count):
        context.log(f"line {number}")
        time.sleep(max(0.0, begun + number / 1000 - time.monotonic()))
    return count
