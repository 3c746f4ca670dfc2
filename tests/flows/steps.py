"""Step functions for tests that run commands in processes of their own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pgflow_django import Flow, step, step_function

JSON = dict[str, Any]


@step_function("tests.numbers")
def numbers(input: JSON) -> list[int]:
    """As many numbers as ``count`` says."""
    return list(range(input.get("count", 3)))


@step_function("tests.double")
def double(input: JSON) -> int:
    """Twice the item."""
    return int(input["item"]) * 2


@step_function("tests.total")
def total(input: JSON) -> int:
    """The sum of what came before."""
    return sum(input["double"])


@step_function("tests.fail")
def fail(input: JSON) -> None:
    """Fail, always."""
    raise ValueError("no luck, and\nmore")


@step_function("tests.fail_until")
def fail_until(input: JSON) -> str:
    """Fail until the file ``gate`` is there."""
    if not Path(input["gate"]).exists():
        raise ValueError("the gate is closed")
    return "through"


@step_function("tests.shout")
def shout(input: JSON) -> str:
    """Print something."""
    print("a step prints this")  # noqa: T201
    return "said"


@step_function("tests.remove")
def remove(input: JSON) -> str:
    """Remove a folder."""
    Path(input["folder"]).rmdir()
    return "removed"


@step_function("tests.hold")
def hold(input: JSON) -> str:
    """Write the file ``mark``, then wait for the file ``gate``."""
    Path(input["mark"]).touch()
    while not Path(input["gate"]).exists():
        time.sleep(0.005)
    return "held"


@step_function("tests.deaf")
def deaf(input: JSON) -> str:
    """Write the file ``mark``, then be stuck in C, where no interruption arrives."""
    Path(input["mark"]).touch()
    time.sleep(60)
    return "slept"


class InCode(Flow):
    """A flow that is nowhere stored before it runs."""

    slug = "tests_in_code"

    @step
    def one(input: JSON) -> int:  # noqa: N805 - steps take no self
        """One."""
        return 1

    @step(depends_on=["one"])
    def two(input: JSON) -> int:  # noqa: N805
        """One more."""
        return int(input["one"]) + 1
